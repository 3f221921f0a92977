/**
 * The records of a soak: each follows from the seed and its id alone, so that whoever knows both
 * can say what must be on the disk, byte for byte, without asking the log.
 */
import { createRandom } from "../random.ts";

/** One record as it is offered to the log. */
export interface SoakRecord {
  readonly timeMs: number;
  readonly payload: Uint8Array;
}

const ID_BYTES = 8;
const SMALLEST = 24;
const USUAL = 700;
const LARGE = 24_000;
/** One record in so many is large: it spans many sectors. */
const LARGE_EVERY = 97;
/** The first record's time; any time would do. */
const FIRST_MS = 1_700_000_000_000;

/** A record's time counts up with its id. */
export function timeOf(id: number): number {
  return FIRST_MS + id;
}

/** The record with this id. */
export function soakRecord(seed: number, id: number): SoakRecord {
  const random = createRandom(seed, `record-${id}`);
  const most = id % LARGE_EVERY === 0 ? LARGE : USUAL;
  const payload = new Uint8Array(SMALLEST + random.integer(most));
  const view = new DataView(payload.buffer);
  view.setFloat64(0, id, true);
  let offset = ID_BYTES;
  for (; offset + 4 <= payload.byteLength; offset += 4) {
    view.setUint32(offset, random.integer(2 ** 32), true);
  }
  return { timeMs: timeOf(id), payload };
}

/** The id that a payload claims to have; null when it cannot be one. */
export function idOf(payload: Uint8Array): number | null {
  if (payload.byteLength < SMALLEST) return null;
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const id = view.getFloat64(0, true);
  return Number.isSafeInteger(id) && id > 0 ? id : null;
}
