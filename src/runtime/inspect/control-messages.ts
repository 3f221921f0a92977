/**
 * What is said over the control socket: one JSON object a line, a request with an id and one reply
 * with the same id. Simple enough for a person with `nc -U`; everything is checked and bounded.
 *
 * ```
 * > {"v":1,"id":"1","method":"inspect","params":{"overMs":500}}
 * < {"v":1,"id":"1","result":{...}}
 * < {"v":1,"id":"2","error":{"code":"MESSAGE_UNKNOWN","message":"...","details":{}}}
 * ```
 */
import { z } from "zod";
import {
  dehydrate,
  ERROR_CATALOGUE,
  type ErrorCode,
  EsperError,
  rehydrate,
} from "../../protocols/errors.ts";

/** Goes up when a request or reply of today would be misunderstood. */
export const CONTROL_VERSION = 1;
export const MAX_REQUEST_BYTES = 65_536;
export const MAX_REPLY_BYTES = 8 * 1_024 * 1_024;

export interface Request {
  readonly id: string;
  readonly method: string;
  readonly params: unknown;
}

/** `id` is null when the request was so wrong that it had none. */
export type Reply =
  | { readonly id: string | null; readonly result: unknown }
  | { readonly id: string | null; readonly error: EsperError };

const versioned = z.looseObject({ v: z.int() });
const requestSchema = z.strictObject({
  v: z.literal(CONTROL_VERSION),
  id: z.string().min(1).max(64),
  method: z.string().regex(/^[a-z][A-Za-z0-9]{0,31}$/, "a method is a word of letters"),
  params: z.unknown().optional(),
});
const replySchema = z.object({
  id: z.string().nullable(),
  result: z.unknown().optional(),
  error: z
    .object({
      code: z.string(),
      message: z.string(),
      details: z.record(z.string(), z.unknown()),
    })
    .optional(),
});

/** @throws {FRAME_MALFORMED} @throws {PROTOCOL_MISMATCH} */
export function parseRequest(line: string): Request {
  const parsed = requestSchema.safeParse(parseVersioned(line));
  if (!parsed.success) throw malformed("request", parsed.error);
  const { id, method, params } = parsed.data;
  return { id, method, params };
}

/** @throws {FRAME_MALFORMED} @throws {PROTOCOL_MISMATCH} */
export function parseReply(line: string): Reply {
  const parsed = replySchema.safeParse(parseVersioned(line));
  if (!parsed.success) throw malformed("reply", parsed.error);
  const { id, result, error } = parsed.data;
  if (error === undefined) return { id, result };
  const code = error.code in ERROR_CATALOGUE ? (error.code as ErrorCode) : "HANDLER_FAILED";
  return { id, error: new EsperError(code, error.message, error.details) };
}

export function requestLine({ id, method, params }: Request): string {
  return `${JSON.stringify({ v: CONTROL_VERSION, id, method, params })}\n`;
}

/** A reply that is too large, or is no plain data, becomes an error. */
export function replyLine(reply: Reply): string {
  const { id } = reply;
  if ("error" in reply) return errorLine(id, reply.error);
  try {
    const text = `${JSON.stringify({ v: CONTROL_VERSION, id, result: reply.result ?? null })}\n`;
    const bytes = Buffer.byteLength(text);
    if (bytes <= MAX_REPLY_BYTES) return text;
    return errorLine(id, tooLarge("reply", MAX_REPLY_BYTES, bytes));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return errorLine(id, new EsperError("NOT_TRANSFERABLE", `the reply is no plain data: ${why}`));
  }
}

/** The refusal of a line that is longer than allowed. */
export function tooLarge(what: string, limit: number, bytes: number): EsperError {
  const text = `a ${what} of at least ${bytes} bytes; allowed are ${limit}`;
  return new EsperError("FRAME_TOO_LARGE", text, { path: what, value: bytes, limit });
}

/** What a handler threw, as an error with a code. */
export function codedError(error: unknown): EsperError {
  return error instanceof EsperError ? error : rehydrate(dehydrate(error));
}

function errorLine(id: string | null, { code, message, details }: EsperError): string {
  try {
    return `${JSON.stringify({ v: CONTROL_VERSION, id, error: { code, message, details } })}\n`;
  } catch {
    // The details of an error may hold anything; the rest of it can be told all the same.
    return `${JSON.stringify({ v: CONTROL_VERSION, id, error: { code, message, details: {} } })}\n`;
  }
}

function parseVersioned(line: string): unknown {
  let value: unknown;
  try {
    const parsed: unknown = JSON.parse(line);
    value = parsed;
  } catch {
    throw new EsperError("FRAME_MALFORMED", "a line of the control socket is no JSON");
  }
  const { success, data } = versioned.safeParse(value);
  if (!success || data.v === CONTROL_VERSION) return value;
  const text =
    `the other side speaks version ${data.v} of the control socket, ` +
    `this one ${CONTROL_VERSION}`;
  throw new EsperError("PROTOCOL_MISMATCH", text, { given: data.v, allowed: CONTROL_VERSION });
}

function malformed(what: string, error: z.ZodError): EsperError {
  const issues = error.issues.map(({ path, message }) => `${path.join(".") || what}: ${message}`);
  const text = `a ${what} of the control socket is not valid: ${issues.join("; ")}`;
  return new EsperError("FRAME_MALFORMED", text, { path: what, issues });
}
