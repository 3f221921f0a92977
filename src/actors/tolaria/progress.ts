/** The trainer's own running numbers: plain data, so that a checkpoint holds them whole. */
import { z } from "zod";
import type { EpochPoint } from "../../protocols/leyline/state.ts";
import { HISTORY_EPOCHS } from "../../protocols/leyline/state.ts";
import { NO_STATS, type RunningStats, updateStats } from "./running-stats.ts";

const number = z.number();
const statsSchema = z.strictObject({ mean: number, variance: number, last: number, count: number });
const pointSchema = z.strictObject({
  epoch: z.int(),
  step: z.int(),
  trainingLoss: number,
  validationLoss: number,
  trainingScore: number,
  validationScore: number,
});

export const progressSchema = z.strictObject({
  step: z.int().nonnegative(),
  loss: statsSchema,
  gradient: statsSchema,
  lossDelta: number,
  /** Sums over the current epoch: sample-weighted loss, score parts, samples. */
  epochLoss: number,
  epochScore: number,
  epochSamples: z.int(),
  history: z.array(pointSchema),
  beforeGrowth: pointSchema.nullable(),
});
export type Progress = z.infer<typeof progressSchema>;

export function newProgress(): Progress {
  return {
    step: 0,
    loss: NO_STATS,
    gradient: NO_STATS,
    lossDelta: 0,
    epochLoss: 0,
    epochScore: 0,
    epochSamples: 0,
    history: [],
    beforeGrowth: null,
  };
}

export interface StepNumbers {
  readonly loss: number;
  readonly gradientNorm: number;
  /** Correct predictions, or the sum of squared errors. */
  readonly scoreSum: number;
  readonly samples: number;
}

/** Takes in one optimizer step. */
export function recordStep(progress: Progress, step: StepNumbers): void {
  const previous: RunningStats = progress.loss;
  progress.step += 1;
  progress.lossDelta = previous.count === 0 ? 0 : step.loss - previous.last;
  progress.loss = updateStats(previous, step.loss);
  progress.gradient = updateStats(progress.gradient, step.gradientNorm);
  progress.epochLoss += step.loss * step.samples;
  progress.epochScore += step.scoreSum;
  progress.epochSamples += step.samples;
}

/** Closes the epoch and starts the sums anew. `trainingScore` turns the score sum into a score. */
export function closeEpoch(
  progress: Progress,
  epoch: number,
  validation: { readonly loss: number; readonly score: number },
  trainingScore: (scoreSum: number, samples: number) => number,
): EpochPoint {
  const point: EpochPoint = {
    epoch,
    step: progress.step,
    trainingLoss: progress.epochLoss / progress.epochSamples,
    validationLoss: validation.loss,
    trainingScore: trainingScore(progress.epochScore, progress.epochSamples),
    validationScore: validation.score,
  };
  progress.history = [...progress.history, point].slice(-HISTORY_EPOCHS);
  progress.epochLoss = 0;
  progress.epochScore = 0;
  progress.epochSamples = 0;
  return point;
}
