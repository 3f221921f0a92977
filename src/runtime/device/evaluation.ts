/** What the network says, without changing it: outputs, loss and score over many samples. */
import type { Samples } from "../../protocols/dataset.ts";
import { invariant } from "../../protocols/errors.ts";
import { readValues, scoped, sizeOf } from "./engine-types.ts";
import type { AlphaOf } from "./grown-network.ts";
import { checkTargets, lossOf } from "./loss.ts";
import { inputTensor } from "./passes.ts";
import type { TrainingSubject } from "./training-step.ts";

/** How good the network is over a set of samples. */
export interface Evaluation {
  /** Mean per sample. */
  readonly loss: number;
  /** Accuracy, or R2 over these samples. */
  readonly score: number;
}

/** Samples per pass when nothing else is asked for. */
export const EVALUATION_BATCH = 256;

/** The raw outputs for `count` samples, [count, outputUnits], computed in batches. */
export async function outputsOf(
  subject: TrainingSubject,
  x: Float32Array,
  count: number,
  alphaOf: AlphaOf,
  batchSize: number,
): Promise<Float32Array> {
  const { engine, network, inputShape, outputUnits } = subject;
  const width = sizeOf(inputShape);
  invariant(x.length === count * width, "the samples have the network's input shape");
  const outputs = new Float32Array(count * outputUnits);
  for (let start = 0; start < count; start += batchSize) {
    const rows = Math.min(batchSize, count - start);
    const slice = x.subarray(start * width, (start + rows) * width);
    const out = scoped(engine.tf, () => {
      const input = inputTensor(subject, { count: rows, x: slice, y: slice });
      return engine.tf.keep(network.forward(input, alphaOf));
    });
    try {
      const { hostMemory } = engine;
      const values = hostMemory?.view(out) ?? (await readValues(engine, out));
      outputs.set(values, start * outputUnits);
    } finally {
      out.dispose();
    }
  }
  return outputs;
}

/** Sum over samples and units of the squared distance from the unit's mean target. */
function totalSquares(targets: Float32Array, units: number): number {
  const count = targets.length / units;
  let total = 0;
  for (let unit = 0; unit < units; unit++) {
    let mean = 0;
    for (let row = 0; row < count; row++) mean += (targets[row * units + unit] as number) / count;
    for (let row = 0; row < count; row++) {
      total += ((targets[row * units + unit] as number) - mean) ** 2;
    }
  }
  return total;
}

/** @throws {DATA_INVALID} for a target that is no class. */
export async function evaluate(
  subject: TrainingSubject,
  samples: Samples,
  alphaOf: AlphaOf,
  batchSize: number,
): Promise<Evaluation> {
  const { task, outputUnits } = subject;
  checkTargets(task, samples.y, outputUnits);
  const outputs = await outputsOf(subject, samples.x, samples.count, alphaOf, batchSize);
  const { loss, scoreSum } = lossOf(task, outputs, samples.y, outputUnits);
  if (task === "classification") return { loss, score: scoreSum / samples.count };
  const total = totalSquares(samples.y, outputUnits);
  return { loss, score: total > 0 ? 1 - (scoreSum * outputUnits) / total : 0 };
}
