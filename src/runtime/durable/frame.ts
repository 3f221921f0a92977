/**
 * One frame of a write-ahead log: a checked header of 52 bytes and a payload. The header has its
 * own checksum, so a length can be trusted before the payload is there. Sequence and log id are
 * under it: a frame that was moved, repeated or taken from another log is never accepted.
 * Little-endian: magic u32, version u16, kind u16, length u32, payload CRC u32, log id 8 bytes,
 * sequence u64, committed u64, time f64 (milliseconds since 1970), header CRC u32.
 */
import { invariant } from "../../protocols/errors.ts";
import { crc32c } from "./crc32c.ts";

export const FRAME_HEADER_BYTES = 52;
export const LOG_ID_BYTES = 8;
const MAGIC = 0x4c_41_57_45;
const FRAME_VERSION = 1;
const HEADER_CRC_AT = 48;

/** "data" carries a record; "commit" says that all before it was once safely on disk. */
export type FrameKind = "data" | "commit";

const KIND_NUMBERS = { data: 1, commit: 2 } as const satisfies Record<FrameKind, number>;

export interface FrameHeader {
  readonly kind: FrameKind;
  readonly logId: Uint8Array;
  /** 1 for the first record of a log; a commit frame repeats the last record's number. */
  readonly sequence: number;
  /** Every record up to this one was on disk when the frame was written. */
  readonly committed: number;
  readonly timeMs: number;
}

export interface Frame extends FrameHeader {
  readonly payload: Uint8Array;
}

/** What stands at an offset. "partial" is the beginning of a frame that the bytes do not hold. */
export type FrameReading =
  | { readonly state: "whole"; readonly frame: Frame; readonly end: number }
  | { readonly state: "partial"; readonly needed: number }
  | { readonly state: "bad-header" }
  | { readonly state: "bad-payload"; readonly end: number };

/** Writes a frame at `offset` of `target` and returns the offset behind it. */
export function writeFrame(target: Uint8Array, offset: number, frame: Frame): number {
  invariant(frame.logId.byteLength === LOG_ID_BYTES, "a log id has 8 bytes");
  const { payload } = frame;
  const view = new DataView(target.buffer, target.byteOffset + offset, FRAME_HEADER_BYTES);
  view.setUint32(0, MAGIC, true);
  view.setUint16(4, FRAME_VERSION, true);
  view.setUint16(6, KIND_NUMBERS[frame.kind], true);
  view.setUint32(8, payload.byteLength, true);
  view.setUint32(12, crc32c(payload), true);
  target.set(frame.logId, offset + 16);
  view.setBigUint64(24, BigInt(frame.sequence), true);
  view.setBigUint64(32, BigInt(frame.committed), true);
  view.setFloat64(40, frame.timeMs, true);
  const header = target.subarray(offset, offset + HEADER_CRC_AT);
  view.setUint32(HEADER_CRC_AT, crc32c(header), true);
  target.set(payload, offset + FRAME_HEADER_BYTES);
  return offset + FRAME_HEADER_BYTES + payload.byteLength;
}

/** Space that a frame with this payload takes. */
export function frameBytes(payloadBytes: number): number {
  return FRAME_HEADER_BYTES + payloadBytes;
}

function kindOf(value: number): FrameKind | null {
  if (value === KIND_NUMBERS.data) return "data";
  return value === KIND_NUMBERS.commit ? "commit" : null;
}

function readHeader(bytes: Uint8Array, offset: number): (FrameHeader & Sizes) | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, FRAME_HEADER_BYTES);
  if (view.getUint32(0, true) !== MAGIC) return null;
  const covered = bytes.subarray(offset, offset + HEADER_CRC_AT);
  if (view.getUint32(HEADER_CRC_AT, true) !== crc32c(covered)) return null;
  const kind = kindOf(view.getUint16(6, true));
  if (view.getUint16(4, true) !== FRAME_VERSION || kind === null) return null;
  return {
    kind,
    logId: new Uint8Array(bytes.subarray(offset + 16, offset + 16 + LOG_ID_BYTES)),
    sequence: Number(view.getBigUint64(24, true)),
    committed: Number(view.getBigUint64(32, true)),
    timeMs: view.getFloat64(40, true),
    payloadBytes: view.getUint32(8, true),
    payloadCrc: view.getUint32(12, true),
  };
}

interface Sizes {
  readonly payloadBytes: number;
  readonly payloadCrc: number;
}

/** Reads what stands at `offset`; the payload is a view into `bytes`, not a copy. */
export function readFrame(bytes: Uint8Array, offset: number): FrameReading {
  const left = bytes.byteLength - offset;
  if (left < FRAME_HEADER_BYTES) return { state: "partial", needed: FRAME_HEADER_BYTES };
  const header = readHeader(bytes, offset);
  if (header === null) return { state: "bad-header" };
  const { payloadBytes, payloadCrc, ...fields } = header;
  const needed = frameBytes(payloadBytes);
  if (left < needed) return { state: "partial", needed };
  const end = offset + needed;
  const payload = bytes.subarray(offset + FRAME_HEADER_BYTES, end);
  if (crc32c(payload) !== payloadCrc) return { state: "bad-payload", end };
  return { state: "whole", frame: { ...fields, payload }, end };
}
