/**
 * Adam and SGD as pure rules, each in two forms that agree: fused over plain arrays, and as tensor
 * operations. Weight decay is decoupled from the gradient (Loshchilov and Hutter 2019). A rule has
 * no state; its moments are handed in.
 */
import { invariant } from "../../protocols/errors.ts";
import type { Tensor, Tf } from "./engine-types.ts";

/** One update of one parameter. */
export interface UpdateContext {
  readonly learningRate: number;
  /** Share of the weight removed per step and unit of learning rate; 0 for biases. */
  readonly decay: number;
  /** The gradient is multiplied by this first; below 1 when it is clipped. */
  readonly gradientScale: number;
  /** 1 for the parameter's own first update. */
  readonly step: number;
}

/** What the tensor form of a rule gives. */
export interface TensorUpdate {
  readonly value: Tensor;
  readonly moments: readonly Tensor[];
}

/** A rule in both forms. */
export interface UpdateRule {
  /** Names of the moments, one array of the parameter's size each. */
  readonly moments: readonly string[];
  /** Changes `values` and `moments` in place. */
  fused(
    values: Float32Array,
    gradient: Float32Array,
    moments: readonly Float32Array[],
    context: UpdateContext,
  ): void;
  /** Gives the next value and moments; runs inside the caller's tidy. */
  tensors(
    tf: Tf,
    value: Tensor,
    gradient: Tensor,
    moments: readonly Tensor[],
    context: UpdateContext,
  ): TensorUpdate;
}

const BETA1 = 0.9;
const BETA2 = 0.999;
const EPSILON = 1e-8;
const MOMENTUM = 0.9;

/** Adam with bias correction (Kingma and Ba 2015, algorithm 1). */
const adam: UpdateRule = {
  moments: ["mean", "square"],

  fused(values, gradient, [mean, square], { learningRate, decay, gradientScale, step }) {
    invariant(mean !== undefined && square !== undefined, "Adam has two moments");
    const keep = 1 - learningRate * decay;
    const rate = learningRate / (1 - BETA1 ** step);
    const correction = 1 / (1 - BETA2 ** step);
    for (let index = 0; index < values.length; index++) {
      const g = (gradient[index] as number) * gradientScale;
      const m = BETA1 * (mean[index] as number) + (1 - BETA1) * g;
      const v = BETA2 * (square[index] as number) + (1 - BETA2) * g * g;
      mean[index] = m;
      square[index] = v;
      const stepSize = (rate * m) / (Math.sqrt(v * correction) + EPSILON);
      values[index] = (values[index] as number) * keep - stepSize;
    }
  },

  tensors(tf, value, gradient, [mean, square], { learningRate, decay, gradientScale, step }) {
    invariant(mean !== undefined && square !== undefined, "Adam has two moments");
    const g = tf.mul(gradient, gradientScale);
    const m = tf.add(tf.mul(mean, BETA1), tf.mul(g, 1 - BETA1));
    const v = tf.add(tf.mul(square, BETA2), tf.mul(tf.square(g), 1 - BETA2));
    const root = tf.add(tf.sqrt(tf.mul(v, 1 / (1 - BETA2 ** step))), EPSILON);
    const stepSize = tf.div(tf.mul(m, learningRate / (1 - BETA1 ** step)), root);
    return {
      value: tf.sub(tf.mul(value, 1 - learningRate * decay), stepSize),
      moments: [m, v],
    };
  },
};

/** Gradient descent with momentum: m = 0.9 m + g, and the step is the learning rate times m. */
const sgd: UpdateRule = {
  moments: ["momentum"],

  fused(values, gradient, [momentum], { learningRate, decay, gradientScale }) {
    invariant(momentum !== undefined, "SGD has one moment");
    const keep = 1 - learningRate * decay;
    for (let index = 0; index < values.length; index++) {
      const g = (gradient[index] as number) * gradientScale;
      const m = MOMENTUM * (momentum[index] as number) + g;
      momentum[index] = m;
      values[index] = (values[index] as number) * keep - learningRate * m;
    }
  },

  tensors(tf, value, gradient, [momentum], { learningRate, decay, gradientScale }) {
    invariant(momentum !== undefined, "SGD has one moment");
    const m = tf.add(tf.mul(momentum, MOMENTUM), tf.mul(gradient, gradientScale));
    return {
      value: tf.sub(tf.mul(value, 1 - learningRate * decay), tf.mul(m, learningRate)),
      moments: [m],
    };
  },
};

/** The rules by the name a user gives. */
export const UPDATE_RULES = { adam, sgd } as const;
/** The name of a rule. */
export type OptimizerKind = keyof typeof UPDATE_RULES;
