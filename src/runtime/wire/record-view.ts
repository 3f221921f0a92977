/**
 * What the codecs see of memory and of actor references. A view is the same bytes under three
 * element types, so a ring's data area, a slab slot and a test's buffer all look alike. Nothing
 * here knows what a record means.
 */
import { invariant } from "../../protocols/errors.ts";

/** The same memory as bytes, words and doubles; offsets into it are bytes and multiples of 8. */
export interface RecordView {
  readonly i32: Int32Array;
  readonly f64: Float64Array;
  readonly u8: Uint8Array;
}

/** How a reference to an actor travels: three words. */
export interface WireRef {
  readonly address: number;
  readonly generation: number;
  readonly fingerprint: number;
}

/** Turns references into words and back. References are class instances, never plain objects. */
export interface RefCodec {
  /** @throws {NOT_TRANSFERABLE} for a reference that only this thread can use. */
  toWire(ref: object): WireRef;
  fromWire(address: number, generation: number, fingerprint: number): object;
  isRef(value: object): boolean;
}

/** A view of part of a memory; both numbers are multiples of 8. */
export function recordView(
  memory: ArrayBufferLike,
  byteOffset = 0,
  byteLength = memory.byteLength - byteOffset,
): RecordView {
  invariant(((byteOffset | byteLength) & 7) === 0, "a record view is aligned to 8 bytes");
  return {
    i32: new Int32Array(memory, byteOffset, byteLength >> 2),
    f64: new Float64Array(memory, byteOffset, byteLength >> 3),
    u8: new Uint8Array(memory, byteOffset, byteLength),
  };
}

/** Up to here a loop beats `set` and the `subarray` that it needs; measured. */
const LOOP_BYTES = 32;

/** Copies bytes between two memories. */
export function copyBytes(
  from: Uint8Array,
  start: number,
  end: number,
  to: Uint8Array,
  offset: number,
): void {
  const length = end - start;
  if (length > LOOP_BYTES) {
    to.set(from.subarray(start, end), offset);
    return;
  }
  for (let index = 0; index < length; index += 1) {
    to[offset + index] = from[start + index] as number;
  }
}
