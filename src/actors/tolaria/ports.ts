/** What the training loop needs from the rest of the system; with it, it is tested alone. */

import type { MetricRow } from "../../protocols/actors/durable.ts";
import type {
  Decision,
  KasminaSnapshot,
  RunResult,
  SeedTransition,
  StepEvidence,
} from "../../protocols/actors/growth.ts";
import type { SignedCommand } from "../../protocols/leyline/command.ts";
import type { EpochPoint, SeedState, SystemStatePacket } from "../../protocols/leyline/state.ts";
import type { Checkpoint } from "../../runtime/durable/checkpoint.ts";

/** The whole state of a training at one step. */
export interface Capture {
  readonly step: number;
  readonly final: boolean;
  readonly checkpoint: Checkpoint;
  /** How long training stood still for it. */
  readonly tookMs: number;
}

export interface TrainerPorts {
  /** Null when no decision came by the deadline: a miss, which is logged and replayed. */
  decide(packet: SystemStatePacket): Promise<Decision | null>;
  apply(command: SignedCommand, step: number): Promise<readonly SeedTransition[]>;
  advance(
    evidence: StepEvidence,
  ): Promise<{ readonly transitions: readonly SeedTransition[]; readonly busy: boolean }>;
  seeds(
    step: number,
  ): Promise<{ readonly seeds: readonly SeedState[]; readonly snapshot: KasminaSnapshot }>;
  /** Hands rows to the collector; waits only when too many are unconfirmed. */
  record(rows: readonly MetricRow[]): Promise<void>;
  /** Returns when every row handed in so far is on disk. */
  flush(): Promise<void>;
  epoch(report: {
    readonly point: EpochPoint;
    readonly samplesPerSecond: number;
    readonly seeds: readonly SeedState[];
    readonly totalParameters: number;
  }): void;
  progress(report: {
    readonly step: number;
    readonly epoch: number;
    readonly epochStep: number;
    readonly epochSteps: number;
    readonly trainingLoss: number;
  }): void;
  transition(transition: SeedTransition): void;
  /**
   * Gives a checkpoint away, arrays and all, to be stored off the training path. A final one is
   * waited for and fails with what it failed with; the failure of another ends nothing.
   */
  checkpoint(capture: Capture): Promise<void>;
  finished(result: RunResult): Promise<void>;
  rejected(step: number, error: unknown): void;
}
