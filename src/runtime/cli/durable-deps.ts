/** What the operator's commands on logs and checkpoints need from the rest of the product. */
import type { BackupManifest } from "../durable/backup-layout.ts";
import type { CheckpointDiff } from "../durable/checkpoint-diff.ts";
import type { CheckpointVerdict } from "../durable/checkpoint-file.ts";
import type { CheckpointEntry } from "../durable/checkpoint-index.ts";
import type { DescribedRecord, LogContents, RecordsEnd } from "../durable/log-contents.ts";
import type { RunLogReport } from "../durable/log-inspect.ts";
import type { RestoreNote } from "../durable/restore.ts";
import type { Repaired, Restored } from "../run/restore-run.ts";
import type { SoakReport } from "../soak/wal-soak.ts";
import type { CancellationToken } from "../token.ts";
import type { RunRef } from "./deps.ts";

/** What was found in the logs of a run or a backup. */
export interface LogsVerdict {
  readonly directory: string;
  /** True while a process works on the run: an unfinished write may be one under way. */
  readonly live: boolean;
  /** What the folder says about itself when it is a backup. */
  readonly backup: BackupManifest | null;
  readonly logs: readonly RunLogReport[];
  /** Where the run came from, when it was restored or repaired. */
  readonly restored: RestoreNote | null;
}

/** The same, with what the records say. */
export interface LogsContents extends LogsVerdict {
  readonly contents: readonly LogContents[];
}

/** Which records are wanted. */
export interface RecordsWanted {
  readonly from: number;
  readonly limit: number;
}

export interface SoakWanted {
  readonly seconds: number;
  readonly seed: number;
  readonly kills: number | null;
  /** Null: a folder of its own, removed when no promise was broken. */
  readonly directory: string | null;
}

/** A soak's report and where its log was left; null when it was removed. */
export interface SoakOutcome extends SoakReport {
  readonly directory: string | null;
}

/** The checkpoints of one run. */
export interface CheckpointsOf<T> {
  readonly directory: string;
  readonly checkpoints: readonly T[];
}

export interface DurableDeps {
  /** @throws {RUN_NOT_FOUND} @throws {NOTHING_STORED} */
  verifyLogs(ref: RunRef): Promise<LogsVerdict>;
  /** @throws {RUN_NOT_FOUND} @throws {NOTHING_STORED} */
  inspectLogs(ref: RunRef): Promise<LogsContents>;
  /** Each log's records from a number on, up to its first damage; then why there are no more. */
  readRecords(ref: RunRef, wanted: RecordsWanted): AsyncIterable<DescribedRecord | RecordsEnd>;
  backup(ref: RunRef, target: string): Promise<BackupManifest>;
  /** `ref` is a run that is there, the name of one that is not, or a path. */
  restore(backup: string, ref: RunRef): Promise<Restored>;
  repair(ref: RunRef): Promise<Repaired>;
  soak(wanted: SoakWanted, stop: CancellationToken): Promise<SoakOutcome>;
  listCheckpoints(ref: RunRef): Promise<CheckpointsOf<CheckpointEntry>>;
  /** All of a run, or the one file that `ref` names. */
  verifyCheckpoints(ref: RunRef): Promise<CheckpointsOf<CheckpointVerdict>>;
  /** Each side: a file, a run (its newest), or `<run>@<step>`. */
  diffCheckpoints(left: RunRef, right: RunRef): Promise<CheckpointsOf<string> & CheckpointDiff>;
}
