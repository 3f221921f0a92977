/**
 * Images as the loaders of image files hand them on: raw bytes, channels last, one label each. The
 * network sees (byte - mean) / scale, one mean and scale for all pixels of the training images.
 */
import type { InputEncoding } from "../../../protocols/dataset.ts";
import { assertWithinBudget } from "../budget.ts";
import { buildSamples, FLOAT_BYTES } from "../memory.ts";
import { invalidData } from "../refuse.ts";
import type { Moments } from "../statistics.ts";

type GridEncoding = Extract<InputEncoding, { kind: "grid" }>;

/** `shape` is [height, width, channels]; `pixels` is [count, ...shape] row-major. */
export interface Images {
  readonly path: string;
  readonly count: number;
  readonly shape: readonly [number, number, number];
  readonly pixels: Uint8Array;
}

/** Images with one class label each. */
export interface LabelledImages extends Images {
  readonly labels: Uint8Array;
}

/** The number of values in one image, or in any array of this shape. */
export function imageSize(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

/** @throws {DATA_TOO_LARGE} when `count` images as 32-bit floats are beyond the budget. */
export function assertImagesFit(
  path: string,
  count: number,
  shape: readonly number[],
  budgetBytes: number,
): void {
  const bytes = count * (imageSize(shape) + 1) * FLOAT_BYTES;
  const what = `${count} images of ${shape.join(" x ")} as 32-bit floats`;
  assertWithinBudget(path, what, bytes, budgetBytes);
}

/** @throws {DATA_INVALID} when every pixel of the rows is the same. */
export function fitGrid(images: Images, rows: readonly number[]): GridEncoding {
  const moments = measurePixels(images, rows);
  if (moments.deviation > 0) {
    return { kind: "grid", mean: moments.mean, scale: moments.deviation };
  }
  throw invalidData(images.path, "all pixels of the training images are the same");
}

// Counting the 256 byte values first makes this a pass of additions over millions of pixels.
function measurePixels(images: Images, rows: readonly number[]): Moments {
  const size = imageSize(images.shape);
  const histogram = new Float64Array(256);
  for (const row of rows) {
    for (const value of images.pixels.subarray(row * size, (row + 1) * size)) {
      histogram[value] = (histogram[value] ?? 0) + 1;
    }
  }
  const count = rows.length * size;
  const mean = histogram.reduce((sum, times, value) => sum + (times * value) / count, 0);
  const variance = histogram.reduce(
    (sum, times, value) => sum + (times * (value - mean) ** 2) / count,
    0,
  );
  return { count, mean, deviation: Math.sqrt(variance) };
}

/** The rows as samples on shared memory; `classOf` gives the class index of a row. */
export function encodeImages(
  images: Images,
  rows: readonly number[],
  encoding: GridEncoding,
  classOf: (row: number) => number,
) {
  const size = imageSize(images.shape);
  const scaled = Float32Array.from({ length: 256 }, (_, value) => {
    return (value - encoding.mean) / encoding.scale;
  });
  return buildSamples(rows.length, size, (position, x) => {
    const row = rows[position] ?? 0;
    const source = images.pixels.subarray(row * size, (row + 1) * size);
    for (let at = 0; at < size; at++) x[at] = scaled[source[at] ?? 0] ?? 0;
    return classOf(row);
  });
}
