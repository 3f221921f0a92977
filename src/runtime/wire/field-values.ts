/**
 * Single values of declared fields: what is allowed, and how a text or bytes lie in a record. A
 * text is one byte a character where that is enough, else UTF-16, so every string survives, lone
 * surrogates included. Everything that varies in length begins at a multiple of 8.
 */
import { EsperError, invariant } from "../../protocols/errors.ts";
import type { FieldKind } from "../../protocols/fields.ts";
import type { PlannedField } from "./field-plan.ts";
import type { RefCodec, WireRef } from "./record-view.ts";

/** Methods of Buffer that its types leave out; they also take plain views on shared memory. */
interface TextMemory {
  latin1Slice(this: Uint8Array, start: number, end: number): string;
  ucs2Slice(this: Uint8Array, start: number, end: number): string;
  latin1Write(this: Uint8Array, text: string, offset: number, length: number): number;
  ucs2Write(this: Uint8Array, text: string, offset: number, length: number): number;
}

const { latin1Slice, ucs2Slice, latin1Write, ucs2Write } = Buffer.prototype as Buffer & TextMemory;
const { slice } = Uint8Array.prototype;

const WIDE = /[\u0100-\uffff]/;
/** Up to here a loop beats the call into native code. */
const LOOP_CHARACTERS = 10;

const FLOAT = new Float32Array(1);
const FLOAT_BITS = new Int32Array(FLOAT.buffer);

/** The bits of a number in single precision. */
export function bitsOfFloat(value: number): number {
  FLOAT[0] = value;
  return FLOAT_BITS[0] ?? 0;
}

/** The inverse of `bitsOfFloat`. */
export function floatOfBits(bits: number): number {
  FLOAT_BITS[0] = bits;
  return FLOAT[0] ?? 0;
}

/** Rounds up to where the next part may begin. */
export const aligned = (bytes: number): number => (bytes + 7) & ~7;

/** The word that describes a text: its length, and in the lowest bit whether it is UTF-16. */
export function textWord(text: string): number {
  return WIDE.test(text) ? text.length * 2 + 1 : text.length * 2;
}

/** Bytes of a text by its word. */
export const textBytes = (word: number): number => ((word & 1) === 1 ? word - 1 : word >>> 1);

/** Writes a text; returns where the next part begins. */
export function writeText(to: Uint8Array, at: number, text: string, word: number): number {
  const bytes = textBytes(word);
  if ((word & 1) === 1) {
    ucs2Write.call(to, text, at, bytes);
  } else if (bytes > LOOP_CHARACTERS) {
    latin1Write.call(to, text, at, bytes);
  } else {
    for (let index = 0; index < bytes; index += 1) to[at + index] = text.charCodeAt(index);
  }
  return at + aligned(bytes);
}

/** Reads a text whose bytes are known to be there. */
export function readText(from: Uint8Array, at: number, word: number): string {
  if (word === 0) return "";
  const end = at + textBytes(word);
  return (word & 1) === 1 ? ucs2Slice.call(from, at, end) : latin1Slice.call(from, at, end);
}

/** Writes bytes; returns where the next part begins. */
export function writeBytes(to: Uint8Array, at: number, bytes: Uint8Array, length: number): number {
  invariant(bytes.length === length, "bytes keep their length between sizing and writing");
  to.set(bytes, at);
  return at + aligned(length);
}

/** A copy that shares nothing with the record. */
export function readBytes(from: Uint8Array, at: number, length: number): Uint8Array {
  // Not `from.slice`: a Buffer's own slice is a view.
  return slice.call(from, at, at + length);
}

/** What each kind takes, in words. */
const ALLOWED: Readonly<Record<FieldKind, string>> = {
  u32: "an integer from 0 to 4294967295",
  i32: "an integer from -2147483648 to 2147483647",
  f64: "a number",
  f32: "a number",
  bool: "true or false",
  text: "a string",
  bytes: "a Uint8Array",
  borrowed: "a Uint8Array",
  ref: "a reference to an actor",
  anything: "anything",
};

/** Whether a value that is there fits its field. */
export function fits(kind: FieldKind, value: unknown, refs: RefCodec): boolean {
  switch (kind) {
    case "u32":
      return typeof value === "number" && value >>> 0 === value;
    case "i32":
      return typeof value === "number" && (value | 0) === value;
    case "f64":
    case "f32":
      return typeof value === "number";
    case "bool":
      return typeof value === "boolean";
    case "text":
      return typeof value === "string";
    case "bytes":
    case "borrowed":
      return value instanceof Uint8Array;
    case "ref":
      return typeof value === "object" && value !== null && refs.isRef(value);
    default:
      return true;
  }
}

function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 64));
  if (Object.is(value, -0)) return "-0";
  if (typeof value !== "object" || value === null) return String(value);
  return Object.prototype.toString.call(value);
}

function refusal(path: string, value: unknown, allowed: string): EsperError {
  const text = `${path} is ${shown(value)}; allowed: ${allowed}`;
  return new EsperError("NOT_TRANSFERABLE", text, { path, value: shown(value), allowed });
}

/** The error for a value that does not fit its field. */
export const fieldRefusal = ({ name, kind }: PlannedField, value: unknown): EsperError =>
  refusal(`payload.${name}`, value, ALLOWED[kind]);

/** The error for a payload that is no object, or holds a key that nobody declared. */
export function shapeRefusal(declared: readonly PlannedField[], payload: unknown): EsperError {
  const names = declared.map(({ name }) => name);
  const allowed = names.length === 0 ? "no fields" : names.join(", ");
  if (typeof payload !== "object" || payload === null) {
    return refusal("payload", payload, `an object with the fields ${allowed}`);
  }
  const stray = Object.entries(payload).find(([key]) => !names.includes(key));
  return refusal(`payload.${stray?.[0] ?? "?"}`, stray?.[1], `the declared fields ${allowed}`);
}

/**
 * A reference as words.
 * @throws {NOT_TRANSFERABLE} when it speaks another protocol than the field declares.
 */
export function refWords(
  field: PlannedField,
  value: object,
  refs: RefCodec,
  fingerprint: number | null,
): WireRef {
  const words = refs.toWire(value);
  if (fingerprint === null || words.fingerprint === fingerprint) return words;
  const name = field.protocol?.().name ?? "?";
  throw refusal(`payload.${field.name}`, value, `a reference to an actor that speaks ${name}`);
}

/** The error for a record whose bytes contradict themselves. */
export function recordRefusal(path: string, bytes: number, available: number): EsperError {
  return new EsperError(
    "FRAME_MALFORMED",
    `malformed record: ${path} claims ${bytes} bytes where ${available} are`,
    { path, value: bytes, available },
  );
}
