/** The smallest trainable classifiers, to measure how hard a data set is. Hidden 0: linear. */
import type { Dataset, Samples } from "../../../src/protocols/dataset.ts";
import { createRandom } from "../../../src/runtime/random.ts";

interface Layer {
  readonly inputs: number;
  readonly outputs: number;
  readonly weights: Float32Array;
  readonly gradient: Float32Array;
  readonly first: Float32Array;
  readonly second: Float32Array;
}

const RATE = 0.003;
const BATCH = 20;

/** Validation accuracy or R2 after Adam; one tanh layer of `hidden` units, or none. */
export function trainedScore(
  data: Pick<Dataset, "train" | "validation" | "target">,
  hidden: number,
  epochs: number,
): number {
  const random = createRandom(7, "tiny-net");
  const inputs = data.train.x.length / data.train.count;
  const classes = data.target.kind === "classes";
  const outputs = data.target.kind === "classes" ? data.target.classes.length : 1;
  const sizes = hidden === 0 ? [inputs, outputs] : [inputs, hidden, outputs];
  const layers = sizes.slice(1).map((size, at): Layer => {
    const from = sizes[at]!;
    const length = (from + 1) * size;
    const weights = Float32Array.from({ length }, () => random.normal() / Math.sqrt(from));
    const blank = () => new Float32Array(length);
    return {
      inputs: from,
      outputs: size,
      weights,
      gradient: blank(),
      first: blank(),
      second: blank(),
    };
  });
  const order = [...Array(data.train.count).keys()];
  let step = 0;
  for (let epoch = 0; epoch < epochs; epoch++) {
    random.shuffle(order);
    for (const [at, row] of order.entries()) {
      backward(layers, data.train, row, classes);
      if (at % BATCH === BATCH - 1) adam(layers, ++step);
    }
  }
  const answers = [...Array(data.validation.count).keys()].map(
    (row) => forward(layers, data.validation, row).at(-1)!,
  );
  return classes ? accuracy(answers, data.validation.y) : r2(answers, data.validation.y);
}

function accuracy(answers: readonly Float32Array[], y: Float32Array): number {
  const right = answers.filter((scores, row) => scores.indexOf(Math.max(...scores)) === y[row]);
  return right.length / answers.length;
}

function r2(answers: readonly Float32Array[], y: Float32Array): number {
  const mean = y.reduce((sum, value) => sum + value, 0) / y.length;
  const left = answers.reduce((sum, [answer], row) => sum + (answer! - y[row]!) ** 2, 0);
  return 1 - left / y.reduce((sum, value) => sum + (value - mean) ** 2, 0);
}

function forward(layers: readonly Layer[], samples: Samples, row: number): Float32Array[] {
  const width = layers[0]!.inputs;
  const activations = [samples.x.subarray(row * width, (row + 1) * width)];
  for (const [at, layer] of layers.entries()) {
    const input = activations[at]!;
    const output = new Float32Array(layer.outputs);
    for (let unit = 0; unit < layer.outputs; unit++) {
      const base = unit * (layer.inputs + 1);
      let sum = layer.weights[base + layer.inputs]!;
      for (let feature = 0; feature < layer.inputs; feature++) {
        sum += layer.weights[base + feature]! * input[feature]!;
      }
      output[unit] = at === layers.length - 1 ? sum : Math.tanh(sum);
    }
    activations.push(output);
  }
  return activations;
}

/** Gradient of the cross-entropy, or of half the squared error, with respect to the outputs. */
function outputError(scores: Float32Array, y: number, classes: boolean): Float32Array {
  if (!classes) return Float32Array.of(scores[0]! - y);
  const top = Math.max(...scores);
  const total = scores.reduce((sum, score) => sum + Math.exp(score - top), 0);
  return scores.map((score, at) => Math.exp(score - top) / total - (at === y ? 1 : 0));
}

function backward(layers: readonly Layer[], samples: Samples, row: number, classes: boolean): void {
  const activations = forward(layers, samples, row);
  let error = outputError(activations.at(-1)!, samples.y[row]!, classes);
  for (let at = layers.length - 1; at >= 0; at--) {
    const layer = layers[at]!;
    const input = activations[at]!;
    const below = new Float32Array(layer.inputs);
    for (let unit = 0; unit < layer.outputs; unit++) {
      const base = unit * (layer.inputs + 1);
      const delta = error[unit]!;
      for (let feature = 0; feature < layer.inputs; feature++) {
        below[feature]! += delta * layer.weights[base + feature]!;
        layer.gradient[base + feature]! += delta * input[feature]!;
      }
      layer.gradient[base + layer.inputs]! += delta;
    }
    error = below.map((value, feature) => value * (1 - input[feature]! ** 2));
  }
}

function adam(layers: readonly Layer[], step: number): void {
  const rate = (RATE * Math.sqrt(1 - 0.999 ** step)) / (1 - 0.9 ** step);
  for (const { weights, gradient, first, second } of layers) {
    for (let at = 0; at < weights.length; at++) {
      const slope = gradient[at]! / BATCH;
      first[at] = 0.9 * first[at]! + 0.1 * slope;
      second[at] = 0.999 * second[at]! + 0.001 * slope ** 2;
      weights[at]! -= (rate * first[at]!) / (Math.sqrt(second[at]!) + 1e-8);
    }
    gradient.fill(0);
  }
}
