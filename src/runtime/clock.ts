/** The only file that reads the time or sets a timer; everything else is given a `Clock`. */

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Wall time in milliseconds since 1970. For people and for signed commands, never for delays. */
  nowMs(): number;
  /** Milliseconds that never go backwards. For delays, deadlines and latencies. */
  monotonicMs(): number;
  /** Runs `fire` once after `delayMs`. Does not keep the process alive when `background` is true. */
  after(delayMs: number, fire: () => void, background?: boolean): Timer;
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, fire, background = false) {
    const handle = setTimeout(fire, Math.max(0, delayMs));
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
