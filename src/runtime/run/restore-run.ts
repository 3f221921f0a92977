/**
 * Brings a run back: from a backup, or from its own damaged logs to the last good record. Both ways
 * fill a new directory and swap it in as a whole; what was there is kept. A restored run never
 * repeats an id: its incarnation moves on, and the nonce ledger takes no command issued before.
 */
import { basename, join } from "node:path";
import { EsperError } from "../../protocols/errors.ts";
import type { Clock } from "../clock.ts";
import {
  BACKUP_FILE,
  type BackupManifest,
  isSafeName,
  LOG_NAMES,
  readBackupManifest,
  type SavedLog,
  verifyBackupFiles,
} from "../durable/backup-layout.ts";
import { type Files, PRIVATE_PERMISSIONS } from "../durable/files.ts";
import { beginLog } from "../durable/log-begin.ts";
import { copyLog, mendableDamage } from "../durable/log-copy.ts";
import { damageOf, type KnownRun, type RunLogReport, verifyLogs } from "../durable/log-inspect.ts";
import { requireOwnLog } from "../durable/log-owner.ts";
import { type Place, requireEmpty, usable } from "../durable/place.ts";
import { type Locks, RESTORE_FILE, replaceDirectory } from "../durable/restore.ts";
import { followLinks, listIfPresent, listTree, lstatIfPresent } from "../durable/tree.ts";
import { Wal } from "../durable/wal.ts";
import type { LogFlaw } from "../durable/wal-verify.ts";
import { type Manifest, readManifest, writeManifest } from "./manifest.ts";
import { runPaths } from "./run-dir.ts";
import { isRunHeld, lockRun } from "./run-lock.ts";

export interface RestoreDeps {
  readonly files: Files;
  readonly clock: Clock;
  /** A record for the nonce ledger after which every command issued until then is stale. */
  readonly ledgerFloor: (runId: string, nowMs: number) => Uint8Array;
  readonly locks?: Locks;
}

/** What a restore did. */
export interface Restored {
  readonly runId: string;
  readonly directory: string;
  /** Where the old directory is now; null when there was none. */
  readonly replaced: string | null;
  readonly logs: readonly SavedLog[];
}

/** What a repair did; `replaced` is null when nothing was damaged. */
export interface Repaired extends Restored {
  readonly damage: readonly LogFlaw[];
  /** Names in the old directory that were not taken over: links, sockets, unknown things. */
  readonly left: readonly string[];
}

/** Room for incarnations that the original may have used since; only ids depend on it. */
const INCARNATION_GAP = 1_000;
const SHARED_PERMISSIONS = 0o644;
const PRIVATE_NAMES: ReadonlySet<string> = new Set([...LOG_NAMES, "secret"]);

const permissionsOf = (name: string): number =>
  PRIVATE_NAMES.has(name.split("/")[0] ?? "") ? PRIVATE_PERMISSIONS : SHARED_PERMISSIONS;

/** The locks of run-lock.ts. */
export function runLocks(files: Files): Locks {
  return {
    take: (directory) => lockRun(files, directory),
    held: (directory) => isRunHeld(files, directory),
  };
}

/** The manifest, or null when it is missing or damaged. */
export async function manifestIfReadable(
  files: Files,
  directory: string,
): Promise<Manifest | null> {
  try {
    return await readManifest(files, runPaths(directory).manifest);
  } catch (error) {
    if (EsperError.is(error)) return null;
    throw error;
  }
}

/** What the manifest says of the run's logs; `live` while a process works on it. */
export function knownRun({ runId, logsBegun, status }: Manifest, live: boolean): KnownRun {
  const isOver = status === "completed" || status === "stopped";
  return { runId, hasManifest: true, begun: logsBegun === true, closed: isOver && !live };
}

/** A run of which only the id is known: its logs may be there or not. */
const onlyId = (runId: string): KnownRun => ({
  ...{ runId, hasManifest: false, begun: false, closed: false },
});

/** The manifest of the run that is there now; null where there is none. */
async function lookAtTarget(
  files: Files,
  target: string,
  backup: BackupManifest,
): Promise<Manifest | null> {
  const names = await listIfPresent(files, target);
  const isRun = names.includes("manifest.json") || LOG_NAMES.some((log) => names.includes(log));
  if (!isRun) {
    await usable(target, () => requireEmpty(files, target));
    return null;
  }
  const manifest = await manifestIfReadable(files, target);
  if (manifest === null || manifest.runId === backup.runId) return manifest;
  throw new EsperError(
    "BACKUP_INVALID",
    `the backup is of run ${backup.runId}, and ${target} is another run: expected ` +
      `${backup.runId}, found ${manifest.runId}. Nothing was changed; name a new directory`,
    { path: target, expected: backup.runId, found: manifest.runId },
  );
}

/** No command issued until now is ever fresh again: nobody knows which of them were used. */
async function raiseFloor(directory: string, runId: string, deps: RestoreDeps): Promise<void> {
  const { files, clock, ledgerFloor } = deps;
  const { ledger } = runPaths(directory);
  const own = await requireOwnLog(files, ledger, runId, "ledger");
  const wal = await Wal.open({ files, directory: ledger, ...own });
  try {
    const nowMs = clock.nowMs();
    await wal.append({ timeMs: nowMs, payload: ledgerFloor(runId, nowMs) });
  } finally {
    await wal.close();
  }
}

/** The run's own incarnation counts when it is known; otherwise there is room for what is not. */
async function moveOn(directory: string, known: Manifest | null, files: Files): Promise<void> {
  const path = runPaths(directory).manifest;
  const manifest = await readManifest(files, path);
  const incarnation =
    known === null
      ? manifest.incarnation + INCARNATION_GAP
      : Math.max(known.incarnation, manifest.incarnation);
  await writeManifest(files, path, { ...manifest, incarnation });
}

function changedUnderUs(path: string, expected: string, found: string): EsperError {
  return new EsperError(
    "BACKUP_DAMAGED",
    `${path} changed while it was restored: expected SHA-256 ${expected}, found ${found}. ` +
      "Nothing was changed; is the disk of the backup sound?",
    { path, offset: 0, expected, found },
  );
}

async function fillFromBackup(
  files: Files,
  backup: string,
  manifest: BackupManifest,
  place: Place,
): Promise<void> {
  for (const { path: name, sha256 } of manifest.files) {
    const from = join(backup, name);
    const saved = await place.put(from, name, { permissions: permissionsOf(name) });
    if (saved.sha256 !== sha256) throw changedUnderUs(from, sha256, saved.sha256);
  }
  for (const name of ["checkpoints", ...LOG_NAMES]) {
    if (manifest.files.some(({ path }) => path.startsWith(`${name}/`))) continue;
    await place.folder(join(place.directory, name));
  }
  const [flaw] = damageOf(await verifyLogs(files, place.directory, onlyId(manifest.runId)));
  if (flaw === undefined) return;
  const { file, offset, why, expected, found } = flaw;
  throw new EsperError(
    "BACKUP_DAMAGED",
    `${join(backup, basename(join(file, "..")), basename(file))} was damaged before it was saved ` +
      `(byte ${offset}: ${why}; expected ${expected}, found ${found}). Use another backup`,
    { path: file, offset, expected, found },
  );
}

/**
 * Restores a backup to `place`: a new or empty directory, or the same run, which is kept aside. A
 * link stays what it is, and where it leads is restored.
 * @throws {BACKUP_MISSING} @throws {BACKUP_INVALID} @throws {BACKUP_DAMAGED} @throws {RUN_LOCKED}
 * @throws {PLACE_TAKEN} @throws {PLACE_UNUSABLE} with nothing changed.
 */
export async function restoreRun(backup: string, at: string, deps: RestoreDeps): Promise<Restored> {
  const { files, clock, locks = runLocks(files) } = deps;
  const manifest = await readBackupManifest(files, backup);
  const { runId, logs } = manifest;
  const target = await followLinks(files, at);
  const known = await lookAtTarget(files, target, manifest);
  await verifyBackupFiles(files, backup, manifest);
  const restoredAt = new Date(clock.nowMs()).toISOString();
  const note = { runId, restoredAt, from: backup };
  const fill = async (place: Place): Promise<void> => {
    await fillFromBackup(files, backup, manifest, place);
    await moveOn(place.directory, known, files);
    await raiseFloor(place.directory, runId, deps);
  };
  const options = { files, locks, target, note, fill };
  const replaced = await usable(target, () => replaceDirectory(options));
  return { runId, directory: target, replaced, logs };
}

/** Everything of the old directory but its logs, its locks and what is no plain file. */
async function takeOver(
  files: Files,
  directory: string,
  place: Place,
): Promise<{ readonly left: string[] }> {
  const left: string[] = [];
  for (const { path, name, stat } of await listTree(files, directory)) {
    const isLog = LOG_NAMES.some((log) => name.startsWith(`${log}/`));
    const ofProcess = /^(?:lock\.\d+|control\.sock)$/.test(name) || name === RESTORE_FILE;
    if (isLog || ofProcess || name.endsWith(".tmp")) continue;
    if (stat.kind !== "file" || !isSafeName(name)) left.push(name);
    else await place.put(path, name, { permissions: stat.permissions ?? SHARED_PERMISSIONS });
  }
  return { left };
}

/** A backup must stay as it was saved: mended, it would pass for a sound one. */
async function refuseBackup(files: Files, directory: string): Promise<void> {
  const path = join(directory, BACKUP_FILE);
  if ((await lstatIfPresent(files, path)) === null) return;
  throw new EsperError(
    "BACKUP_INVALID",
    `${directory} is a backup and is not repaired: expected a run, found ${BACKUP_FILE}. Nothing ` +
      "was changed; restore it with `wal restore <backup> <run>`, or use another backup",
    { path, expected: "a run", found: BACKUP_FILE },
  );
}

/** What is good of a log, up to its first damage; of one that is gone, nothing. */
function takePrefix(
  files: Files,
  { name, directory, segments }: RunLogReport,
  run: KnownRun | null,
  place: Place,
): Promise<SavedLog> {
  if (segments.length > 0) return copyLog(files, { directory, name, run, mode: "prefix" }, place);
  const nothing = { logId: null, segments: 0, records: 0, bytes: 0, lastSequence: 0 };
  return Promise.resolve({ name, ...nothing });
}

/**
 * Cuts every damaged log of a run back to its last good record; the old directory is kept aside.
 * A link stays what it is, and where it leads is mended.
 * @throws {RUN_LOCKED} @throws {NOTHING_STORED} @throws {BACKUP_INVALID} for a backup.
 * @throws {LOG_DAMAGED} for what cutting cannot mend, such as a newer format; nothing is changed.
 */
export async function repairRun(at: string, deps: RestoreDeps): Promise<Repaired> {
  const { files, clock, locks = runLocks(files) } = deps;
  const directory = await followLinks(files, at);
  await refuseBackup(files, directory);
  const manifest = await manifestIfReadable(files, directory);
  const run = manifest === null ? null : knownRun(manifest, false);
  const runId = run?.runId ?? basename(directory);
  const before = await verifyLogs(files, directory, run);
  for (const report of before) mendableDamage(report);
  const damage = damageOf(before);
  if (damage.length === 0) {
    return { runId, directory, replaced: null, logs: [], damage, left: [] };
  }
  const logs: SavedLog[] = [];
  let left: string[] = [];
  const fill = async (place: Place): Promise<void> => {
    ({ left } = await takeOver(files, directory, place));
    for (const report of before) logs.push(await takePrefix(files, report, run, place));
    const nowMs = clock.nowMs();
    for (const { name, bytes, lastSequence } of logs) {
      // A log that holds nothing at all would count as one that was emptied.
      const log = { directory: place.directory, runId, name };
      if (bytes === 0) await beginLog(files, log, nowMs, lastSequence + 1);
    }
    const ledger = before.find(({ name }) => name === "ledger");
    if (ledger !== undefined && damageOf([ledger]).length > 0) {
      await raiseFloor(place.directory, runId, deps);
    }
  };
  const restoredAt = new Date(clock.nowMs()).toISOString();
  const note = { runId, restoredAt, from: directory };
  const replaced = await replaceDirectory({ files, locks, target: directory, note, fill });
  return { runId, directory, replaced, logs, damage, left };
}
