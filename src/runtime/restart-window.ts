/** How often something may fail before its supervisor gives up, and how long it waits meanwhile. */

const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 5_000;
const JITTER = 0.2;

/**
 * Delay before restart number `streak` + 1 of a row: 0, then 100 ms doubling up to 5 s, each times
 * a factor drawn from [0.8, 1.2). `draw` is uniform in [0, 1).
 */
export function restartDelayMs(streak: number, draw: number): number {
  if (streak === 0) return 0;
  const delayMs = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (streak - 1));
  return delayMs * (1 - JITTER + 2 * JITTER * draw);
}

/** Counts the failures of the last `periodMs` milliseconds. */
export class RestartWindow {
  readonly #intensity: number;
  readonly #periodMs: number;
  /** The oldest first. */
  #failuresAtMs: number[] = [];

  constructor(intensity: number, periodMs: number) {
    this.#intensity = intensity;
    this.#periodMs = periodMs;
  }

  /** Notes a failure; false when it is one more than `intensity` within the period. */
  record(atMs: number): boolean {
    const oldestAtMs = this.#failuresAtMs[0] ?? atMs;
    if (atMs - oldestAtMs >= this.#periodMs)
      this.#failuresAtMs = this.#failuresAtMs.filter((past) => atMs - past < this.#periodMs);
    this.#failuresAtMs.push(atMs);
    return this.#failuresAtMs.length <= this.#intensity;
  }

  /** Failures within the period before `atMs`. */
  countAt(atMs: number): number {
    return this.#failuresAtMs.filter((past) => atMs - past < this.#periodMs).length;
  }

  reset(): void {
    this.#failuresAtMs = [];
  }
}
