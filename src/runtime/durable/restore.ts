/**
 * Puts a whole new directory in the place of a run: filled beside it under another name, complete
 * and on the disk before two renames swap it in, so that a crash leaves the old or the new. What
 * was there is kept beside it. Both directories are locked by this process all the while.
 */
import { basename, dirname, join } from "node:path";
import { z } from "zod";
import { EsperError } from "../../protocols/errors.ts";
import { atomicWrite, type Files, readTextIfPresent, removeIfPresent } from "./files.ts";
import { Place } from "./place.ts";
import { freeNumberedName, listIfPresent, lstatIfPresent, removeTree, syncTree } from "./tree.ts";

/** Stays in the restored directory and says where it came from. */
export const RESTORE_FILE = "restore.json";

const noteSchema = z.strictObject({
  version: z.literal(1),
  runId: z.string(),
  /** ISO 8601, UTC. */
  restoredAt: z.iso.datetime(),
  /** The backup, or the run itself for a repair. */
  from: z.string(),
  /** Where the directory that was replaced has gone; null when there was none. */
  replaced: z.string().nullable(),
});
export type RestoreNote = z.infer<typeof noteSchema>;

/** Who may work on a directory; see run-lock.ts. */
export interface Locks {
  /** @throws {RUN_LOCKED} */
  take(directory: string): Promise<{ readonly path: string; release(): Promise<void> }>;
  held(directory: string): Promise<boolean>;
}

export interface ReplaceOptions {
  readonly files: Files;
  readonly locks: Locks;
  readonly target: string;
  readonly note: Omit<RestoreNote, "version" | "replaced">;
  /** Puts everything into the new directory; a throw leaves all as it was. */
  readonly fill: (place: Place) => Promise<void>;
}

const LOCK_FILE = /^lock\.\d+$/;

const stagingOf = (target: string): string =>
  join(dirname(target), `restoring-${basename(target)}`);

/** First of all: without its note a half-emptied directory is never taken for a finished one. */
async function unmark(files: Files, staging: string): Promise<void> {
  await removeIfPresent(files, join(staging, RESTORE_FILE));
  await files.syncDirectory(staging);
}

/** What a restore that was cut short left behind goes, but for our own lock. */
async function emptyStaging(files: Files, staging: string): Promise<void> {
  await unmark(files, staging);
  for (const name of await listIfPresent(files, staging)) {
    const path = join(staging, name);
    if (LOCK_FILE.test(name)) continue;
    if ((await files.lstat(path)).kind === "directory") await removeTree(files, path);
    else await files.remove(path);
  }
}

/** The lock's file has moved with its directory, so it is removed where it is now. */
async function dropLock(files: Files, directory: string, lockPath: string): Promise<void> {
  await files.remove(join(directory, basename(lockPath)));
  await files.syncDirectory(directory);
}

async function writeNote(files: Files, directory: string, note: RestoreNote): Promise<void> {
  const text = `${JSON.stringify(note, null, 2)}\n`;
  await atomicWrite(files, join(directory, RESTORE_FILE), new TextEncoder().encode(text));
}

async function isOccupied(files: Files, path: string): Promise<boolean> {
  return (await listIfPresent(files, path)).length > 0;
}

/**
 * Returns once the new directory has the name. From the first rename to the second the run has
 * none; a failure in between takes the first one back, and a crash is mended by `finishCutRestore`.
 */
async function swap(
  files: Files,
  staging: string,
  target: string,
  replaced: string | null,
): Promise<void> {
  let moved = false;
  try {
    if (replaced !== null) {
      await files.rename(target, replaced);
      moved = true;
      await files.syncDirectory(dirname(target));
    }
    await files.rename(staging, target);
  } catch (error) {
    if (moved && replaced !== null) await files.rename(replaced, target);
    throw error;
  }
}

/**
 * Replaces `target` as a whole, or creates it. Returns where the old directory is now.
 * @throws {RUN_LOCKED} when another process uses it; and whatever `fill` throws.
 */
export async function replaceDirectory(options: ReplaceOptions): Promise<string | null> {
  const { files, locks, target, note, fill } = options;
  const occupied = await isOccupied(files, target);
  const lock = occupied ? await locks.take(target) : null;
  const staging = stagingOf(target);
  let replaced: string | null = null;
  let stagedLock: string | null = null;
  try {
    await files.makeDirectory(staging);
    stagedLock = (await locks.take(staging)).path;
    await emptyStaging(files, staging);
    if (occupied) {
      const wanted = join(dirname(target), `replaced-${basename(target)}`);
      replaced = await freeNumberedName(files, wanted);
    }
    await fill(new Place(files, staging));
    await syncTree(files, staging);
    await writeNote(files, staging, { version: 1, ...note, replaced });
    await swap(files, staging, target, replaced);
  } catch (error) {
    const nameless = occupied && (await isNameless(files, target));
    // A run that could not get its name back gets the new directory at the next look at it.
    if (stagedLock !== null && !nameless) await sweep(files, staging);
    if (!nameless) await lock?.release();
    throw error;
  }
  await files.syncDirectory(dirname(target));
  await dropLock(files, target, stagedLock);
  if (lock !== null && replaced !== null) await dropLock(files, replaced, lock.path);
  return replaced;
}

async function isNameless(files: Files, target: string): Promise<boolean> {
  try {
    return (await lstatIfPresent(files, target)) === null;
  } catch (error) {
    if (EsperError.is(error)) return false;
    throw error;
  }
}

/** The first error is the one to tell; what is left is emptied by the next restore. */
async function sweep(files: Files, staging: string): Promise<void> {
  try {
    await unmark(files, staging);
    await removeTree(files, staging);
  } catch (error) {
    if (!EsperError.is(error)) throw error;
  }
}

function parseNote(text: string): RestoreNote | null {
  try {
    return noteSchema.safeParse(JSON.parse(text)).data ?? null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** Where the run came from, when it was restored or repaired; null when it was not. */
export async function readRestoreNote(
  files: Files,
  directory: string,
): Promise<RestoreNote | null> {
  const path = join(directory, RESTORE_FILE);
  if ((await lstatIfPresent(files, path))?.kind !== "file") return null;
  const text = await readTextIfPresent(files, path);
  return text === null ? null : parseNote(text);
}

/**
 * When a crash fell between the two renames of a restore, does the second one. True when it did.
 */
export async function finishCutRestore(
  files: Files,
  target: string,
  locks: Pick<Locks, "held">,
): Promise<boolean> {
  if ((await lstatIfPresent(files, target)) !== null) return false;
  const staging = stagingOf(target);
  const text = await readTextIfPresent(files, join(staging, RESTORE_FILE));
  if (text === null || parseNote(text) === null || (await locks.held(staging))) return false;
  await files.rename(staging, target);
  await files.syncDirectory(dirname(target));
  return true;
}
