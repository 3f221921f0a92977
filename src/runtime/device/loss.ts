/**
 * Losses on plain arrays: the mean loss of a batch, its score, and the gradient by the network's
 * outputs. Sums are taken in double precision. One pass, and one read of the outputs.
 */

import type { Task } from "../../protocols/dataset.ts";
import { EsperError, invariant } from "../../protocols/errors.ts";

/** What a loss says of one batch. */
export interface LossReport {
  /** Mean over the samples. */
  readonly loss: number;
  /** Correct predictions, or the sum over samples of the squared error. */
  readonly scoreSum: number;
  /** d loss / d output, [count, units] row-major. */
  readonly gradient: Float32Array;
}

/**
 * Must pass before the losses are used.
 * @throws {DATA_INVALID} for a target that is no class index.
 */
export function checkTargets(task: Task, targets: Float32Array, units: number): void {
  if (task !== "classification") return;
  targets.forEach((target, row) => {
    if (Number.isInteger(target) && target >= 0 && target < units) return;
    throw new EsperError(
      "DATA_INVALID",
      `row ${row} of the samples has class ${target}; classes are whole numbers from 0 to ` +
        `${units - 1}`,
      { row, target, units },
    );
  });
}

/** Index of the largest logit (the first of equals) and the log of the sum of exponentials. */
function summarise(logits: Float32Array, start: number, units: number) {
  let top = 0;
  for (let unit = 1; unit < units; unit++) {
    if ((logits[start + unit] as number) > (logits[start + top] as number)) top = unit;
  }
  const largest = logits[start + top] as number;
  let sum = 0;
  for (let unit = 0; unit < units; unit++) {
    sum += Math.exp((logits[start + unit] as number) - largest);
  }
  return { top, logSum: largest + Math.log(sum) };
}

/** Softmax cross-entropy. `targets` holds one class index per sample. */
export function crossEntropy(
  logits: Float32Array,
  targets: Float32Array,
  units: number,
): LossReport {
  const count = targets.length;
  invariant(logits.length === count * units, "one row of logits per target");
  const gradient = new Float32Array(logits.length);
  let total = 0;
  let correct = 0;
  for (let row = 0; row < count; row++) {
    const start = row * units;
    const label = targets[row] as number;
    const { top, logSum } = summarise(logits, start, units);
    total += logSum - (logits[start + label] as number);
    if (top === label) correct += 1;
    for (let unit = 0; unit < units; unit++) {
      const probability = Math.exp((logits[start + unit] as number) - logSum);
      gradient[start + unit] = (probability - (unit === label ? 1 : 0)) / count;
    }
  }
  return { loss: total / count, scoreSum: correct, gradient };
}

/** Squared error, averaged over the units of a sample. `targets` is [count, units]. */
export function squaredError(
  outputs: Float32Array,
  targets: Float32Array,
  units: number,
): LossReport {
  invariant(outputs.length === targets.length, "one output per target");
  const gradient = new Float32Array(outputs.length);
  let total = 0;
  for (let index = 0; index < outputs.length; index++) {
    const error = (outputs[index] as number) - (targets[index] as number);
    total += error * error;
    gradient[index] = (2 * error) / outputs.length;
  }
  return { loss: total / outputs.length, scoreSum: total / units, gradient };
}

/** The loss of the task. */
export function lossOf(
  task: Task,
  outputs: Float32Array,
  targets: Float32Array,
  units: number,
): LossReport {
  return task === "classification"
    ? crossEntropy(outputs, targets, units)
    : squaredError(outputs, targets, units);
}

/** Softmax of each row, in place of the logits. */
export function softmaxRows(logits: Float32Array, units: number): Float32Array {
  const out = new Float32Array(logits.length);
  for (let start = 0; start < logits.length; start += units) {
    const { logSum } = summarise(logits, start, units);
    for (let unit = 0; unit < units; unit++) {
      out[start + unit] = Math.exp((logits[start + unit] as number) - logSum);
    }
  }
  return out;
}
