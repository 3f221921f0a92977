/**
 * Copies what a run cannot lose to another place, while the run goes on or after it has ended: its
 * newest intact checkpoint, its telemetry, its logs, its secret and its manifest, in this order, so
 * that the logs always reach at least as far as the checkpoint and the manifest as far as the logs.
 * A failure leaves the place as it was found.
 */
import { join } from "node:path";
import { EsperError } from "../../protocols/errors.ts";
import {
  BACKUP_FILE,
  type BackupManifest,
  LOG_NAMES,
  type SavedLog,
  writeBackupManifest,
} from "./backup-layout.ts";
import { verifyCheckpoint } from "./checkpoint-file.ts";
import { type CheckpointEntry, listCheckpoints } from "./checkpoint-index.ts";
import { type Files, isMissing } from "./files.ts";
import { copyLog } from "./log-copy.ts";
import type { KnownRun } from "./log-inspect.ts";
import { Place, requireEmpty, usable } from "./place.ts";
import { lstatIfPresent, syncTree } from "./tree.ts";

export interface BackupOptions {
  readonly files: Files;
  readonly directory: string;
  readonly run: KnownRun;
  /** Where the backup goes: an empty or a new directory. */
  readonly target: string;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  /** The version of the program. */
  readonly product: string;
}

/** The journal vouches for bytes of the others, so it is copied before them. */
const TELEMETRY = ["nissa.journal", "metrics.jsonl", "events.jsonl", "runtime.jsonl"] as const;

const ATTEMPTS = 4;

async function putIfPresent(files: Files, place: Place, from: string, name: string) {
  if ((await lstatIfPresent(files, from)) !== null) await place.put(from, name);
}

/** The newest one of which every byte is right; one that cannot be read at all is an error. */
async function newestIntact(files: Files, directory: string): Promise<CheckpointEntry | null> {
  for (const entry of await listCheckpoints(files, directory)) {
    if ((await verifyCheckpoint(files, entry.path)).ok) return entry;
  }
  return null;
}

/** The newest intact checkpoint and the finished model; returns the checkpoint's step. */
async function saveCheckpoint(files: Files, source: string, place: Place): Promise<number | null> {
  for (let attempt = 1; ; attempt++) {
    try {
      const newest = await newestIntact(files, join(source, "checkpoints"));
      if (newest === null) return null;
      await place.put(newest.path, `checkpoints/${newest.name}`);
      if (newest.final) await putIfPresent(files, place, join(source, "model.ckpt"), "model.ckpt");
      return newest.step;
    } catch (error) {
      // A living run has stored newer ones and removed this one: take the newest again.
      if (!isMissing(error) || attempt === ATTEMPTS) throw error;
    }
  }
}

async function saveLogs(options: BackupOptions, place: Place): Promise<SavedLog[]> {
  const { files, directory: source, run } = options;
  const saved: SavedLog[] = [];
  for (const name of LOG_NAMES) {
    const directory = join(source, name);
    saved.push(await copyLog(files, { directory, name, run, mode: "sound" }, place));
  }
  return saved;
}

async function fill(options: BackupOptions, place: Place): Promise<BackupManifest> {
  const { files, directory, createdAt, product } = options;
  const { runId } = options.run;
  await usable(place.directory, () => place.folder());
  const step = await saveCheckpoint(files, directory, place);
  for (const name of TELEMETRY) {
    await putIfPresent(files, place, join(directory, name), name);
  }
  const logs = await saveLogs(options, place);
  await putIfPresent(files, place, join(directory, "secret"), "secret");
  await place.put(join(directory, "manifest.json"), "manifest.json");
  await syncTree(files, place.directory);
  const head = { format: "esper-backup", version: 1, runId, createdAt, product } as const;
  const manifest: BackupManifest = { ...head, step, logs, files: [...place.saved] };
  place.willHold(BACKUP_FILE);
  await writeBackupManifest(files, place.directory, manifest);
  return manifest;
}

/** True when `path` is `directory` or lies in it. */
function isInside(path: string, directory: string): boolean {
  return path === directory || path.startsWith(`${directory}/`);
}

/**
 * Saves the run to `target`.
 * @throws {PLACE_TAKEN} when the place is not empty, or lies in the run itself.
 * @throws {PLACE_UNUSABLE} when no directory can be made there.
 * @throws {LOG_DAMAGED} @throws {LOG_BUSY} @throws {STORAGE_FULL} @throws {STORAGE_FAILED}
 */
export async function backupRun(options: BackupOptions): Promise<BackupManifest> {
  const { files, directory, target } = options;
  if (isInside(target, directory)) {
    throw new EsperError(
      "PLACE_TAKEN",
      `${target} lies in the run itself and would be lost with it: ` +
        "expected a place outside, best on another disk",
      { path: target, expected: `a place outside ${directory}`, found: target },
    );
  }
  await usable(target, () => requireEmpty(files, target));
  const place = new Place(files, target);
  try {
    return await fill(options, place);
  } catch (error) {
    await place.undo();
    throw error;
  }
}
