/**
 * Decides whether a flush should wait a moment for more records. Those who were just answered often
 * append again at once: without a pause they would split into two groups that take turns, each
 * flush carrying only half. A pause that does not pay is made less and less often. After a quiet
 * time there is none, nor on a fast disk, where handling the records takes as long as a flush.
 */
import type { Clock } from "../clock.ts";

/** A pause lasts this share of the last flush, within these bounds in milliseconds. */
const SHARE = 0.5;
const LEAST_MS = 0.5;
const MOST_MS = 2;
/** So much of those who are expected is enough. */
const ENOUGH = 0.9;
/** Flushes without a pause after one that did not pay: doubled each time. */
const MOST_SKIPPED = 64;

export class Gathering {
  readonly #clock: Clock;
  /** Records for which a flush waits, and until when, in monotonic milliseconds. */
  #target = 0;
  #untilMs = 0;
  #skipped = 0;
  #toSkip = 1;
  #wake: (() => void) | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A flush of so many records is over, and so many more wait already. */
  flushed(answered: number, pending: number, tookMs: number): void {
    const patienceMs = Math.min(MOST_MS, tookMs * SHARE);
    // Whoever appends in turn with the flushes is either just answered or waits already.
    this.#target = patienceMs < LEAST_MS ? 0 : Math.floor((answered + pending) * ENOUGH);
    this.#untilMs = this.#clock.monotonicMs() + patienceMs;
  }

  /** Must be told of every record that comes, and of the end of the log. */
  arrived(pending: number): void {
    if (pending >= this.#target) this.stop();
  }

  /** Ends the pause, if there is one. */
  stop(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }

  /** Returns when the next flush should begin. */
  async pause(pending: number): Promise<void> {
    if (pending >= this.#target) return;
    const leftMs = this.#untilMs - this.#clock.monotonicMs();
    if (leftMs <= 0) return;
    if (this.#skipped < this.#toSkip - 1) {
      this.#skipped++;
      return;
    }
    this.#skipped = 0;
    const isEnough = await this.#arrivals(leftMs);
    this.#toSkip = isEnough ? 1 : Math.min(MOST_SKIPPED, this.#toSkip * 2);
  }

  /** True when those who were expected came in time. */
  #arrivals(leftMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = this.#clock.after(leftMs, () => {
        this.#wake = null;
        resolve(false);
      });
      this.#wake = () => {
        timer.cancel();
        resolve(true);
      };
    });
  }
}
