/**
 * What the records of a drill hold. Every byte follows from the seed, the life of the writer and
 * the number of the record, so whoever reads a record back can tell whether it was ever offered.
 */

const HEADER_BYTES = 16;
const LARGE_EVERY = 64;
const SMALL_BYTES = 480;
const LARGE_BYTES = 24_576;
/** A compaction drops one record of four. */
const DROPPED_EVERY = 4;

/** Names one record of a drill. */
export interface Name {
  /** Which start of the writer offered it, from 1. */
  readonly life: number;
  /** Its place among the offers of that life, from 0. */
  readonly index: number;
}

/** The finaliser of SplitMix32. */
function mix(value: number): number {
  let z = value | 0;
  z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
  return (z ^ (z >>> 15)) >>> 0;
}

/** The payload of a record: 16 bytes that name it, then up to 480 bytes, sometimes 24 KiB. */
export function payloadOf(seed: number, { life, index }: Name): Uint8Array {
  const key = mix(seed ^ mix(life ^ mix(index)));
  const large = key % LARGE_EVERY === 0;
  const length = HEADER_BYTES + (mix(key) % (large ? LARGE_BYTES : SMALL_BYTES));
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  for (const [at, value] of [seed, life, index, length].entries()) {
    view.setUint32(4 * at, value, true);
  }
  let at = HEADER_BYTES;
  // A looked-at log is made again record by record: this must cost less than reading it did.
  for (let word = key; at + 4 <= length; at += 4) {
    word = (Math.imul(word, 1_664_525) + 1_013_904_223) >>> 0;
    view.setUint32(at, word, true);
  }
  for (; at < length; at++) bytes[at] = mix(key + at);
  return bytes;
}

/** Which record the payload says it is; null when it is too short to say. */
export function nameOf(payload: Uint8Array): Name | null {
  if (payload.byteLength < HEADER_BYTES) return null;
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  return { life: view.getUint32(4, true), index: view.getUint32(8, true) };
}

/** True when a compaction of the drill's writer keeps the record. */
export const keeps = ({ index }: Name): boolean => index % DROPPED_EVERY !== 0;
