/** What the root actor needs from the process that started the run; on the main thread only. */
import type {
  RunOrder,
  RunResult,
  SeedTransition,
  TrainingState,
} from "../../protocols/actors/growth.ts";
import type { EpochPoint, SeedState } from "../../protocols/leyline/state.ts";

export interface EpochReport {
  readonly point: EpochPoint;
  readonly samplesPerSecond: number;
  readonly seeds: readonly SeedState[];
  readonly totalParameters: number;
}

export interface ProgressReport {
  readonly step: number;
  readonly epoch: number;
  readonly epochStep: number;
  readonly epochSteps: number;
  readonly trainingLoss: number;
}

export interface RunHost {
  /** The order for a trainer that has just (re)started; null when the run is over. */
  nextOrder(trainerStarts: number): Promise<RunOrder | null>;
  /** False for reports of an earlier incarnation, which are ignored. */
  current(incarnation: number): boolean;
  epoch(report: EpochReport): void;
  progress(report: ProgressReport): void;
  transition(transition: SeedTransition): void;
  storeCheckpoint(step: number, state: TrainingState, final: boolean): Promise<boolean>;
  /** The newest intact checkpoint up to a step; null when there is none. */
  restore(upToStep: number): Promise<{ readonly step: number; readonly bytes: Uint8Array } | null>;
  /** A new incarnation for a trainer that goes back to an earlier step; null at the end. */
  rollBack(missedDecisions: readonly number[]): Promise<{
    readonly incarnation: number;
    readonly missedDecisions: readonly number[];
  } | null>;
  finished(result: RunResult): void;
  failed(code: string, message: string): void;
}
