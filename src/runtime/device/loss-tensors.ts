/**
 * The losses of `loss.ts` as tensor operations, for engines whose memory is not ours: the same
 * formulas in the device's single precision, differentiated by the library. Reads nothing back.
 */
import type { Task } from "../../protocols/dataset.ts";
import type { Tensor, Tf } from "./engine-types.ts";

/** One batch's targets on the device. */
export interface TargetTensors {
  /** Mean loss per sample, a scalar; differentiable by the outputs. */
  loss(outputs: Tensor): Tensor;
  /** Correct predictions, or the sum over samples of the squared error, a scalar. */
  scoreSum(outputs: Tensor): Tensor;
}

function classTargets(tf: Tf, targets: Float32Array, units: number): TargetTensors {
  const labels = tf.tensor1d(Int32Array.from(targets), "int32");
  // Cast afterwards: the wasm backend writes integers into a one-hot tensor of floats.
  const wanted = tf.cast(tf.oneHot(labels, units), "float32");
  return {
    loss(outputs) {
      const picked = tf.sum(tf.mul(wanted, tf.logSoftmax(outputs)));
      return tf.mul(picked, -1 / targets.length);
    },
    scoreSum: (outputs) => tf.sum(tf.cast(tf.equal(tf.argMax(outputs, -1), labels), "float32")),
  };
}

function numberTargets(tf: Tf, targets: Float32Array, units: number): TargetTensors {
  const wanted = tf.tensor2d(targets, [targets.length / units, units]);
  const squares = (outputs: Tensor) => tf.sum(tf.square(tf.sub(outputs, wanted)));
  return {
    loss: (outputs) => tf.mul(squares(outputs), 1 / targets.length),
    scoreSum: (outputs) => tf.mul(squares(outputs), 1 / units),
  };
}

/**
 * Uploads targets that `checkTargets` has passed; class indices, or [count, units] values. Runs
 * inside the caller's scope, which owns the tensors.
 */
export function uploadTargets(
  tf: Tf,
  task: Task,
  targets: Float32Array,
  units: number,
): TargetTensors {
  return task === "classification"
    ? classTargets(tf, targets, units)
    : numberTargets(tf, targets, units);
}
