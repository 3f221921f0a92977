/** Fulfils the operator's commands on logs, backups and checkpoints. */
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { EsperError } from "../../protocols/errors.ts";
import type { RunRef } from "../cli/deps.ts";
import type {
  CheckpointsOf,
  DurableDeps,
  LogsContents,
  LogsVerdict,
  RecordsWanted,
  SoakOutcome,
  SoakWanted,
} from "../cli/durable-deps.ts";
import type { Clock } from "../clock.ts";
import { backupRun } from "../durable/backup.ts";
import {
  BACKUP_FILE,
  type BackupManifest,
  LOG_NAMES,
  readBackupManifest,
  verifyBackupFiles,
} from "../durable/backup-layout.ts";
import { type Checkpoint, decodeCheckpoint } from "../durable/checkpoint.ts";
import { diffCheckpoints } from "../durable/checkpoint-diff.ts";
import { type CheckpointVerdict, verifyCheckpoint } from "../durable/checkpoint-file.ts";
import { listCheckpoints, rememberVerdicts } from "../durable/checkpoint-index.ts";
import { type Files, statIfPresent } from "../durable/files.ts";
import {
  type ClaimReader,
  countContents,
  type DescribedRecord,
  describeRecords,
  type LogContents,
  type RecordsEnd,
} from "../durable/log-contents.ts";
import { verifyLogs } from "../durable/log-inspect.ts";
import { requireEmpty, usable } from "../durable/place.ts";
import { readRestoreNote } from "../durable/restore.ts";
import { followLinks, lstatIfPresent, removeTree } from "../durable/tree.ts";
import { runWalSoak } from "../soak/wal-soak.ts";
import { writerProcesses } from "../soak/writer-process.ts";
import type { CancellationToken } from "../token.ts";
import {
  knownRun,
  manifestIfReadable,
  type RestoreDeps,
  repairRun,
  restoreRun,
} from "./restore-run.ts";
import { LATEST, locateRun, openRun, runPaths } from "./run-dir.ts";
import { isRunHeld } from "./run-lock.ts";

export interface DurableCommandDeps {
  readonly files: Files;
  readonly clock: Clock;
  readonly version: string;
  readonly readClaim: ClaimReader;
  readonly ledgerFloor: RestoreDeps["ledgerFloor"];
}

async function locate(files: Files, { runsDirectory, run }: RunRef): Promise<string> {
  return resolve(await locateRun(files, runsDirectory, run));
}

/** A backup's files are compared with their digests before anything is said of its logs. */
async function lookAtBackup(files: Files, directory: string): Promise<BackupManifest | null> {
  if ((await lstatIfPresent(files, join(directory, BACKUP_FILE))) === null) return null;
  const manifest = await readBackupManifest(files, directory);
  await verifyBackupFiles(files, directory, manifest);
  return manifest;
}

async function verify(ref: RunRef, files: Files): Promise<LogsVerdict> {
  const directory = await locate(files, ref);
  const backup = await lookAtBackup(files, directory);
  const live = await isRunHeld(files, directory);
  const manifest = await manifestIfReadable(files, directory);
  const run = manifest === null ? null : knownRun(manifest, live);
  // A backup names its own logs, and was compared with those names already.
  const known = backup === null || run === null ? run : { ...run, hasManifest: false };
  const logs = await verifyLogs(files, directory, known);
  return { directory, live, backup, logs, restored: await readRestoreNote(files, directory) };
}

async function inspect(ref: RunRef, deps: DurableCommandDeps): Promise<LogsContents> {
  const { files, readClaim } = deps;
  const verdict = await verify(ref, files);
  const contents: LogContents[] = [];
  for (const log of verdict.logs) {
    if (log.records === 0) continue;
    contents.push(await countContents(files, verdict.directory, log, readClaim));
  }
  return { ...verdict, contents };
}

async function* records(
  ref: RunRef,
  wanted: RecordsWanted,
  { files, readClaim }: DurableCommandDeps,
): AsyncGenerator<DescribedRecord | RecordsEnd, void, void> {
  const directory = await locate(files, ref);
  for (const name of LOG_NAMES) {
    const kind = (await lstatIfPresent(files, join(directory, name)))?.kind;
    if (kind !== "directory") continue;
    yield* describeRecords(files, directory, name, wanted, readClaim);
  }
}

/**
 * What is there, found as every command finds a run: among the runs first, then as a path. What is
 * not there is a new run when it is a mere name, and else the path itself.
 */
async function placeFor(files: Files, { runsDirectory, run }: RunRef): Promise<string> {
  if (run === LATEST) return resolve(await locateRun(files, runsDirectory, run));
  const among = resolve(runsDirectory, run);
  const itself = resolve(run);
  for (const path of [among, itself]) {
    if ((await lstatIfPresent(files, path)) !== null) return path;
  }
  const isName = basename(run) === run && run !== "." && run !== "..";
  return isName ? among : itself;
}

async function soak(
  wanted: SoakWanted,
  stop: CancellationToken,
  { files, clock }: DurableCommandDeps,
): Promise<SoakOutcome> {
  const { seed, seconds, kills } = wanted;
  const own = join(tmpdir(), `esper-soak-${process.pid}-${Math.round(clock.nowMs())}`);
  const directory = wanted.directory ?? own;
  await usable(directory, async () => {
    await requireEmpty(files, directory);
    await files.makeDirectory(directory);
  });
  const startWriter = writerProcesses(clock);
  const run = {
    files,
    clock,
    startWriter,
    directory: join(directory, "wal"),
    seed,
    seconds,
    kills,
  };
  await files.makeDirectory(run.directory);
  const report = await runWalSoak({ ...run, stop });
  const keep = wanted.directory !== null || !report.ok;
  if (!keep) await removeTree(files, directory);
  return { ...report, directory: keep ? directory : null };
}

/** The index of a run that nobody works on; a backup stays as it is, byte for byte. */
async function keepVerdicts(
  found: CheckpointsOf<CheckpointVerdict>,
  { files, clock }: DurableCommandDeps,
): Promise<CheckpointsOf<CheckpointVerdict>> {
  const { directory, checkpoints } = found;
  const run = dirname(directory);
  try {
    const isFolder = (await lstatIfPresent(files, directory))?.kind === "directory";
    const isRun = isFolder && (await lstatIfPresent(files, runPaths(run).manifest)) !== null;
    const isBackup = (await lstatIfPresent(files, join(run, BACKUP_FILE))) !== null;
    if (!isRun || isBackup || runPaths(run).checkpoints !== directory) return found;
    if (await isRunHeld(files, run)) return found;
    await rememberVerdicts(files, directory, checkpoints, clock.nowMs());
  } catch (error) {
    // It is a cache: a disk that takes no writes must not hide the verdict.
    if (!EsperError.is(error)) throw error;
  }
  return found;
}

async function verifyCheckpoints(
  ref: RunRef,
  deps: DurableCommandDeps,
): Promise<CheckpointsOf<CheckpointVerdict>> {
  const { files } = deps;
  const file = await checkpointFile(files, ref);
  if (file !== null) {
    const checkpoints = [await verifyCheckpoint(files, file)];
    return keepVerdicts({ directory: dirname(file), checkpoints }, deps);
  }
  const { checkpoints: directory, model } = runPaths(await locate(files, ref));
  const entries = await listCheckpoints(files, directory);
  const paths = entries.map(({ path }) => path);
  if ((await lstatIfPresent(files, model)) !== null) paths.push(model);
  const checkpoints: CheckpointVerdict[] = [];
  for (const path of paths) checkpoints.push(await verifyCheckpoint(files, path));
  return keepVerdicts({ directory, checkpoints }, deps);
}

/** The path of a single file when the user named one. */
async function checkpointFile(files: Files, { run }: RunRef): Promise<string | null> {
  const path = resolve(run);
  if (!run.endsWith(".ckpt")) return null;
  if ((await statIfPresent(files, path)) !== null) return path;
  throw new EsperError("NOTHING_STORED", `${path} is not there: name a checkpoint file, or a run`, {
    path,
  });
}

const AT_STEP = /^(.+)@(\d{1,12})$/;

/** A file, a run's newest checkpoint, or its checkpoint of a step. */
async function findCheckpoint(files: Files, ref: RunRef): Promise<string> {
  const file = await checkpointFile(files, ref);
  if (file !== null) return file;
  const [, run = ref.run, step] = AT_STEP.exec(ref.run) ?? [];
  const { checkpoints: directory } = runPaths(await locate(files, { ...ref, run }));
  const entries = await listCheckpoints(files, directory);
  const found = entries.find((entry) => step === undefined || entry.step === Number(step));
  if (found !== undefined) return found.path;
  const steps = entries.map((entry) => entry.step);
  throw new EsperError(
    "NOTHING_STORED",
    `${directory} holds no checkpoint${step === undefined ? "" : ` of step ${step}`}; there are: ` +
      `${steps.length === 0 ? "none" : steps.join(", ")}`,
    { directory, step: step === undefined ? null : Number(step), found: steps },
  );
}

async function diff(left: RunRef, right: RunRef, files: Files) {
  const paths = [await findCheckpoint(files, left), await findCheckpoint(files, right)] as const;
  const read = async (path: string): Promise<Checkpoint> =>
    decodeCheckpoint(await files.read(path), path);
  const difference = diffCheckpoints(await read(paths[0]), await read(paths[1]));
  return { directory: dirname(paths[0]), checkpoints: paths, ...difference };
}

/** The commands on what a run has on disk. */
export function createDurableCommands(deps: DurableCommandDeps): DurableDeps {
  const { files, clock, version } = deps;
  return {
    verifyLogs: (ref) => verify(ref, files),
    inspectLogs: (ref) => inspect(ref, deps),
    readRecords: (ref, wanted) => records(ref, wanted, deps),
    async backup(ref, target) {
      const { directory: found, manifest } = await openRun(files, ref.runsDirectory, ref.run);
      const directory = await followLinks(files, resolve(found));
      const run = knownRun(manifest, true);
      const createdAt = new Date(clock.nowMs()).toISOString();
      return backupRun({ files, directory, run, target, createdAt, product: version });
    },
    restore: async (backup, ref) => restoreRun(backup, await placeFor(files, ref), deps),
    repair: async (ref) => repairRun(await locate(files, ref), deps),
    soak: (wanted, stop) => soak(wanted, stop, deps),
    async listCheckpoints(ref) {
      const { checkpoints: directory } = runPaths(await locate(files, ref));
      return { directory, checkpoints: await listCheckpoints(files, directory) };
    },
    verifyCheckpoints: (ref) => verifyCheckpoints(ref, deps),
    diffCheckpoints: (left, right) => diff(left, right, files),
  };
}
