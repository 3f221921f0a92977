/**
 * A limit on what another thread may take, kept by a thread that may itself stand still. What was
 * late here is given back, and whatever has arrived is read before the limit is held against
 * anybody.
 */
import type { Clock, Timer } from "../clock.ts";

/** Timers are late by as much on any machine. */
const TOLERATED_MS = 5;

/** Like `clock.after` in the background, but fires only after `limitMs` in which this ran. */
export function afterPatience(clock: Clock, limitMs: number, fire: () => void): Timer {
  let timer: Timer;
  let cancelled = false;
  function arm(delayMs: number): void {
    const dueAtMs = clock.monotonicMs() + delayMs;
    timer = clock.after(
      delayMs,
      () => {
        const lateMs = clock.monotonicMs() - dueAtMs;
        if (lateMs > TOLERATED_MS) arm(Math.min(lateMs, limitMs));
        // One turn of the event loop: what the thread has sent by now is read first.
        else timer = clock.after(0, () => void (cancelled || fire()), true);
      },
      true,
    );
  }
  arm(limitMs);
  return {
    cancel: () => {
      cancelled = true;
      timer.cancel();
    },
  };
}
