/**
 * One frame of a write-ahead log: a checked header and a payload. The header has its own checksum,
 * so a length can be trusted before the payload is there. Sequence and log id are under it: a frame
 * that was moved, repeated or taken from another log is never accepted.
 * Version 2, little-endian, 56 bytes: magic u32, version u16, kind u8, header bytes u8, length u32,
 * payload CRC u32, log id 8 bytes, sequence u64, committed u64, time f64 (milliseconds since 1970),
 * skipped u32, header CRC u32. Version 1 (52 bytes) has no `skipped` and 0 for the header bytes.
 */
import { createHash, randomBytes } from "node:crypto";
import { invariant } from "../../protocols/errors.ts";
import { type Block, crc32cRange } from "./crc32c.ts";

/** The header of the version that is written. */
export const FRAME_HEADER_BYTES = 56;
/** The smallest header of any version. */
export const LEAST_HEADER_BYTES = 52;
/** The version that is written; every earlier one is read for ever. */
export const FRAME_VERSION = 2;
/** The largest payload. */
export const MAX_RECORD_BYTES = 1_048_576;
/** "EWAL" */
export const FRAME_MAGIC = 0x4c_41_57_45;
const MAGIC_BYTES = [0x45, 0x57, 0x41, 0x4c] as const;

/**
 * "data" carries a record. "commit" says that all before it was once safely on disk. "end" closes a
 * compacted segment: records up to its number were removed, and nothing follows it there.
 */
export type FrameKind = "data" | "commit" | "end";

const KIND_NUMBERS = { data: 1, commit: 2, end: 3 } as const satisfies Record<FrameKind, number>;
const KINDS: readonly (FrameKind | undefined)[] = [undefined, "data", "commit", "end"];

/** The 8 bytes that tell one log from another. */
export interface LogId {
  readonly low: number;
  readonly high: number;
}

const logIdFrom = (bytes: Uint8Array): LogId => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 8);
  return { low: view.getUint32(0, true), high: view.getUint32(4, true) };
};

/** An id for a log that nobody named. */
export function randomLogId(): LogId {
  return logIdFrom(randomBytes(8));
}

/** The id that belongs to a name, for example of a run and of the log's purpose in it. */
export function logIdOf(name: string): LogId {
  return logIdFrom(createHash("sha256").update(name).digest());
}

/** The id as 16 hexadecimal digits, in the order of its bytes on disk. */
export function logIdText(id: LogId): string {
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, id.low, true);
  view.setUint32(4, id.high, true);
  return Buffer.from(bytes).toString("hex");
}

/** Space that a frame with this payload takes. */
export function frameBytes(payloadBytes: number): number {
  return FRAME_HEADER_BYTES + payloadBytes;
}

const TWO_32 = 2 ** 32;

function setU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value % TWO_32, true);
  view.setUint32(at + 4, Math.floor(value / TWO_32), true);
}

const getU64 = (view: DataView, at: number): number =>
  view.getUint32(at, true) + view.getUint32(at + 4, true) * TWO_32;

/**
 * Writes a frame whose place in the log is not known yet, and returns the offset behind it.
 * `stampFrame` must follow before it is a frame.
 */
export function writeFrame(
  target: Block,
  offset: number,
  frame: { readonly kind: FrameKind; readonly timeMs: number; readonly payload: Uint8Array },
): number {
  const { bytes, view } = target;
  const { payload } = frame;
  const from = offset + FRAME_HEADER_BYTES;
  const end = from + payload.byteLength;
  bytes.set(payload, from);
  view.setUint32(offset, FRAME_MAGIC, true);
  view.setUint16(offset + 4, FRAME_VERSION, true);
  view.setUint8(offset + 6, KIND_NUMBERS[frame.kind]);
  view.setUint8(offset + 7, FRAME_HEADER_BYTES);
  view.setUint32(offset + 8, payload.byteLength, true);
  view.setUint32(offset + 12, crc32cRange(target, from, end), true);
  view.setFloat64(offset + 40, frame.timeMs, true);
  return end;
}

/** Where a frame stands in its log. */
export interface Stamp {
  readonly logId: LogId;
  /** 1 for the first record of a log; a mark repeats the number of the last record before it. */
  readonly sequence: number;
  /** Every record up to this one was on disk when the frame was written. */
  readonly committed: number;
  /** How many numbers just before `sequence` a compaction removed. */
  readonly skipped: number;
}

/** Gives a written frame its place and its checksum. */
export function stampFrame(target: Block, offset: number, stamp: Stamp): void {
  invariant(stamp.skipped < TWO_32, "fewer than 2^32 records in a row were removed");
  const { view } = target;
  view.setUint32(offset + 16, stamp.logId.low, true);
  view.setUint32(offset + 20, stamp.logId.high, true);
  setU64(view, offset + 24, stamp.sequence);
  setU64(view, offset + 32, stamp.committed);
  view.setUint32(offset + 48, stamp.skipped, true);
  view.setUint32(offset + 52, crc32cRange(target, offset, offset + 52), true);
}

/** "partial" is the beginning of a frame that the bytes do not hold; "newer" a later version. */
export type FrameState = "whole" | "partial" | "bad-header" | "bad-payload" | "newer";

/** The first bytes of a frame in the order in which they lie on the disk, expected and found. */
const bytesText = (bytes: Iterable<number>): string =>
  `bytes ${Buffer.from([...bytes]).toString("hex")}`;
const MAGIC_TEXT = `${bytesText(MAGIC_BYTES)} (EWAL)`;

const hex = (value: number): string => `0x${value.toString(16).padStart(8, "0")}`;

/** Reads one frame after another without making an object for each. */
export class FrameReader {
  kind: FrameKind = "data";
  version = 0;
  logLow = 0;
  logHigh = 0;
  sequence = 0;
  committed = 0;
  skipped = 0;
  timeMs = 0;
  /** Where the payload begins and ends in the block. */
  payloadFrom = 0;
  end = 0;
  /** Bytes that a partial frame must have, as far as is known. */
  needed = 0;
  /** Of a bad or newer frame: what had to be there and what is. */
  expected = "";
  found = "";

  /** Judges what stands at `offset` of a block that holds bytes up to `limit`. */
  read(block: Block, offset: number, limit: number): FrameState {
    const left = limit - offset;
    if (left < LEAST_HEADER_BYTES) return this.#beginning(block.bytes.subarray(offset, limit));
    const { view } = block;
    if (view.getUint32(offset, true) !== FRAME_MAGIC) {
      return this.#bad(MAGIC_TEXT, bytesText(block.bytes.subarray(offset, offset + 4)));
    }
    const version = view.getUint16(offset + 4, true);
    const told = view.getUint8(offset + 7);
    const size = headerBytes(version, told);
    if (size === null) return this.#bad(`${FRAME_HEADER_BYTES} bytes of header`, String(told));
    if (left < size) return this.#partial(size, left);
    const wanted = view.getUint32(offset + size - 4, true);
    const actual = crc32cRange(block, offset, offset + size - 4);
    if (wanted !== actual) return this.#bad(`header checksum ${hex(wanted)}`, hex(actual));
    this.version = version;
    return this.#readBody(block, offset, size, limit);
  }

  #readBody(block: Block, offset: number, size: number, limit: number): FrameState {
    const { view } = block;
    const { version } = this;
    if (version > FRAME_VERSION) {
      this.expected = `a version up to ${FRAME_VERSION}`;
      this.found = `version ${version}`;
      return "newer";
    }
    const kind = KINDS[view.getUint8(offset + 6)];
    const payloadBytes = view.getUint32(offset + 8, true);
    if (kind === undefined) return this.#bad("a kind of frame from 1 to 3", "another one");
    if (payloadBytes > MAX_RECORD_BYTES) {
      return this.#bad(`at most ${MAX_RECORD_BYTES} bytes`, `${payloadBytes} bytes`);
    }
    this.kind = kind;
    this.logLow = view.getUint32(offset + 16, true);
    this.logHigh = view.getUint32(offset + 20, true);
    this.sequence = getU64(view, offset + 24);
    this.committed = getU64(view, offset + 32);
    this.timeMs = view.getFloat64(offset + 40, true);
    this.skipped = version === 1 ? 0 : view.getUint32(offset + 48, true);
    this.payloadFrom = offset + size;
    this.end = this.payloadFrom + payloadBytes;
    if (this.end > limit) return this.#partial(size + payloadBytes, limit - offset);
    const wanted = view.getUint32(offset + 12, true);
    const actual = crc32cRange(block, this.payloadFrom, this.end);
    if (actual === wanted) return "whole";
    this.expected = `payload checksum ${hex(wanted)}`;
    this.found = hex(actual);
    return "bad-payload";
  }

  get logId(): LogId {
    return { low: this.logLow, high: this.logHigh };
  }

  /** Fewer bytes than any header has. */
  #beginning(bytes: Uint8Array): FrameState {
    const wrong = MAGIC_BYTES.findIndex((byte, at) => at < bytes.byteLength && byte !== bytes[at]);
    if (wrong === -1) return this.#partial(LEAST_HEADER_BYTES, bytes.byteLength);
    return this.#bad(MAGIC_TEXT, bytesText(bytes.subarray(0, 4)));
  }

  #partial(needed: number, left: number): FrameState {
    this.needed = needed;
    this.expected = `${needed} bytes`;
    this.found = `${left} bytes`;
    return "partial";
  }

  #bad(expected: string, found: string): FrameState {
    this.expected = expected;
    this.found = found;
    return "bad-header";
  }
}

/** Null when the header contradicts its version; a later version says its size itself. */
function headerBytes(version: number, told: number): number | null {
  if (version === 1) return told === 0 ? LEAST_HEADER_BYTES : null;
  if (version === FRAME_VERSION) return told === FRAME_HEADER_BYTES ? told : null;
  return version === 0 || told < LEAST_HEADER_BYTES ? null : told;
}
