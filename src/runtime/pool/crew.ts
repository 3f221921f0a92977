/**
 * The workers behind a pool, whatever they are. A crew runs what it is given and reports each end
 * exactly once; it keeps no queue, knows no deadline, and never decides to end a job by itself.
 */
import type { WireError } from "../../protocols/errors.ts";
import type { Environment } from "../config/environment.ts";
import type { CancellationToken } from "../token.ts";
import type { JobsSource } from "./jobs.ts";
import type { PoolSettings } from "./settings.ts";

/** One job on its way to a worker. */
export interface JobOrder {
  readonly id: number;
  readonly name: string;
  readonly input: unknown;
  readonly transfer: readonly ArrayBuffer[];
  readonly deadlineAtMs: number;
  /** True when its caller may cancel it; the deadline ends every job. */
  readonly cancellable: boolean;
  /** Made when it is first asked for. */
  readonly token: CancellationToken;
}

/**
 * How a job ended in its worker. `lost`: the worker ended first; `late`: it was never begun because
 * its deadline had passed, by the worker's clock, which may differ a little.
 */
export type Outcome =
  | { readonly kind: "value"; readonly value: unknown }
  | { readonly kind: "error"; readonly error: WireError }
  | { readonly kind: "late" }
  | { readonly kind: "lost"; readonly cause: string };

/** What a crew reports. */
export interface CrewEvents {
  ended(id: number, outcome: Outcome): void;
  /** A worker has become free without the end of a job, as after a replacement. */
  room(): void;
}

/** What a crew counts. */
export interface CrewFigures {
  readonly workers: number;
  /** Workers started in place of others, whatever ended those. */
  readonly replaced: number;
}

/** Workers that run jobs. */
export interface Crew {
  /** True when a job runs alone in its worker, so that ending the worker ends nothing else. */
  readonly forceable: boolean;
  hasRoom(): boolean;
  /**
   * Hands a job over; called only while there is room, and reports nothing before it returns.
   * @throws {TOKEN_LIMIT} before anything was handed over.
   */
  start(order: JobOrder): void;
  /** The token of this job was set: wakes the job when it waits instead of computing. */
  notice(id: number): void;
  /**
   * Ends the worker of this job, a shared one only if it no longer answers; does nothing when the
   * job has ended. A replacement follows by itself.
   */
  force(id: number): void;
  figures(): CrewFigures;
  /** Ends every worker and returns when they are gone, or cannot be waited for any longer. */
  close(): Promise<void>;
}

/** Makes a crew; rejects when the jobs cannot be loaded in a worker. */
export type CrewMaker = (events: CrewEvents) => Promise<Crew>;

/** What every kind of crew is made from. */
export interface CrewPlan {
  readonly source: JobsSource;
  readonly settings: PoolSettings;
  readonly environment: Environment;
  /** The names of the jobs; a name crosses to a shared worker as its place in this list. */
  readonly names: readonly string[];
}
