/** What a run is asked to do, what it tells while it runs, and what it says at the end. */
import type { SeedTransition } from "./actors/growth.ts";
import type { BuiltinDataset, DataReport, Dataset, Task } from "./dataset.ts";
import type { TelemetryLevelName } from "./errors.ts";
import type { EpochPoint, SeedState } from "./leyline/state.ts";

/** A fault to inject into a running system, from `--fault kill:tamiyo@3s`. */
export interface FaultRequest {
  /** "kill" ends the actor's whole thread; "crash" makes the actor itself throw. */
  readonly kind: "kill" | "crash";
  readonly actor: string;
  /** Milliseconds after training began, or the optimizer step at which to strike. */
  readonly at: { readonly afterMs: number } | { readonly step: number };
}

/** A host network by shape: "mlp" widths are hidden units, "cnn" widths are filters. */
export interface HostRequest {
  readonly kind: "mlp" | "cnn";
  readonly widths: readonly number[];
}

/** The user's wishes; `null` or absent means the default for the data set. */
export interface RunRequest {
  readonly topology: string;
  readonly seed: number;
  readonly runsDirectory: string;
  readonly data:
    | { readonly kind: "builtin"; readonly name: BuiltinDataset }
    | { readonly kind: "csv"; readonly file: string; readonly target: string }
    | { readonly kind: "idx"; readonly images: string; readonly labels: string }
    | { readonly kind: "cifar10"; readonly files: readonly string[] };
  readonly validationShare: number;
  readonly host: HostRequest | null;
  readonly epochs: number | null;
  readonly batchSize: number | null;
  readonly optimizer: "adam" | "sgd" | null;
  readonly learningRate: number | null;
  readonly weightDecay: number | null;
  readonly targetScore: number | null;
  readonly growth: boolean;
  /** Experiment arms for the bench: how seeds are timed, chosen and judged. */
  readonly arm: GrowthArm;
  readonly faults: readonly FaultRequest[];
}

/** "policy" is the product; the others exist to be compared with it. */
export const GROWTH_ARMS = ["policy", "random-timing", "random-blueprint", "gates-off"] as const;
export type GrowthArm = (typeof GROWTH_ARMS)[number];

/** What a finished run has come to. */
export interface RunSummary {
  readonly runId: string;
  readonly directory: string;
  readonly outcome: "completed" | "target-reached" | "stopped" | "failed";
  readonly datasetName: string;
  readonly task: Task;
  /** "accuracy" for classification, "R2" for regression. */
  readonly scoreName: "accuracy" | "R2";
  readonly epochs: number;
  readonly steps: number;
  readonly wallSeconds: number;
  readonly firstGrowthSeconds: number | null;
  readonly beforeGrowth: EpochPoint;
  readonly last: EpochPoint;
  readonly testScore: number | null;
  readonly hostParameters: number;
  readonly totalParameters: number;
  readonly seeds: { readonly fossilized: number; readonly culled: number; readonly alive: number };
  readonly restarts: number;
  readonly residentMemoryMb: number;
  readonly digest: string;
}

/** The stream a user interface follows. */
export type RunEvent =
  | {
      readonly kind: "started";
      readonly runId: string;
      readonly directory: string;
      readonly topology: string;
      readonly engine: string;
      readonly dataset: Pick<Dataset, "name" | "task" | "inputShape"> & {
        readonly trainRows: number;
        readonly validationRows: number;
        readonly testRows: number;
        readonly report: DataReport;
      };
      readonly host: string;
      readonly hostParameters: number;
      readonly epochs: number;
      readonly seed: number;
      readonly resumedFromStep: number | null;
      readonly secretGenerated: boolean;
    }
  | {
      readonly kind: "progress";
      readonly step: number;
      readonly epoch: number;
      readonly epochStep: number;
      readonly epochSteps: number;
      readonly trainingLoss: number;
    }
  | {
      readonly kind: "epoch";
      readonly point: EpochPoint;
      readonly samplesPerSecond: number;
      readonly seeds: readonly SeedState[];
      readonly totalParameters: number;
    }
  | { readonly kind: "seed"; readonly transition: SeedTransition }
  | {
      readonly kind: "restart";
      readonly actor: string;
      readonly starts: number;
      readonly reason: string;
    }
  | { readonly kind: "notice"; readonly level: TelemetryLevelName; readonly message: string }
  | { readonly kind: "finished"; readonly summary: RunSummary };

/** Watches a run. */
export interface RunObserver {
  /** Is told what happens, in order; must not throw. */
  on(event: RunEvent): void;
}
