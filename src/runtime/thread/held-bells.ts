/**
 * Bells that wait a moment: answers that many threads wait for are given one after another, and a
 * thread that is woken by the first of them would sleep again before the second. None is held
 * longer than what runs now and the promises it has settled.
 */

/** Whoever rings: it looks itself whether that is still needed. */
export interface Ringer {
  wake(): void;
}

export class HeldBells {
  readonly #resolved = Promise.resolve();
  readonly #waiting = new Set<Ringer>();
  readonly #over = (): void => this.#release();
  #isHeld = false;

  hold(): void {
    if (this.#isHeld) return;
    this.#isHeld = true;
    void this.#resolved.then(this.#over);
  }

  /** True when the bell must not ring now: `wake` is called when it may. */
  takes(ringer: Ringer): boolean {
    if (this.#isHeld) this.#waiting.add(ringer);
    return this.#isHeld;
  }

  #release(): void {
    this.#isHeld = false;
    for (const ringer of this.#waiting) ringer.wake();
    this.#waiting.clear();
  }
}
