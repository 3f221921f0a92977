/**
 * The directory of one run: where everything is, how it is created and how it is found again.
 * A run belongs to the process that holds its lock; others may only read.
 */
import { randomBytes } from "node:crypto";
import { basename, dirname, join } from "node:path";
import type { Dataset } from "../../protocols/dataset.ts";
import { EsperError } from "../../protocols/errors.ts";
import type { RunRequest } from "../../protocols/run.ts";
import { didYouMean } from "../cli/suggest.ts";
import type { Clock } from "../clock.ts";
import { CheckpointStore } from "../durable/checkpoint-store.ts";
import {
  atomicWrite,
  type Files,
  isMissing,
  PRIVATE_PERMISSIONS,
  readTextIfPresent,
  replaceLink,
  statIfPresent,
} from "../durable/files.ts";
import { beginLog } from "../durable/log-begin.ts";
import { requireOwnLog } from "../durable/log-owner.ts";
import { finishCutRestore } from "../durable/restore.ts";
import { lstatIfPresent } from "../durable/tree.ts";
import { requireFreeSpace } from "./free-space.ts";
import { type Manifest, readManifest, writeManifest } from "./manifest.ts";
import { checkLayout, checkWholeLayout } from "./run-layout.ts";
import { isRunHeld, lockRun, type Processes, type RunLock, systemProcesses } from "./run-lock.ts";

/** The name that stands for the run started last. */
export const LATEST = "latest";
const MAX_NAME_ATTEMPTS = 16;
const LISTED_RUNS = 5;
const MAX_DATASET_NAME = 40;

/** Absolute or relative paths inside the run's directory. */
export interface RunPaths {
  readonly manifest: string;
  readonly metrics: string;
  readonly events: string;
  readonly runtime: string;
  readonly log: string;
  readonly checkpoints: string;
  readonly wal: string;
  readonly ledger: string;
  readonly model: string;
  readonly secret: string;
  /** Unix socket of the process that works on the run. */
  readonly control: string;
}

/** The layout of every run directory. */
export function runPaths(directory: string): RunPaths {
  return {
    manifest: join(directory, "manifest.json"),
    metrics: join(directory, "metrics.jsonl"),
    events: join(directory, "events.jsonl"),
    runtime: join(directory, "runtime.jsonl"),
    log: join(directory, "log.jsonl"),
    checkpoints: join(directory, "checkpoints"),
    wal: join(directory, "wal"),
    ledger: join(directory, "ledger"),
    model: join(directory, "model.ckpt"),
    secret: join(directory, "secret"),
    control: join(directory, "control.sock"),
  };
}

type ManifestChanges = Partial<
  Pick<Manifest, "status" | "incarnation" | "summary" | "missedDecisions">
>;

/** A run on disk. Change it only while its lock is held. */
export class Run {
  readonly directory: string;
  readonly paths: RunPaths;
  readonly #files: Files;
  #manifest: Manifest;
  #writing: Promise<void> = Promise.resolve();

  constructor(files: Files, directory: string, manifest: Manifest) {
    this.#files = files;
    this.directory = directory;
    this.paths = runPaths(directory);
    this.#manifest = manifest;
  }

  get runId(): string {
    return this.#manifest.runId;
  }

  get manifest(): Manifest {
    return this.#manifest;
  }

  /** The run's checkpoints; a final one also becomes `model.ckpt`. */
  get checkpoints(): CheckpointStore {
    return new CheckpointStore(this.#files, this.paths.checkpoints, this.paths.model);
  }

  /** Returns when the changed manifest is on disk; changes made at once are written in order. */
  update(changes: ManifestChanges): Promise<void> {
    this.#manifest = { ...this.#manifest, ...changes };
    const manifest = this.#manifest;
    const write = (): Promise<void> => writeManifest(this.#files, this.paths.manifest, manifest);
    // A failed write is the earlier caller's to handle; this one stands on its own.
    this.#writing = this.#writing.then(write, write);
    return this.#writing;
  }

  /** The secret that was generated for this run, or null when the user brought one. */
  async readSecret(): Promise<string | null> {
    return (await readTextIfPresent(this.#files, this.paths.secret))?.trim() ?? null;
  }

  /**
   * Takes the run for this process, to write in it.
   * @throws {RUN_LOCKED} @throws {RUN_LAYOUT} @throws {WAL_FOREIGN} @throws {PREFLIGHT_FAILED} with
   * nothing changed.
   */
  async lock(processes: Processes = systemProcesses(this.#files)): Promise<RunLock> {
    await checkWholeLayout(this.#files, this.directory);
    await requireOwnLog(this.#files, this.paths.wal, this.runId, "wal");
    await requireOwnLog(this.#files, this.paths.ledger, this.runId, "ledger");
    await requireFreeSpace(this.#files, this.directory);
    return lockRun(this.#files, this.directory, processes);
  }
}

export interface NewRun {
  readonly files: Files;
  readonly clock: Clock;
  readonly request: RunRequest;
  readonly dataset: Pick<Dataset, "name" | "digest" | "report">;
  readonly options: Readonly<Record<string, unknown>>;
  readonly versions: Manifest["versions"];
  /** A secret made for this run, to be kept in it; null when the user brought one. */
  readonly generatedSecret: string | null;
  readonly processes?: Processes;
}

function runName(nowMs: number, datasetName: string): string {
  const stamp = new Date(nowMs).toISOString().slice(0, 19);
  const time = stamp.replaceAll(/[-:]/g, "").replace("T", "-");
  const plain = datasetName.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");
  const name = plain.slice(0, MAX_DATASET_NAME).replaceAll(/^-+|-+$/g, "");
  return `${time}-${name === "" ? "data" : name}-${randomBytes(2).toString("hex")}`;
}

/** An empty directory with a new name, locked by this process. */
async function reserve(
  options: NewRun,
  nowMs: number,
): Promise<{ directory: string; lock: RunLock }> {
  const { files, request, dataset } = options;
  const processes = options.processes ?? systemProcesses(files);
  for (let attempt = 0; attempt < MAX_NAME_ATTEMPTS; attempt++) {
    const directory = join(request.runsDirectory, runName(nowMs, dataset.name));
    if ((await statIfPresent(files, directory)) !== null) continue;
    await files.makeDirectory(directory);
    return { directory, lock: await lockRun(files, directory, processes) };
  }
  throw new EsperError(
    "STORAGE_FAILED",
    `no free name for a new run in ${request.runsDirectory}: try again in a second`,
    { path: request.runsDirectory, operation: "create directory" },
  );
}

/**
 * Creates the directory of a new run, locked, and points `latest` at it.
 * @throws {STORAGE_FULL} @throws {STORAGE_FAILED} naming the path.
 * @throws {PREFLIGHT_FAILED} when there is too little room to begin.
 */
export async function createRun(
  options: NewRun,
): Promise<{ readonly run: Run; readonly lock: RunLock }> {
  const { files, clock, request, dataset, versions, generatedSecret } = options;
  const nowMs = clock.nowMs();
  await requireFreeSpace(files, request.runsDirectory);
  const { directory, lock } = await reserve(options, nowMs);
  const paths = runPaths(directory);
  const manifest: Manifest = {
    version: 1,
    runId: basename(directory),
    createdAt: new Date(nowMs).toISOString(),
    request,
    dataset: { name: dataset.name, digest: dataset.digest, report: dataset.report },
    options: { ...options.options },
    versions,
    status: "running",
    incarnation: 1,
    missedDecisions: [],
    summary: null,
    logsBegun: true,
  };
  try {
    await files.makeDirectory(paths.checkpoints);
    const { runId } = manifest;
    await beginLog(files, { directory, runId, name: "wal" }, nowMs);
    await beginLog(files, { directory, runId, name: "ledger" }, nowMs);
    if (generatedSecret !== null) {
      const text = new TextEncoder().encode(`${generatedSecret}\n`);
      await atomicWrite(files, paths.secret, text, PRIVATE_PERMISSIONS);
    }
    await writeManifest(files, paths.manifest, manifest);
    await files.syncDirectory(dirname(directory));
    await replaceLink(files, manifest.runId, join(request.runsDirectory, LATEST));
  } catch (error) {
    await lock.release();
    throw error;
  }
  return { run: new Run(files, directory, manifest), lock };
}

async function runIds(files: Files, runsDirectory: string): Promise<readonly string[]> {
  try {
    const names = await files.list(runsDirectory);
    return names.filter((name) => /^\d{8}-\d{6}-/.test(name)).reverse();
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

async function notFound(files: Files, runsDirectory: string, run: string): Promise<EsperError> {
  const recent = (await runIds(files, runsDirectory)).slice(0, LISTED_RUNS);
  const known =
    recent.length === 0 ? `${runsDirectory} holds no runs` : `most recent: ${recent.join(", ")}`;
  return new EsperError(
    "RUN_NOT_FOUND",
    `there is no run ${run}${didYouMean(run, await runIds(files, runsDirectory))} (${known})`,
    { run, runsDirectory, recent },
  );
}

async function locate(files: Files, runsDirectory: string, run: string): Promise<string | null> {
  if (run === LATEST) {
    try {
      const target = basename(await files.readLink(join(runsDirectory, LATEST)));
      await finishRestore(files, join(runsDirectory, target));
      return join(runsDirectory, target);
    } catch (error) {
      if (!EsperError.is(error, "STORAGE_FAILED")) throw error;
      // No usable link: the ids begin with their time, so the last one is the newest.
      const [newest] = await runIds(files, runsDirectory);
      return newest === undefined ? null : join(runsDirectory, newest);
    }
  }
  for (const directory of [join(runsDirectory, run), run]) {
    if ((await lstatIfPresent(files, runPaths(directory).manifest)) !== null) return directory;
    if (await finishRestore(files, directory)) return directory;
  }
  return null;
}

/** Does the last rename of a restore that a crash cut short; true when it did. */
function finishRestore(files: Files, directory: string): Promise<boolean> {
  return finishCutRestore(files, directory, { held: (path) => isRunHeld(files, path) });
}

/**
 * The directory of a run by "latest", id or path, whatever state its files are in: one without a
 * manifest counts when it has a log. @throws {RUN_NOT_FOUND}
 */
export async function locateRun(files: Files, runsDirectory: string, run: string): Promise<string> {
  const directory = await locate(files, runsDirectory, run);
  if (directory !== null && (await statIfPresent(files, directory)) !== null) return directory;
  for (const candidate of [join(runsDirectory, run), run]) {
    const { wal, ledger } = runPaths(candidate);
    const logs = [await statIfPresent(files, wal), await statIfPresent(files, ledger)];
    if (logs.some((stat) => stat !== null)) return candidate;
  }
  throw await notFound(files, runsDirectory, run);
}

/**
 * Finds a run by "latest", id or path, without taking its lock.
 * @throws {RUN_NOT_FOUND} naming the nearest and the most recent ids.
 * @throws {DATA_INVALID} when its manifest is damaged.
 * @throws {RUN_LAYOUT} when something in its directory is a link or of another kind.
 */
export async function openRun(files: Files, runsDirectory: string, run: string): Promise<Run> {
  const directory = await locate(files, runsDirectory, run);
  if (directory === null) throw await notFound(files, runsDirectory, run);
  await checkLayout(files, directory);
  try {
    return new Run(files, directory, await readManifest(files, runPaths(directory).manifest));
  } catch (error) {
    if (isMissing(error)) throw await notFound(files, runsDirectory, run);
    throw error;
  }
}

function neverBegun(runsDirectory: string, id: string): EsperError {
  const path = join(runsDirectory, id);
  return new EsperError(
    "DATA_INVALID",
    `${path} has no manifest: its process ended before the run began. It can be deleted`,
    { path },
  );
}

/** Every readable run, newest first, and what was wrong with the others. */
export async function listRuns(
  files: Files,
  runsDirectory: string,
): Promise<{ readonly runs: readonly Run[]; readonly unreadable: readonly EsperError[] }> {
  const runs: Run[] = [];
  const unreadable: EsperError[] = [];
  for (const id of await runIds(files, runsDirectory)) {
    try {
      runs.push(await openRun(files, runsDirectory, id));
    } catch (error) {
      if (!EsperError.is(error)) throw error;
      unreadable.push(
        EsperError.is(error, "RUN_NOT_FOUND") ? neverBegun(runsDirectory, id) : error,
      );
    }
  }
  return { runs, unreadable };
}
