/**
 * One optimizer step: all passes see the same weights, then the weights change. On an engine whose
 * memory is ours nothing is waited for; on a device all numbers of the step are read at once.
 */
import type { Task } from "../../protocols/dataset.ts";
import { invariant } from "../../protocols/errors.ts";
import { type Engine, type Shape, scoped, type Tensor } from "./engine-types.ts";
import type { GrownNetwork } from "./grown-network.ts";
import { checkTargets } from "./loss.ts";
import type { Optimizer } from "./optimizer.ts";
import type { ParameterStore } from "./parameters.ts";
import { type Figures, onDevice, onHost, type Pass, readFigures, runPasses } from "./passes.ts";

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

/** Applies a pass unless it is not finite: broken numbers never reach the weights. */
function applyPass(
  { optimizer }: TrainingSubject,
  { parameters, gradients, measured }: Pass<Figures>,
  learningRate: number,
): void {
  if (!Number.isFinite(measured.loss) || !Number.isFinite(measured.norm)) return;
  optimizer.update(parameters, gradients, learningRate, optimizer.clipScale(measured.norm));
}

/** All passes saw the same weights; only now do any of them change. */
function applyAll(
  subject: TrainingSubject,
  passes: readonly Pass<Figures>[],
  learningRate: number,
): StepResult {
  const [main, ...shadows] = passes;
  invariant(main !== undefined, "a step has its main pass");
  for (const pass of passes) applyPass(subject, pass, learningRate);
  const { loss, scoreSum, norm } = main.measured;
  return {
    loss,
    scoreSum,
    gradientNorm: norm,
    shadows: shadows.map(({ graft, measured }) => ({
      seedId: graft?.seedId ?? "",
      loss: measured.loss,
      gradientNorm: measured.norm,
      hostLoss: loss,
    })),
  };
}

function stepOnHost(
  subject: TrainingSubject,
  batch: Batch,
  learningRate: number,
  kept: Tensor[],
): StepResult {
  return scoped(subject.engine.tf, () => {
    const passes = runPasses(subject, batch, onHost(subject, batch.y), kept);
    return applyAll(subject, passes, learningRate);
  });
}

async function stepOnDevice(
  subject: TrainingSubject,
  batch: Batch,
  learningRate: number,
  kept: Tensor[],
): Promise<StepResult> {
  const { engine } = subject;
  const { tf } = engine;
  const { passes, measured } = scoped(tf, () => {
    const run = runPasses(subject, batch, onDevice(subject, batch, kept), kept);
    const together = tf.keep(tf.concat(run.map((pass) => pass.measured)));
    kept.push(together);
    return { passes: run, measured: together };
  });
  const figures = await readFigures(engine, measured);
  invariant(figures.length === passes.length, "every pass was read");
  const finished = passes.map((pass, index): Pass<Figures> => {
    const own = figures[index];
    invariant(own !== undefined, "every pass was read");
    return { ...pass, measured: own };
  });
  const whole = finished.every(({ parameters }) =>
    parameters.every(({ variable }) => !variable.isDisposed),
  );
  invariant(whole, "a network is left whole while its step is under way");
  return applyAll(subject, finished, learningRate);
}

/**
 * Trains on one batch and frees every tensor it made. Where loss or gradient are not finite they
 * are reported and the weights concerned stay as they were. The next call on the same network must
 * wait for this one.
 * @throws {DATA_INVALID} for a target that is no class.
 */
export async function trainStep(
  subject: TrainingSubject,
  batch: Batch,
  learningRate: number,
): Promise<StepResult> {
  // Checked first: an error inside a gradient would leave its intermediate tensors behind.
  checkTargets(subject.task, batch.y, subject.outputUnits);
  const kept: Tensor[] = [];
  try {
    return subject.engine.hostMemory === null
      ? await stepOnDevice(subject, batch, learningRate, kept)
      : stepOnHost(subject, batch, learningRate, kept);
  } finally {
    for (const tensor of kept) tensor.dispose();
  }
}
