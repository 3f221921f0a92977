/**
 * One optimizer step. The main pass trains the host and the blending grafts; then every shadow
 * graft trains alone, from the host's activation at its site, with everything else frozen. The
 * main pass computes the same bits whether or not a shadow graft is there.
 */
import type { Task } from "../../protocols/dataset.ts";
import { invariant } from "../../protocols/errors.ts";
import type { Engine, Shape, Tensor } from "./engine-types.ts";
import { readValues, sizeOf } from "./engine-types.ts";
import type { Graft } from "./graft.ts";
import type { GrownNetwork } from "./grown-network.ts";
import { checkTargets, type LossReport, lossOf } from "./loss.ts";
import { globalNorm, type Optimizer } from "./optimizer.ts";
import { HOST_OWNER, type Parameter, type ParameterStore } from "./parameters.ts";

/** `x` is [count, ...inputShape]; `y` holds class indices, or [count, outputUnits] values. */
export interface Batch {
  readonly count: number;
  readonly x: Float32Array;
  readonly y: Float32Array;
}

/** How one shadow graft did in one step. */
export interface ShadowResult {
  readonly seedId: string;
  /** Mean loss of the batch with the seed at alpha 1. */
  readonly loss: number;
  /** Norm of the seed's own gradient, before clipping. */
  readonly gradientNorm: number;
  /** Mean loss of the same batch in the main pass. */
  readonly hostLoss: number;
}

/** What one optimizer step measured. */
export interface StepResult {
  /** Mean per sample, before the update. */
  readonly loss: number;
  /** Correct predictions, or the sum over samples of the squared error. */
  readonly scoreSum: number;
  /** Norm over host and blending grafts together, before clipping. */
  readonly gradientNorm: number;
  readonly shadows: readonly ShadowResult[];
}

/** What a step works on. */
export interface TrainingSubject {
  readonly engine: Engine;
  readonly store: ParameterStore;
  readonly optimizer: Optimizer;
  readonly network: GrownNetwork;
  readonly inputShape: Shape;
  readonly outputUnits: number;
  readonly task: Task;
}

interface Pass {
  readonly report: LossReport;
  readonly gradients: readonly (Tensor | undefined)[];
  readonly norm: number;
}

const activeAlpha = (graft: Graft): number => graft.activeAlpha;

/** Uploads the inputs of a batch. */
export function inputTensor(subject: TrainingSubject, batch: Batch): Tensor {
  const { engine, inputShape } = subject;
  invariant(batch.x.length === batch.count * sizeOf(inputShape), "the batch has its input shape");
  return engine.tf.tensor(batch.x, [batch.count, ...inputShape]);
}

/**
 * Loss and gradients of `outputs` by the parameters. The loss is one operation with a gradient of
 * its own, computed on plain arrays: the outputs are read anyway, for loss and score.
 */
function differentiate(
  subject: TrainingSubject,
  parameters: readonly Parameter[],
  targets: Float32Array,
  outputs: () => Tensor,
): Pass {
  const { engine, task, outputUnits } = subject;
  const { tf } = engine;
  let report: LossReport | null = null;
  const loss = tf.customGrad((...given) => {
    const out = given[0] as Tensor;
    const values = engine.hostMemory?.view(out) ?? readValues(engine, out);
    const computed = lossOf(task, values, targets, outputUnits);
    report = computed;
    return {
      value: tf.scalar(computed.loss),
      gradFunc: () => tf.tensor(computed.gradient, out.shape),
    };
  });
  const variables = parameters.map(({ variable }) => variable);
  const { grads } = tf.variableGrads(() => loss(outputs()), variables);
  invariant(report !== null, "the loss was computed");
  const gradients = variables.map(({ name }) => grads[name]);
  return { report, gradients, norm: globalNorm(engine, gradients) };
}

/** Applies a pass unless it is not finite: broken numbers never reach the weights. */
function applyPass(
  subject: TrainingSubject,
  parameters: readonly Parameter[],
  pass: Pass,
  learningRate: number,
): void {
  const { optimizer } = subject;
  if (!Number.isFinite(pass.report.loss) || !Number.isFinite(pass.norm)) return;
  optimizer.update(parameters, pass.gradients, learningRate, optimizer.clipScale(pass.norm));
}

/** The parameters that the main pass trains. */
function trainedParameters({ store, network }: TrainingSubject): readonly Parameter[] {
  const active = network.grafts.filter((graft) => graft.activeAlpha > 0);
  return [HOST_OWNER, ...active.map(({ seedId }) => seedId)].flatMap((owner) => store.owned(owner));
}

function runStep(
  subject: TrainingSubject,
  batch: Batch,
  learningRate: number,
  taps: Map<Graft, Tensor>,
): StepResult {
  const { engine, store, network } = subject;
  const { tf } = engine;
  const x = inputTensor(subject, batch);
  const parameters = trainedParameters(subject);
  const main = differentiate(subject, parameters, batch.y, () =>
    network.forward(x, activeAlpha, (graft, h) => {
      if (graft.phase === "shadow") taps.set(graft, tf.keep(tf.clone(h)));
    }),
  );
  const shadows = [...taps].map(([graft, h]) => {
    const own = store.owned(graft.seedId);
    const pass = differentiate(subject, own, batch.y, () =>
      network.forwardFrom(graft, h, activeAlpha),
    );
    return { graft, own, pass };
  });
  // All passes saw the same weights; only now do any of them change.
  applyPass(subject, parameters, main, learningRate);
  for (const { own, pass } of shadows) applyPass(subject, own, pass, learningRate);
  return {
    loss: main.report.loss,
    scoreSum: main.report.scoreSum,
    gradientNorm: main.norm,
    shadows: shadows.map(({ graft, pass }) => ({
      seedId: graft.seedId,
      loss: pass.report.loss,
      gradientNorm: pass.norm,
      hostLoss: main.report.loss,
    })),
  };
}

/**
 * Trains on one batch and frees every tensor it made. Where loss or gradient are not finite they
 * are reported and the weights concerned stay as they were.
 * @throws {DATA_INVALID} for a target that is no class.
 */
export function trainStep(
  subject: TrainingSubject,
  batch: Batch,
  learningRate: number,
): StepResult {
  const { tf } = subject.engine;
  // Checked first: an error inside a gradient would leave its intermediate tensors behind.
  checkTargets(subject.task, batch.y, subject.outputUnits);
  const taps = new Map<Graft, Tensor>();
  let result: StepResult | null = null;
  try {
    tf.tidy(() => {
      result = runStep(subject, batch, learningRate, taps);
    });
  } finally {
    for (const tap of taps.values()) tap.dispose();
  }
  invariant(result !== null, "the step ran");
  return result;
}
