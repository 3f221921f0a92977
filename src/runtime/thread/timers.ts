/** The timers of one life of an actor; none fires after `cancelAll`. */
import type { Clock, Timer } from "../clock.ts";
import { isPromiseLike } from "./cell-parts.ts";

export class Timers {
  readonly #clock: Clock;
  readonly #crash: (error: unknown) => void;
  readonly #occupied: (fire: () => unknown) => unknown;
  readonly #armed = new Set<Timer>();
  #ended = false;

  constructor(
    clock: Clock,
    crash: (error: unknown) => void,
    occupied: (fire: () => unknown) => unknown,
  ) {
    this.#clock = clock;
    this.#crash = crash;
    this.#occupied = occupied;
  }

  after(delayMs: number, fire: () => void): Timer {
    let timer: Timer | null = null;
    const handle: Timer = {
      cancel: () => {
        timer?.cancel();
        this.#armed.delete(handle);
      },
    };
    if (this.#ended) return handle;
    this.#armed.add(handle);
    timer = this.#clock.after(delayMs, () => {
      if (!this.#armed.delete(handle)) return;
      this.#run(fire);
    });
    return handle;
  }

  /** Fires `periodMs` after the last firing began; a late firing is not made up for. */
  every(periodMs: number, fire: () => void): Timer {
    let current: Timer;
    let cancelled = false;
    const arm = (): void => {
      current = this.after(periodMs, () => {
        if (!cancelled) arm();
        fire();
      });
    };
    arm();
    return {
      cancel: () => {
        cancelled = true;
        current.cancel();
      },
    };
  }

  cancelAll(): void {
    this.#ended = true;
    for (const timer of [...this.#armed]) timer.cancel();
  }

  /** A callback that fails, at once or later, fails its actor. */
  #run(fire: () => unknown): void {
    try {
      const result = this.#occupied(fire);
      if (isPromiseLike(result)) result.then(undefined, this.#crash);
    } catch (error) {
      this.#crash(error);
    }
  }
}
