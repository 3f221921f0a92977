/**
 * The passes of one optimizer step. The main pass runs host and blending grafts; then every shadow
 * graft runs alone, from the host's activation at its site, with everything else frozen. The main
 * pass computes the same bits whether or not a shadow graft is there. Changes no weight.
 */
import { invariant } from "../../protocols/errors.ts";
import { type Engine, readValues, sizeOf, type Tensor } from "./engine-types.ts";
import type { Graft } from "./graft.ts";
import { type LossReport, lossOf } from "./loss.ts";
import { uploadTargets } from "./loss-tensors.ts";
import { type Gradients, globalNorm, squaredNorm } from "./optimizer.ts";
import { HOST_OWNER, type Parameter } from "./parameters.ts";
import type { Batch, TrainingSubject } from "./training-step.ts";

/** What a pass measured. */
export interface Figures {
  /** Mean per sample. */
  readonly loss: number;
  readonly scoreSum: number;
  /** Of this pass's gradients together, before clipping. */
  readonly norm: number;
}

/** Gradients of one pass, and what it measured; `Measured` is numbers, or a tensor to be read. */
export interface Pass<Measured> {
  /** Null for the main pass. */
  readonly graft: Graft | null;
  readonly parameters: readonly Parameter[];
  readonly gradients: Gradients;
  readonly measured: Measured;
}

/** Differentiates the batch's loss of `outputs` by the parameters. */
export type Differentiate<Measured> = (
  parameters: readonly Parameter[],
  outputs: () => Tensor,
) => Pick<Pass<Measured>, "gradients" | "measured">;

const activeAlpha = (graft: Graft): number => graft.activeAlpha;

/** Uploads the inputs of a batch. */
export function inputTensor(subject: TrainingSubject, batch: Batch): Tensor {
  const { engine, inputShape } = subject;
  invariant(batch.x.length === batch.count * sizeOf(inputShape), "the batch has its input shape");
  return engine.tf.tensor(batch.x, [batch.count, ...inputShape]);
}

/** The parameters that the main pass trains. */
function trainedParameters({ store, network }: TrainingSubject): readonly Parameter[] {
  const active = network.grafts.filter((graft) => graft.activeAlpha > 0);
  return [HOST_OWNER, ...active.map(({ seedId }) => seedId)].flatMap((owner) => store.owned(owner));
}

/**
 * The main pass and behind it one pass for every shadow graft. What a shadow graft takes in is put
 * into `kept`, for the caller to dispose of. Runs inside the caller's scope.
 */
export function runPasses<Measured>(
  subject: TrainingSubject,
  batch: Batch,
  differentiate: Differentiate<Measured>,
  kept: Tensor[],
): readonly [main: Pass<Measured>, ...shadows: Pass<Measured>[]] {
  const { engine, store, network } = subject;
  const { tf } = engine;
  const x = inputTensor(subject, batch);
  const taps = new Map<Graft, Tensor>();
  const parameters = trainedParameters(subject);
  const main = differentiate(parameters, () =>
    network.forward(x, activeAlpha, (graft, h) => {
      if (graft.phase !== "shadow") return;
      const tap = tf.keep(tf.clone(h));
      kept.push(tap);
      taps.set(graft, tap);
    }),
  );
  const shadows = [...taps].map(([graft, h]) => {
    const own = store.owned(graft.seedId);
    const pass = differentiate(own, () => network.forwardFrom(graft, h, activeAlpha));
    return { ...pass, graft, parameters: own };
  });
  return [{ ...main, graft: null, parameters }, ...shadows];
}

/**
 * For engines whose memory is ours. The loss is one operation with a gradient of its own, computed
 * on plain arrays: the outputs are read anyway, for loss and score.
 */
export function onHost(subject: TrainingSubject, targets: Float32Array): Differentiate<Figures> {
  const { engine, task, outputUnits } = subject;
  const { tf, hostMemory } = engine;
  invariant(hostMemory !== null, "the values are in this process's memory");
  return (parameters, outputs) => {
    let report: LossReport | null = null;
    const loss = tf.customGrad((...given) => {
      const out = given[0] as Tensor;
      const computed = lossOf(task, hostMemory.view(out), targets, outputUnits);
      report = computed;
      return {
        value: tf.scalar(computed.loss),
        gradFunc: () => tf.tensor(computed.gradient, out.shape),
      };
    });
    const variables = parameters.map(({ variable }) => variable);
    const { grads } = tf.variableGrads(() => loss(outputs()), variables);
    const found = report as LossReport | null;
    invariant(found !== null, "the loss was computed");
    const gradients = variables.map(({ name }) => grads[name]);
    const norm = globalNorm(hostMemory, gradients);
    return { gradients, measured: { loss: found.loss, scoreSum: found.scoreSum, norm } };
  };
}

/** Numbers in the tensor that a pass on a device measures: loss, score sum, squared norm. */
const FIGURES = 3;

/**
 * For engines on a device: nothing is read, so that the passes of a step wait for one read
 * together. The gradients go into `kept`, for the caller to dispose of.
 */
export function onDevice(
  subject: TrainingSubject,
  batch: Batch,
  kept: Tensor[],
): Differentiate<Tensor> {
  const { engine, task, outputUnits } = subject;
  const { tf } = engine;
  const targets = uploadTargets(tf, task, batch.y, outputUnits);
  return (parameters, outputs) => {
    const variables = parameters.map(({ variable }) => variable);
    const seen: Tensor[] = [];
    const { value, grads } = tf.variableGrads(() => {
      const out = outputs();
      const copy = tf.keep(tf.clone(out));
      kept.push(copy);
      seen.push(copy);
      return targets.loss(out).asScalar();
    }, variables);
    const gradients = variables.map(({ name }) => grads[name]);
    for (const gradient of gradients) {
      if (gradient !== undefined) kept.push(tf.keep(gradient));
    }
    const [out] = seen;
    invariant(out !== undefined, "the outputs were computed");
    const measured = [value, targets.scoreSum(out), squaredNorm(tf, gradients)];
    return { gradients, measured: tf.stack(measured) };
  };
}

/** The numbers of all passes of a step, in one read. */
export async function readFigures(engine: Engine, measured: Tensor): Promise<readonly Figures[]> {
  const numbers = await readValues(engine, measured);
  invariant(numbers.length % FIGURES === 0, "every pass has its figures");
  return Array.from({ length: numbers.length / FIGURES }, (_, index) => {
    const [loss, scoreSum, square] = numbers.subarray(index * FIGURES, (index + 1) * FIGURES);
    const nan = Number.NaN;
    return { loss: loss ?? nan, scoreSum: scoreSum ?? nan, norm: Math.sqrt(square ?? nan) };
  });
}
