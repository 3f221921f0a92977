import type { SeedStageName } from "./enums.ts";

/** A place in the host network where a seed can be grafted. */
export interface SiteInfo {
  readonly siteId: string;
  /** "vector": activations [batch, width]; "map": activations [batch, height, width, channels]. */
  readonly kind: "vector" | "map";
  /** Activation shape without the batch dimension. */
  readonly shape: readonly number[];
  /** Position in the host, 0 nearest the input. */
  readonly depth: number;
}

/** Numbers by which a seed was judged; kept for the policy and for people. */
export interface SeedState {
  readonly seedId: string;
  readonly siteId: string;
  readonly blueprintId: string;
  readonly stage: SeedStageName;
  readonly alpha: number;
  readonly parameters: number;
  /** Optimizer steps since germination. */
  readonly ageSteps: number;
  readonly germinatedAtStep: number;
  /** Step at which the seed reached its final stage, or null while it is alive. */
  readonly settledAtStep: number | null;
  readonly gradientNorm: number;
  /** Relative drop of the validation loss credited to the seed; null until a gate measured it. */
  readonly gain: number | null;
  readonly reason: string;
}

/** One point of the run's history: the mean loss over one epoch. */
export interface EpochPoint {
  readonly epoch: number;
  readonly step: number;
  readonly trainingLoss: number;
  readonly validationLoss: number;
  readonly trainingScore: number;
  readonly validationScore: number;
}

/**
 * What the controller sees. Everything a decision may depend on is in here, so a decision is a
 * pure function of the packet and survives restarts, rollbacks and resumes unchanged.
 */
export interface SystemStatePacket {
  readonly version: 1;
  readonly packetId: string;
  readonly trainingRunId: string;
  /** How often this run has been started: 1 for a fresh run, +1 for each resume or rewind. */
  readonly incarnation: number;
  readonly currentEpoch: number;
  readonly globalStep: number;
  readonly trainingLoss: number;
  readonly validationLoss: number;
  readonly validationAccuracy: number;
  readonly trainingMetrics: Readonly<Record<string, number>>;
  readonly seedStates: readonly SeedState[];
  readonly hostSites: readonly SiteInfo[];
  readonly hostParameters: number;
  readonly totalParameters: number;
  /** Steps left before the run's step limit. */
  readonly stepsLeft: number;
  /** Most recent epochs, oldest first, at most `HISTORY_EPOCHS`. */
  readonly history: readonly EpochPoint[];
  /** Run seed: breaks ties between equal choices. */
  readonly seed: number;
}

export const HISTORY_EPOCHS = 256;
