/** The only file that reads the time or sets a timer; everything else is given a `Clock`. */

export interface Timer {
  /** Idempotent; a cancelled timer never fires. */
  cancel(): void;
}

/** Time and timers. */
export interface Clock {
  /** Wall time in milliseconds since 1970. For people and for signed commands, never for delays. */
  nowMs(): number;
  /**
   * Milliseconds that never go backwards. For delays, deadlines and latencies. The system clock
   * counts from the same instant in every thread of the process, so deadlines may cross threads.
   */
  monotonicMs(): number;
  /** Runs `fire` once after `delayMs`. A `background` timer does not keep the process alive. */
  after(delayMs: number, fire: () => void, background?: boolean): Timer;
}

/** Longest delay the platform's timers take; a longer one would fire at once. */
export const MAX_DELAY_MS = 2 ** 31 - 1;

/** `performance.now` counts from the thread's start, `hrtime` from one for all threads. */
const THREAD_ORIGIN_MS = threadOriginMs();

/** A thread may lose its processor between the two readings, which makes the difference smaller. */
function threadOriginMs(): number {
  let latest = Number.NEGATIVE_INFINITY;
  for (let sample = 0; sample < 8; sample++) {
    latest = Math.max(latest, Number(process.hrtime.bigint()) / 1e6 - performance.now());
  }
  return latest;
}

/** The clock of the machine. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => THREAD_ORIGIN_MS + performance.now(),
  after(delayMs, fire, background = false) {
    const handle = setTimeout(fire, Math.min(MAX_DELAY_MS, Math.max(0, delayMs)));
    if (background) handle.unref();
    return { cancel: () => clearTimeout(handle) };
  },
};

/** Resolves after `delayMs` on the given clock. */
export function sleep(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(delayMs, resolve);
  });
}
