/** Float memory that threads share: a data set reaches the device thread without being copied. */
import type { Samples } from "../../protocols/dataset.ts";

/** Bytes of one value of a data set. */
export const FLOAT_BYTES = Float32Array.BYTES_PER_ELEMENT;

/** `length` zeroed floats on a SharedArrayBuffer. */
export function sharedFloats(length: number): Float32Array {
  return new Float32Array(new SharedArrayBuffer(length * FLOAT_BYTES));
}

/** Samples on shared memory: `width` features per row, filled by `fill` for each row. */
export function buildSamples(
  count: number,
  width: number,
  fill: (row: number, x: Float32Array) => number,
): Samples {
  const x = sharedFloats(count * width);
  const y = sharedFloats(count);
  for (let row = 0; row < count; row++) {
    y[row] = fill(row, x.subarray(row * width, (row + 1) * width));
  }
  return { count, x, y };
}
