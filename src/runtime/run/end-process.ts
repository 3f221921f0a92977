/**
 * Ends the process, whatever its threads do. The platform waits for every thread when a process
 * exits, for ever when one is blocked in native code; such a process is killed by its own hand,
 * after its last words were written and its true exit code was put into a file.
 */
import { dehydrate } from "../../protocols/errors.ts";
import type { Clock } from "../clock.ts";
import { atomicWrite, type Files } from "../durable/files.ts";
import { endThreads } from "../thread/thread-roll.ts";

/** How long the threads get to end, and how long the last writes may take. */
const THREADS_LIMIT_MS = 250;
const WRITES_LIMIT_MS = 750;

/** The last moments of a process; `exit` and `kill` are those of `process`. */
export interface ProcessEnding {
  readonly clock: Clock;
  readonly files: Files;
  exit(code: number): void;
  /** Ends the process at once by a signal that nothing can hold up. */
  kill(): void;
  /** Tells the person one line; must not throw. */
  say(line: string): void;
  /** Writes what is still in memory. */
  flush?(): Promise<void>;
  /** Where the reason is written when the process must be killed; it replaces an older one. */
  readonly reasonFile?: string;
}

/** What the reason file holds, as JSON. */
export interface EndReason {
  /** The exit code the process would have had; a killed one has none of its own. */
  readonly exitCode: number;
  /** Names of the threads that did not end. */
  readonly zombies: readonly string[];
  readonly atMs: number;
}

/** Ends all threads, then the process with `code`; by SIGKILL when a thread does not end. */
export async function endProcess(code: number, ending: ProcessEnding): Promise<void> {
  const zombies = await endThreads(ending.clock, THREADS_LIMIT_MS);
  await attempt(ending, "the last output", ending.flush);
  if (zombies.length === 0) {
    ending.exit(code);
    return;
  }
  const reason: EndReason = { exitCode: code, zombies, atMs: ending.clock.nowMs() };
  const { reasonFile, files } = ending;
  if (reasonFile !== undefined) {
    const bytes = new TextEncoder().encode(`${JSON.stringify(reason)}\n`);
    await attempt(ending, reasonFile, () => atomicWrite(files, reasonFile, bytes));
  }
  const names = zombies.join(", ");
  ending.say(`killing the process (exit code ${code}): threads that do not end: ${names}`);
  ending.kill();
}

/** Nothing may keep the process from its end: a write that fails or hangs is given up. */
async function attempt(
  { clock, say }: ProcessEnding,
  what: string,
  write: (() => Promise<void>) | undefined,
): Promise<void> {
  if (write === undefined) return;
  await new Promise<void>((resolve) => {
    const timer = clock.after(WRITES_LIMIT_MS, () => {
      say(`${what} could not be written within ${WRITES_LIMIT_MS} ms`);
      resolve();
    });
    write()
      .catch((error: unknown) => say(`${what} could not be written: ${dehydrate(error).message}`))
      .finally(() => {
        timer.cancel();
        resolve();
      });
  });
}
