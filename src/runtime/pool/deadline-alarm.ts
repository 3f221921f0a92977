/**
 * One timer for many deadlines: it goes off at the earliest moment it was armed for and never
 * before. Whoever is woken looks for what is due and arms it again.
 */
import { type Clock, MAX_DELAY_MS, type Timer } from "../clock.ts";

/** Arms the clock for the earliest of many moments. */
export class DeadlineAlarm {
  readonly #clock: Clock;
  readonly #ring: () => void;
  #timer: Timer | null = null;
  #atMs = Number.POSITIVE_INFINITY;

  constructor(clock: Clock, ring: () => void) {
    this.#clock = clock;
    this.#ring = ring;
  }

  arm(atMs: number): void {
    if (atMs >= this.#atMs) return;
    this.#timer?.cancel();
    this.#atMs = atMs;
    const delayMs = Math.min(MAX_DELAY_MS, Math.ceil(atMs - this.#clock.monotonicMs()));
    this.#timer = this.#clock.after(delayMs, () => {
      this.clear();
      this.#ring();
    });
  }

  clear(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#atMs = Number.POSITIVE_INFINITY;
  }
}
