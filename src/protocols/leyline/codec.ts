/**
 * Leyline frames: msgpack maps with integer keys (the reference's field numbers), no records, no
 * shared structures. Untrusted bytes are capped in size and depth before they are decoded, and all
 * that is decoded is validated against the schema before anyone sees it.
 */
import { Packr, Unpackr } from "msgpackr";
import type { z } from "zod";
import { EsperError } from "../errors.ts";
import {
  type AdaptationCommand,
  adaptationCommandSchema,
  type FieldReport,
  fieldReportSchema,
} from "./command.ts";
import { CommandType, FieldReportOutcome, SeedOperation } from "./enums.ts";
import { refuseShape } from "./frame-depth.ts";
import { PlainWriter } from "./plain-writer.ts";

export const MAX_FRAME_BYTES = 16_384;
const MAX_DEPTH = 8;

/** Field numbers. A number is never reused for another meaning. */
const COMMAND_FIELDS = {
  version: 1,
  commandId: 2,
  commandType: 3,
  targetSeedId: 4,
  executionDeadlineMs: 5,
  issuedAtMs: 6,
  issuedBy: 7,
  seedOperation: 10,
  audience: 18,
  annotations: 20,
} as const satisfies Record<keyof AdaptationCommand, number>;

const SEED_OPERATION_FIELDS = { operation: 1, blueprintId: 2, parameters: 3 } as const;

const REPORT_FIELDS = {
  version: 1,
  reportId: 2,
  commandId: 3,
  trainingRunId: 4,
  seedId: 5,
  blueprintId: 6,
  outcome: 7,
  metrics: 8,
  observationWindowEpochs: 9,
  issuedAtMs: 10,
  tamiyoPolicyVersion: 11,
  notes: 13,
} as const satisfies Record<keyof FieldReport, number>;

const packr = new Packr({ useRecords: false, mapsAsObjects: false, variableMapSize: true });
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: false, copyBuffers: true });

type Fields = Readonly<Record<string, number>>;
type Ordered = readonly (readonly [name: string, number: number])[];

/** In the order of the numbers; sorted once, not for every frame. */
const ordered = (fields: Fields): Ordered =>
  Object.entries(fields).sort(([, left], [, right]) => left - right);

const COMMAND_ORDER = ordered(COMMAND_FIELDS);
const SEED_OPERATION_ORDER = ordered(SEED_OPERATION_FIELDS);
const REPORT_ORDER = ordered(REPORT_FIELDS);

function toWire(value: object, fields: Ordered): Map<number, unknown> {
  const map = new Map<number, unknown>();
  const source = value as Record<string, unknown>;
  for (const [name, number] of fields) {
    if (source[name] !== undefined) map.set(number, source[name]);
  }
  return map;
}

function fromWire(map: unknown, fields: Fields): Record<string, unknown> {
  if (!(map instanceof Map)) throw malformed("the frame is not a map");
  const names = new Map(Object.entries(fields).map(([name, number]) => [number, name]));
  const value: Record<string, unknown> = {};
  for (const [key, item] of map) {
    const name = names.get(key);
    // Unknown field numbers are skipped: an old reader must accept a newer writer.
    if (name !== undefined) value[name] = item;
  }
  return value;
}

const sortedMap = (record: Readonly<Record<string, unknown>>): Map<string, unknown> =>
  new Map(Object.entries(record).sort(([left], [right]) => (left < right ? -1 : 1)));

const fromMap = (map: unknown): unknown => (map instanceof Map ? Object.fromEntries(map) : map);

const nameOf = (values: Readonly<Record<string, number>>, wire: unknown): unknown =>
  Object.entries(values).find(([, value]) => value === wire)?.[0] ?? wire;

function malformed(why: string, cause?: unknown): EsperError {
  return new EsperError("FRAME_MALFORMED", `malformed frame: ${why}`, { why }, cause);
}

function unpack(frame: Uint8Array): unknown {
  if (frame.byteLength > MAX_FRAME_BYTES) {
    throw new EsperError(
      "FRAME_TOO_LARGE",
      `a frame of ${frame.byteLength} bytes is larger than the ${MAX_FRAME_BYTES} allowed`,
      { bytes: frame.byteLength, allowed: MAX_FRAME_BYTES },
    );
  }
  // Before decoding: a length that lies must not make the decoder allocate or recurse.
  const refusal = refuseShape(frame, MAX_DEPTH);
  if (refusal !== null) throw malformed(refusal);
  try {
    return unpackr.unpack(frame);
  } catch (cause) {
    throw malformed("the bytes are not msgpack", cause);
  }
}

function validated<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw malformed(`${issue?.path.join(".") ?? ""}: ${issue?.message ?? "not valid"}`);
}

export function encodeCommand(command: AdaptationCommand): Uint8Array {
  const { seedOperation } = command;
  const map = toWire(
    {
      ...command,
      commandType: CommandType[command.commandType],
      annotations: sortedMap(command.annotations),
      seedOperation:
        seedOperation &&
        toWire(
          {
            ...seedOperation,
            operation: SeedOperation[seedOperation.operation],
            parameters: sortedMap(seedOperation.parameters),
          },
          SEED_OPERATION_ORDER,
        ),
    },
    COMMAND_ORDER,
  );
  return new Uint8Array(packr.pack(map));
}

/** @throws {FRAME_TOO_LARGE} @throws {FRAME_MALFORMED} naming the offending field. */
export function decodeCommand(frame: Uint8Array): AdaptationCommand {
  const value = fromWire(unpack(frame), COMMAND_FIELDS);
  value["commandType"] = nameOf(CommandType, value["commandType"]);
  value["annotations"] = fromMap(value["annotations"]);
  if (value["seedOperation"] !== undefined) {
    const operation = fromWire(value["seedOperation"], SEED_OPERATION_FIELDS);
    operation["operation"] = nameOf(SeedOperation, operation["operation"]);
    operation["parameters"] = fromMap(operation["parameters"]);
    value["seedOperation"] = operation;
  }
  return validated(adaptationCommandSchema, value);
}

const plain = new PlainWriter();

/** Every decision is reported: the usual report must cost its thread little. */
export function encodeFieldReport(report: FieldReport): Uint8Array {
  return plainReport(report) ?? generalReport(report);
}

/** Null when something in the report is not plain, or missing. */
function plainReport(report: FieldReport): Uint8Array | null {
  plain.begin();
  plain.map(REPORT_ORDER.length);
  for (const [name, number] of REPORT_ORDER) {
    plain.number(number);
    const value = report[name as keyof FieldReport];
    if (name === "outcome") plain.number(FieldReportOutcome[report.outcome]);
    else if (typeof value === "string") plain.text(value);
    else if (typeof value === "number") plain.number(value);
    else if (name !== "metrics" || !plainMetrics(report.metrics)) return null;
  }
  return plain.isWhole ? plain.end() : null;
}

function plainMetrics(metrics: FieldReport["metrics"]): boolean {
  const names = Object.keys(metrics).sort();
  plain.map(names.length);
  for (const name of names) {
    const value = metrics[name];
    if (typeof value !== "number") return false;
    plain.text(name);
    plain.number(value);
  }
  return true;
}

function generalReport(report: FieldReport): Uint8Array {
  const map = toWire(
    {
      ...report,
      outcome: FieldReportOutcome[report.outcome],
      metrics: sortedMap(report.metrics),
    },
    REPORT_ORDER,
  );
  return new Uint8Array(packr.pack(map));
}

/** @throws {FRAME_TOO_LARGE} @throws {FRAME_MALFORMED} naming the offending field. */
export function decodeFieldReport(frame: Uint8Array): FieldReport {
  const value = fromWire(unpack(frame), REPORT_FIELDS);
  value["outcome"] = nameOf(FieldReportOutcome, value["outcome"]);
  value["metrics"] = fromMap(value["metrics"]);
  return validated(fieldReportSchema, value);
}
