/**
 * Judges the bytes of one log segment: which records are good, and if something is wrong, whether
 * it is a write that a crash cut short or damage to a record that was acknowledged. Pure.
 *
 * A crash leaves unwritten 512-byte sectors as zeros or beyond the end of the file, and only in the
 * last batch of the last segment. Everything else is damage: a broken record at or below a
 * `committed` mark found anywhere behind it, or a broken record without a missing sector.
 */
import { FRAME_HEADER_BYTES, type Frame, LOG_ID_BYTES, readFrame } from "./frame.ts";

const SECTOR_BYTES = 512;

export interface SegmentExpectation {
  /** Null: the first whole frame decides. */
  readonly logId: Uint8Array | null;
  readonly firstSequence: number;
  /** False for all but the last segment: they were complete before the next one began. */
  readonly mayBeTorn: boolean;
}

export type SegmentFlaw =
  | { readonly kind: "torn"; readonly offset: number; readonly bytes: number }
  | { readonly kind: "damaged"; readonly offset: number; readonly why: string };

export interface SegmentScan {
  readonly logId: Uint8Array | null;
  readonly records: number;
  readonly nextSequence: number;
  /** Bytes up to the end of the last good frame. */
  readonly goodBytes: number;
  readonly newestTimeMs: number;
  /** True when the good part ends with a commit frame, so all of it is known to be on disk. */
  readonly sealed: boolean;
  readonly flaw: SegmentFlaw | null;
}

/** True when the two log ids are the same. */
export function sameLog(left: Uint8Array, right: Uint8Array): boolean {
  for (let index = 0; index < LOG_ID_BYTES; index++) {
    if (left[index] !== right[index]) return false;
  }
  return true;
}

/** The highest `committed` mark of any whole frame of this log at or behind `from`. */
function committedBehind(bytes: Uint8Array, from: number, logId: Uint8Array | null): number {
  let highest = 0;
  for (let offset = from; offset + FRAME_HEADER_BYTES <= bytes.byteLength; offset++) {
    // The first byte of the magic number: cheap enough to try every offset.
    if (bytes[offset] !== 0x45) continue;
    const reading = readFrame(bytes, offset);
    if (reading.state !== "whole") continue;
    if (logId !== null && !sameLog(reading.frame.logId, logId)) continue;
    highest = Math.max(highest, reading.frame.committed);
    offset = reading.end - 1;
  }
  return highest;
}

/** True when some sector's share of [from, to) holds only zeros: it was never written. */
function missesSector(bytes: Uint8Array, from: number, to: number): boolean {
  let start = from;
  while (start < to) {
    const end = Math.min(to, (Math.floor(start / SECTOR_BYTES) + 1) * SECTOR_BYTES);
    if (bytes.subarray(start, end).every((byte) => byte === 0)) return true;
    start = end;
  }
  return false;
}

interface Cursor {
  logId: Uint8Array | null;
  nextSequence: number;
  records: number;
  offset: number;
  newestTimeMs: number;
  sealed: boolean;
}

/** Why a whole frame does not belong here, or null when it does. */
function misplaced(frame: Frame, cursor: Cursor): string | null {
  if (cursor.logId !== null && !sameLog(frame.logId, cursor.logId)) {
    return "the record belongs to another log";
  }
  const expected = frame.kind === "data" ? cursor.nextSequence : cursor.nextSequence - 1;
  if (frame.sequence === expected) return null;
  return `record ${frame.sequence} stands where record ${expected} must be`;
}

function flawAt(bytes: Uint8Array, cursor: Cursor, expected: SegmentExpectation): SegmentFlaw {
  const { offset } = cursor;
  const reading = readFrame(bytes, offset);
  if (reading.state === "whole") {
    const why = misplaced(reading.frame, cursor);
    return { kind: "damaged", offset, why: why ?? "the record is out of place" };
  }
  const left = bytes.byteLength - offset;
  const torn: SegmentFlaw = { kind: "torn", offset, bytes: left };
  if (!expected.mayBeTorn) {
    return { kind: "damaged", offset, why: "the record is broken, and later segments exist" };
  }
  if (reading.state === "partial") return torn;
  if (committedBehind(bytes, offset + 1, cursor.logId) >= cursor.nextSequence) {
    return { kind: "damaged", offset, why: "the record is broken, and later records are good" };
  }
  const end = reading.state === "bad-payload" ? reading.end : offset + FRAME_HEADER_BYTES;
  if (missesSector(bytes, offset, end)) return torn;
  return { kind: "damaged", offset, why: "the record's checksum does not match" };
}

/** Walks a segment from its start; `visit` sees every good data frame in order. */
export function scanSegment(
  bytes: Uint8Array,
  expected: SegmentExpectation,
  visit: (frame: Frame) => void = () => {},
): SegmentScan {
  const cursor: Cursor = {
    logId: expected.logId,
    nextSequence: expected.firstSequence,
    records: 0,
    offset: 0,
    newestTimeMs: 0,
    sealed: false,
  };
  let flaw: SegmentFlaw | null = null;
  while (cursor.offset < bytes.byteLength) {
    const reading = readFrame(bytes, cursor.offset);
    if (reading.state !== "whole" || misplaced(reading.frame, cursor) !== null) {
      flaw = flawAt(bytes, cursor, expected);
      break;
    }
    const { frame } = reading;
    cursor.logId = frame.logId;
    cursor.offset = reading.end;
    cursor.sealed = frame.kind === "commit";
    if (frame.kind === "commit") continue;
    cursor.records++;
    cursor.nextSequence++;
    cursor.newestTimeMs = Math.max(cursor.newestTimeMs, frame.timeMs);
    visit(frame);
  }
  const { offset, ...rest } = cursor;
  return { ...rest, goodBytes: offset, flaw };
}
