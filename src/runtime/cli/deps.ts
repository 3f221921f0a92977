/**
 * What the command line needs from the rest of the product, as interfaces, so that parsing and
 * talking can be tested without a run. The executable wires the real ones.
 */
import type { Task } from "../../protocols/dataset.ts";
import type { FaultRequest, RunObserver, RunRequest, RunSummary } from "../../protocols/run.ts";
import type { Clock } from "../clock.ts";
import type { Environment } from "../config/environment.ts";
import type { LoadedConfig } from "../config/load.ts";
import type { Settings } from "../config/settings.ts";
import type { Files } from "../durable/files.ts";
import type { ControlClient } from "../inspect/control-client.ts";
import type { SignalWatch } from "../run/signals.ts";
import type { CancellationToken } from "../token.ts";
import type { EsperConfig, TopologySpec } from "../topology.ts";
import type { DurableDeps } from "./durable-deps.ts";

/** A stream the program writes to. */
export interface Output {
  write(text: string): void;
  readonly isTTY: boolean;
  /** Width and height in characters; 80 x 24 where there is no terminal. */
  columns(): number;
  rows(): number;
}

/** "latest", a run's id, or a path, and the folder in which ids are looked up. */
export interface RunRef {
  readonly runsDirectory: string;
  readonly run: string;
}

/** Continue a run from its last good checkpoint with the wishes it was started with. */
export interface ResumeRequest {
  readonly resume: RunRef;
  /** Keeps the readable part of a damaged log and puts the rest aside. */
  readonly salvage: boolean;
  /** The topology to continue on; the run's own unless the user named another. */
  readonly topology: string;
  readonly faults: readonly FaultRequest[];
}

/** Everything already loaded and checked when training is asked for. */
export interface TrainContext {
  readonly config: EsperConfig;
  readonly topology: TopologySpec;
  readonly settings: Settings;
  /** Also write the lowest log level. */
  readonly verbose: boolean;
  /** Accept a GPU that is only software. Asked for anew by every command, never stored. */
  readonly allowSoftwareGpu: boolean;
  /** What is to go wrong on purpose; absent: nothing may. Asked for anew by every command. */
  readonly faults?: readonly string[];
}

/** Rows of the user's data and the files they come from. */
export interface DataFiles {
  readonly files: readonly string[];
  /** The label file of IDX images. */
  readonly labels: string | null;
}

export interface Evaluation {
  readonly runId: string;
  readonly task: Task;
  readonly rows: number;
  readonly scoreName: "accuracy" | "R2";
  readonly score: number;
  readonly loss: number;
  /** Rows left out and why. */
  readonly dropped: Readonly<Record<string, number>>;
}

export interface Prediction {
  readonly runId: string;
  readonly rows: number;
  readonly file: string;
}

/** One line of `runs`. */
export interface RunListing {
  readonly runId: string;
  readonly directory: string;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  /** "interrupted": its process ended without a word; it can be resumed. */
  readonly status: "running" | "interrupted" | "completed" | "stopped" | "failed";
  readonly topology: string;
  readonly datasetName: string;
  readonly summary: RunSummary | null;
}

/** A run that another process is working on. */
export interface RunConnection extends Pick<ControlClient, "inspect" | "close"> {
  readonly runId: string;
  readonly directory: string;
}

/** What `runs` found. */
export interface RunListings {
  /** Newest first. */
  readonly runs: readonly RunListing[];
  /** One message for each run that cannot be read. */
  readonly unreadable: readonly string[];
}

export interface ObserverOptions {
  readonly mode: "tty" | "plain" | "json" | "quiet";
  readonly write: (text: string) => void;
  readonly columns: () => number;
  readonly rows: () => number;
  readonly colour: boolean;
  readonly clock: Clock;
}

export interface ClosableObserver extends RunObserver {
  close(): void;
}

/** The outside world of the command line. */
export interface CliDeps {
  readonly version: string;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly environment: Environment;
  readonly clock: Clock;
  readonly files: Pick<Files, "open" | "stat" | "list" | "remove" | "freeBytes">;
  readonly signals: Pick<SignalWatch, "hold" | "received">;
  /** The checked configuration; null asks for the default. */
  loadConfig(file: string | null): Promise<LoadedConfig>;
  createObserver(options: ObserverOptions): ClosableObserver;
  train(
    request: RunRequest | ResumeRequest,
    observer: RunObserver,
    stop: CancellationToken,
    context: TrainContext,
  ): Promise<RunSummary>;
  /** What a run was started with. @throws {RUN_NOT_FOUND} */
  storedRequest(ref: RunRef): Promise<{ readonly runId: string; readonly request: RunRequest }>;
  evaluate(ref: RunRef, data: DataFiles): Promise<Evaluation>;
  /** Writes one row per input row to `out` as CSV. */
  predict(ref: RunRef, data: DataFiles, out: string): Promise<Prediction>;
  /** Writes the HTML report; null puts it into the run's folder. */
  report(ref: RunRef, out: string | null): Promise<{ readonly file: string }>;
  /**
   * Opens and closes the engine; resolves with a few words about it.
   * @throws {DEPENDENCY_MISSING}
   */
  probeEngine(engine: TopologySpec["engine"]): Promise<string>;
  listRuns(runsDirectory: string): Promise<RunListings>;
  /**
   * Connects with the process of a run.
   * @throws {RUN_NOT_FOUND} @throws {RUN_NOT_RUNNING} @throws {CONTROL_DENIED}
   * @throws {CONTROL_UNREACHABLE}
   */
  openControl(ref: RunRef): Promise<RunConnection>;
  /** What a run has on disk: its logs, backups of them, its checkpoints. */
  readonly durable: DurableDeps;
}
