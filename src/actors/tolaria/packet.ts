/** Builds the state packet a decision is based on. Nothing in it depends on the wall clock. */
import type { RunIdentity, TrainingOptions } from "../../protocols/actors/growth.ts";
import {
  type EpochPoint,
  HISTORY_EPOCHS,
  type SeedState,
  type SiteInfo,
  type SystemStatePacket,
} from "../../protocols/leyline/state.ts";
import type { RunningStats } from "./running-stats.ts";

const OPTIMIZER_FAMILY = { sgd: 0, adam: 1 } as const;

export interface PacketInput {
  readonly identity: RunIdentity;
  readonly options: TrainingOptions;
  readonly epoch: number;
  readonly step: number;
  readonly stepsLeft: number;
  readonly learningRate: number;
  readonly loss: RunningStats;
  readonly gradient: RunningStats;
  readonly lossDelta: number;
  readonly history: readonly EpochPoint[];
  readonly seeds: readonly SeedState[];
  readonly sites: readonly SiteInfo[];
  readonly hostParameters: number;
  readonly totalParameters: number;
}

export function buildPacket(input: PacketInput): SystemStatePacket {
  const last = input.history.at(-1);
  return {
    version: 1,
    packetId: `${input.identity.runId}-step-${input.step}`,
    trainingRunId: input.identity.runId,
    incarnation: input.identity.incarnation,
    currentEpoch: input.epoch,
    globalStep: input.step,
    trainingLoss: input.loss.last,
    validationLoss: last?.validationLoss ?? input.loss.last,
    validationAccuracy: last?.validationScore ?? 0,
    trainingMetrics: {
      loss: input.loss.last,
      loss_delta: input.lossDelta,
      loss_ewma: input.loss.mean,
      loss_volatility: Math.sqrt(input.loss.variance),
      gradient_norm: input.gradient.last,
      grad_norm_ewma: input.gradient.mean,
      grad_var: input.gradient.variance,
      optimizer_lr: input.learningRate,
      optimizer_family_index: OPTIMIZER_FAMILY[input.options.optimizer],
    },
    seedStates: input.seeds,
    hostSites: input.sites,
    hostParameters: input.hostParameters,
    totalParameters: input.totalParameters,
    stepsLeft: input.stepsLeft,
    history: input.history.slice(-HISTORY_EPOCHS),
    seed: input.identity.seed,
  };
}
