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
  /** Stores a checkpoint off the training path; a final one is waited for. */
  checkpoint(step: number, bytes: Uint8Array, final: boolean): Promise<void>;
  finished(result: RunResult): Promise<void>;
  rejected(step: number, error: unknown): void;
}
