/**
 * What the ledger's log holds: claims, and floors that were set without one. Every format that was
 * ever written is read. Format 2, little-endian: u8 2, u8 kind (1 a claim, 2 a floor), u16 bytes of
 * the id, u16 bytes of the attempt, u16 0x7ff8, floor f64, issue time f64, id (of a floor: the run)
 * and attempt in UTF-8. Format 1: floor f64, issue time f64, id: a claim. The mark 0x7ff8 makes the
 * first eight bytes no number, which no floor is.
 */
import { EsperError, invariant } from "../../protocols/errors.ts";

export interface ClaimRecord {
  readonly kind: "claim";
  readonly commandId: string;
  readonly issuedAtMs: number;
  /** The ledger's floor when the claim was made: outlives the segments it came from. */
  readonly floorMs: number;
  /** Which asking of the same claimant this was; empty when it did not say. */
  readonly attempt: string;
}

/** From here on every command of the run that was issued until `floorMs` is stale. */
export interface FloorRecord {
  readonly kind: "floor";
  readonly runId: string;
  readonly floorMs: number;
}

export type LedgerRecord = ClaimRecord | FloorRecord;

const VERSION = 2;
const KINDS = { claim: 1, floor: 2 } as const satisfies Record<LedgerRecord["kind"], number>;
const MARK = 0x7f_f8;
const FIXED_BYTES = 24;
const FORMAT_1_BYTES = 16;
const MAX_TEXT_BYTES = 65_535;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

interface Fields {
  readonly kind: number;
  readonly floorMs: number;
  readonly issuedAtMs: number;
  readonly id: string;
  readonly attempt: string;
}

function encode(fields: Fields): Uint8Array {
  const id = encoder.encode(fields.id);
  const attempt = encoder.encode(fields.attempt);
  invariant(Math.max(id.byteLength, attempt.byteLength) <= MAX_TEXT_BYTES, "ids are short");
  const bytes = new Uint8Array(FIXED_BYTES + id.byteLength + attempt.byteLength);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, VERSION);
  view.setUint8(1, fields.kind);
  view.setUint16(2, id.byteLength, true);
  view.setUint16(4, attempt.byteLength, true);
  view.setUint16(6, MARK, true);
  view.setFloat64(8, fields.floorMs, true);
  view.setFloat64(16, fields.issuedAtMs, true);
  bytes.set(id, FIXED_BYTES);
  bytes.set(attempt, FIXED_BYTES + id.byteLength);
  return bytes;
}

/** The bytes of a claim, in the newest format. */
export function encodeClaim(claim: Omit<ClaimRecord, "kind">): Uint8Array {
  const { commandId: id, floorMs, issuedAtMs, attempt } = claim;
  return encode({ kind: KINDS.claim, id, floorMs, issuedAtMs, attempt });
}

/** The bytes of a floor: for a log that lost claims, or may be behind what was claimed. */
export function encodeFloor(runId: string, floorMs: number): Uint8Array {
  return encode({ kind: KINDS.floor, id: runId, floorMs, issuedAtMs: floorMs, attempt: "" });
}

function malformed(why: string, expected: string, found: string): EsperError {
  const text = `a record in the nonce ledger's log ${why}: expected ${expected}, found ${found}`;
  return new EsperError("FRAME_MALFORMED", text, { expected, found });
}

function textOf(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw malformed("has an unreadable id", "UTF-8", "other bytes");
  }
}

function decodeFormat1(bytes: Uint8Array, view: DataView): Fields {
  return {
    kind: KINDS.claim,
    floorMs: view.getFloat64(0, true),
    issuedAtMs: view.getFloat64(8, true),
    id: textOf(bytes.subarray(FORMAT_1_BYTES)),
    attempt: "",
  };
}

function decodeFormat2(bytes: Uint8Array, view: DataView): Fields {
  const [version, kind] = [view.getUint8(0), view.getUint8(1)];
  if (version !== VERSION || (kind !== KINDS.claim && kind !== KINDS.floor)) {
    const expected = `format ${VERSION}, kind 1 or 2`;
    throw malformed("is not known", expected, `format ${version}, kind ${kind}`);
  }
  const idBytes = view.getUint16(2, true);
  const whole = FIXED_BYTES + idBytes + view.getUint16(4, true);
  if (idBytes === 0 || bytes.byteLength !== whole) {
    throw malformed("has a wrong length", `${whole} bytes`, `${bytes.byteLength} bytes`);
  }
  return {
    kind,
    floorMs: view.getFloat64(8, true),
    issuedAtMs: view.getFloat64(16, true),
    id: textOf(bytes.subarray(FIXED_BYTES, FIXED_BYTES + idBytes)),
    attempt: textOf(bytes.subarray(FIXED_BYTES + idBytes)),
  };
}

function fieldsOf(bytes: Uint8Array): Fields {
  const found = `${bytes.byteLength} bytes`;
  if (bytes.byteLength <= FORMAT_1_BYTES) {
    throw malformed("is too short", `more than ${FORMAT_1_BYTES} bytes`, found);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint16(6, true) !== MARK) return decodeFormat1(bytes, view);
  if (bytes.byteLength >= FIXED_BYTES) return decodeFormat2(bytes, view);
  throw malformed("is too short", `at least ${FIXED_BYTES} bytes`, found);
}

/** What a record of any format says. @throws {FRAME_MALFORMED} */
export function decodeRecord(bytes: Uint8Array): LedgerRecord {
  const { kind, id, floorMs, issuedAtMs, attempt } = fieldsOf(bytes);
  if (!Number.isFinite(floorMs) || !Number.isFinite(issuedAtMs)) {
    const found = `${floorMs} and ${issuedAtMs}`;
    throw malformed("has no time", "milliseconds since 1970", found);
  }
  if (kind === KINDS.floor) return { kind: "floor", runId: id, floorMs };
  return { kind: "claim", commandId: id, issuedAtMs, floorMs, attempt };
}
