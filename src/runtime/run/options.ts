/**
 * Fills in what the user left open. The defaults follow from the shape of the data alone, never
 * from which data set it is.
 */
import type { TrainingOptions } from "../../protocols/actors/growth.ts";
import type { Dataset } from "../../protocols/dataset.ts";
import type { BlendModeName } from "../../protocols/leyline/enums.ts";
import type { HostRequest, RunRequest } from "../../protocols/run.ts";
import { hostSpec } from "../device/hosts.ts";

/** Deliberately small: the host is meant to need help. */
const DEFAULT_MLP: HostRequest = { kind: "mlp", widths: [8] };
const DEFAULT_CNN: HostRequest = { kind: "cnn", widths: [2, 2] };

/** Small sets in two batches an epoch: in smaller ones noise would hide what a seed gains. */
const MAX_BATCH = 128;
const BATCHES_PER_SMALL_EPOCH = 2;
/** Default length of a run in optimizer steps, made whole epochs. Images cost more a step. */
const DEFAULT_STEPS = 8_000;
const DEFAULT_IMAGE_STEPS = 3_000;
const MIN_EPOCHS = 10;
const DEFAULT_LEARNING_RATE = { adam: 0.01, sgd: 0.05 } as const;
const DEFAULT_WEIGHT_DECAY = 1e-4;

const DECIDE_EVERY = 16;
const DECISION_LAG = 8;
/** The reference's outer limit for a call of the controller (tamiyo_timeout_s). */
const DECISION_DEADLINE_MS = 2_000;
const CHECKPOINT_EVERY_STEPS = 256;

function isImage(dataset: Pick<Dataset, "inputShape">): boolean {
  return dataset.inputShape.length === 3;
}

export function defaultHost(dataset: Pick<Dataset, "inputShape">): HostRequest {
  return isImage(dataset) ? DEFAULT_CNN : DEFAULT_MLP;
}

function defaultEpochs(dataset: Dataset, batchSize: number): number {
  const stepsPerEpoch = Math.ceil(dataset.train.count / batchSize);
  const steps = isImage(dataset) ? DEFAULT_IMAGE_STEPS : DEFAULT_STEPS;
  return Math.max(MIN_EPOCHS, Math.ceil(steps / stepsPerEpoch));
}

export function resolveOptions(
  request: RunRequest,
  dataset: Dataset,
  blendMode: BlendModeName,
): TrainingOptions {
  const { count } = dataset.train;
  const defaultBatch = Math.min(MAX_BATCH, Math.ceil(count / BATCHES_PER_SMALL_EPOCH));
  const batchSize = Math.min(request.batchSize ?? defaultBatch, count);
  const optimizer = request.optimizer ?? "adam";
  return {
    host: hostSpec(request.host ?? defaultHost(dataset), dataset.inputShape),
    batchSize,
    maxEpochs: request.epochs ?? defaultEpochs(dataset, batchSize),
    optimizer,
    learningRate: request.learningRate ?? DEFAULT_LEARNING_RATE[optimizer],
    weightDecay: request.weightDecay ?? DEFAULT_WEIGHT_DECAY,
    decideEvery: DECIDE_EVERY,
    decisionLag: DECISION_LAG,
    decisionDeadlineMs: DECISION_DEADLINE_MS,
    targetScore: request.targetScore,
    growth: request.growth,
    blendMode,
    hostGradient: "through",
    checkpointEverySteps: CHECKPOINT_EVERY_STEPS,
  };
}
