/** A clock that stands still until it is told to move; timers fire in order of their time. */
import type { Clock } from "../../../src/runtime/clock.ts";

export interface FakeClock extends Clock {
  advance(ms: number): void;
  readonly waiting: number;
}

export function createFakeClock(): FakeClock {
  let now = 1_000;
  let timers: { atMs: number; fire: () => void }[] = [];
  return {
    nowMs: () => now,
    monotonicMs: () => now,
    after(delayMs, fire) {
      const timer = { atMs: now + delayMs, fire };
      timers.push(timer);
      return {
        cancel: () => {
          timers = timers.filter((other) => other !== timer);
        },
      };
    },
    advance(ms) {
      const end = now + ms;
      for (;;) {
        const next = timers
          .filter(({ atMs }) => atMs <= end)
          .sort((left, right) => left.atMs - right.atMs)[0];
        if (next === undefined) break;
        timers = timers.filter((timer) => timer !== next);
        now = Math.max(now, next.atMs);
        next.fire();
      }
      now = end;
    },
    get waiting() {
      return timers.length;
    },
  };
}
