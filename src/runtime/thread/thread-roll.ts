/**
 * Every worker thread of this process that is not yet gone, whichever system started it. The
 * platform ends a process only when its last thread has ended, so whoever ends the process must
 * know of all.
 */
import type { Clock } from "../clock.ts";

/** A thread as the end of the process sees it. */
export interface RolledThread {
  readonly name: string;
  terminate(cause?: string): Promise<void>;
}

const roll = new Set<RolledThread>();

/** The thread exists from now on; returns the way to strike it off. */
export function enrol(thread: RolledThread): () => void {
  roll.add(thread);
  return () => roll.delete(thread);
}

let ending = false;

/** True from when the process ends: a thread that is gone now is not to be replaced. */
export function isEnding(): boolean {
  return ending;
}

/** Names of the threads that are not gone. */
export function liveThreads(): readonly string[] {
  return [...roll].map(({ name }) => name);
}

/** Ends all threads; resolves, at the latest after `limitMs`, with the names of those left. */
export async function endThreads(clock: Clock, limitMs: number): Promise<readonly string[]> {
  ending = true;
  if (roll.size === 0) return [];
  await new Promise<void>((resolve) => {
    const timer = clock.after(limitMs, resolve);
    const ends = [...roll].map((thread) => thread.terminate("the process ends"));
    void Promise.allSettled(ends).then(() => {
      timer.cancel();
      resolve();
    });
  });
  return liveThreads();
}
