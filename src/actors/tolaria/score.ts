/** Accuracy for classes, R2 for numbers, from the sums that training steps report. */
import type { Dataset } from "../../protocols/dataset.ts";

const totalSquares = new WeakMap<Float32Array, number>();

/** Mean squared distance of the targets from their mean. */
function targetVariance(y: Float32Array): number {
  const known = totalSquares.get(y);
  if (known !== undefined) return known;
  let mean = 0;
  for (const value of y) mean += value / y.length;
  let sum = 0;
  for (const value of y) sum += (value - mean) ** 2;
  totalSquares.set(y, sum / y.length);
  return sum / y.length;
}

/** `scoreSum` is correct predictions or summed squared errors over `samples` samples. */
export function scoreOf(dataset: Dataset, scoreSum: number, samples: number): number {
  if (dataset.task === "classification") return scoreSum / samples;
  const variance = targetVariance(dataset.train.y);
  return variance > 0 ? 1 - scoreSum / samples / variance : 0;
}
