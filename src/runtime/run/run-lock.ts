/**
 * Two processes never share a run. Locks are files `lock.<generation>` that name their owner; the
 * highest generation counts. Taking over means creating the next generation, which only one
 * process can do, so a dead owner's lock is never removed under a new owner's feet. A lock is
 * released by saying so in its file: numbers are never used again.
 */
import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { EsperError } from "../../protocols/errors.ts";
import { atomicWrite, type Files, isMissing, isTaken, removeIfPresent } from "../durable/files.ts";
import { openPlain } from "../durable/tree.ts";
import { comparePlaces, ownPlace, type ProcessPlace } from "./process-place.ts";

/** What the lock must know about processes; injected so that tests can let them die. */
export interface Processes {
  readonly pid: number;
  readonly host: string;
  alive(pid: number): boolean;
  /** Tells a process from a later one with the same pid; null where the system does not say. */
  startToken(pid: number): Promise<string | null>;
  /** Where this process lives. */
  place(): Promise<ProcessPlace>;
}

export interface RunLock {
  readonly path: string;
  /** Idempotent. */
  release(): Promise<void>;
}

const fact = z.string().nullable().default(null);
const ownerSchema = z.object({
  pid: z.int().positive(),
  host: z.string(),
  startToken: z.string().nullable(),
  released: z.boolean(),
  machine: fact,
  boot: fact,
  numbers: fact,
});
type Owner = z.infer<typeof ownerSchema>;

const LOCK_NAME = /^lock\.(\d+)$/;
const MAX_ATTEMPTS = 16;
const MAX_LOCK_BYTES = 4_096;
/** Field of /proc/<pid>/stat, counted from 1 behind the command name: start time in ticks. */
const START_TIME_FIELD = 20;

/** The processes of this machine. */
export function systemProcesses(files: Files): Processes {
  return {
    pid: process.pid,
    host: hostname(),
    alive(pid) {
      try {
        process.kill(pid, 0);
        return true;
      } catch (error) {
        // EPERM: it lives, but belongs to somebody else.
        return !(error instanceof Error && "code" in error && error.code === "ESRCH");
      }
    },
    async startToken(pid) {
      try {
        const text = new TextDecoder().decode(await files.read(`/proc/${pid}/stat`));
        const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
        return fields[START_TIME_FIELD - 1] ?? null;
      } catch (error) {
        if (EsperError.is(error, "STORAGE_FAILED")) return null;
        throw error;
      }
    },
    place: () => ownPlace(files),
  };
}

const encode = (owner: Owner): Uint8Array => new TextEncoder().encode(`${JSON.stringify(owner)}\n`);

function decode(bytes: Uint8Array): Owner | null {
  try {
    return ownerSchema.safeParse(JSON.parse(new TextDecoder().decode(bytes))).data ?? null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

async function generations(files: Files, directory: string): Promise<number[]> {
  const names = await files.list(directory);
  const numbers = names.flatMap((name) => {
    const match = LOCK_NAME.exec(name);
    return match === null ? [] : [Number(match[1])];
  });
  return numbers.sort((left, right) => right - left);
}

const lockPath = (directory: string, generation: number): string =>
  join(directory, `lock.${generation}`);

async function isHeld(owner: Owner, processes: Processes): Promise<boolean> {
  if (owner.released) return false;
  // Another machine's processes cannot be seen from here.
  if (owner.host !== processes.host) return true;
  const where = comparePlaces(owner, await processes.place());
  if (where !== "same") return where === "elsewhere";
  if (!processes.alive(owner.pid)) return false;
  const token = await processes.startToken(owner.pid);
  return token === null || owner.startToken === null || token === owner.startToken;
}

async function locked(files: Files, path: string, { pid, host }: Owner): Promise<EsperError> {
  const since = new Date((await files.stat(path)).modifiedMs).toISOString();
  return new EsperError(
    "RUN_LOCKED",
    `process ${pid} on the machine ${host} is using this run since ${since} (${path}). ` +
      "Wait for it or stop it; if it is certainly gone, remove that file",
    { path, pid, host, since },
  );
}

/** Creates the generation with its contents in one step; false when it exists already. */
async function claim(files: Files, path: string, owner: Owner): Promise<boolean> {
  const temporary = `${path}.${randomBytes(4).toString("hex")}.tmp`;
  await atomicWrite(files, temporary, encode(owner));
  try {
    await files.link(temporary, path);
    return true;
  } catch (error) {
    if (isTaken(error)) return false;
    throw error;
  } finally {
    await removeIfPresent(files, temporary);
  }
}

/**
 * Null when it is not there any more: it was removed by the process that owns a higher generation.
 * @throws {RUN_LOCKED} when nobody can tell whose it is.
 */
async function readOwner(files: Files, path: string): Promise<Owner | null> {
  try {
    const file = await openPlain(files, path);
    try {
      const owner = decode(await file.read(0, MAX_LOCK_BYTES));
      if (owner !== null) return owner;
    } finally {
      await file.close();
    }
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
  throw new EsperError(
    "RUN_LOCKED",
    `${path} does not say which process is using this run: expected a lock as this program ` +
      "writes it, found something else. If no process uses the run, remove that file",
    { path, offset: 0, expected: "a lock", found: "something else" },
  );
}

function heldLock(files: Files, path: string, owner: Owner): RunLock {
  let released = false;
  return {
    path,
    async release() {
      if (released) return;
      released = true;
      await atomicWrite(files, path, encode({ ...owner, released: true }));
    },
  };
}

/** One attempt; null when another process was quicker and the state must be read again. */
async function tryLock(
  files: Files,
  directory: string,
  processes: Processes,
): Promise<RunLock | null> {
  const [highest = 0] = await generations(files, directory);
  if (highest > 0) {
    const path = lockPath(directory, highest);
    const owner = await readOwner(files, path);
    if (owner !== null && (await isHeld(owner, processes))) throw await locked(files, path, owner);
  }
  const { pid, host } = processes;
  const startToken = await processes.startToken(pid);
  const owner = { pid, host, startToken, released: false, ...(await processes.place()) };
  const path = lockPath(directory, highest + 1);
  if (!(await claim(files, path, owner))) return null;
  const [first, ...older] = await generations(files, directory);
  if (first !== highest + 1) {
    // What was read first is outdated: a higher generation owns the run.
    await removeIfPresent(files, path);
    return null;
  }
  for (const generation of older) await removeIfPresent(files, lockPath(directory, generation));
  return heldLock(files, path, owner);
}

/** True while a living process has the run; it may be gone a moment later. */
export async function isRunHeld(
  files: Files,
  directory: string,
  processes: Processes = systemProcesses(files),
): Promise<boolean> {
  const [highest] = await generations(files, directory);
  if (highest === undefined) return false;
  try {
    const owner = await readOwner(files, lockPath(directory, highest));
    return owner !== null && (await isHeld(owner, processes));
  } catch (error) {
    // Nobody can tell, so nobody may touch it.
    if (EsperError.is(error, "RUN_LOCKED")) return true;
    throw error;
  }
}

/**
 * Takes the run for this process. The lock of a process that is gone is taken over.
 * @throws {RUN_LOCKED} naming the process that has it and the lock file.
 */
export async function lockRun(
  files: Files,
  directory: string,
  processes: Processes = systemProcesses(files),
): Promise<RunLock> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const lock = await tryLock(files, directory, processes);
    if (lock !== null) return lock;
  }
  throw new EsperError(
    "RUN_LOCKED",
    `other processes keep taking ${directory} at the same moment: try again`,
    { path: directory },
  );
}
