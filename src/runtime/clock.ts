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

/** Counts from one instant for all threads of the machine, unlike `performance.now`. */
const { hrtime } = process;

/** The clock of the machine. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs() {
    const [seconds, nanoseconds] = hrtime();
    return seconds * 1e3 + nanoseconds / 1e6;
  },
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
