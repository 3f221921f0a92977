/**
 * Gives the actors of one thread their turns. Messages inside a thread cost a microtask, not a
 * trip through the event loop; after 4 ms of work in a row the event loop gets its turn, so timers
 * and other threads are never starved.
 */
import type { Clock } from "../clock.ts";
import { Fifo } from "../fifo.ts";

const SLICE_MS = 4;
/** Second bound of a slice, for clocks that stand still while work is done. */
const SLICE_MESSAGES = 8_192;

export interface Runnable {
  turn(): void;
}

export class RunQueue {
  readonly #clock: Clock;
  readonly #ready = new Fifo<Runnable>();
  readonly #resolved = Promise.resolve();
  #draining = false;
  #sliceEndsAtMs: number | null = null;
  #messages = 0;
  #closed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The caller must not schedule what is scheduled already. */
  schedule(item: Runnable): void {
    this.#ready.push(item);
    if (this.#draining) return;
    this.#draining = true;
    void this.#resolved.then(() => this.#drain());
  }

  /** Counts one message; true when the event loop must get its turn before the next. */
  spend(): boolean {
    this.#messages += 1;
    return this.#exhausted();
  }

  close(): void {
    this.#closed = true;
    this.#ready.clear();
  }

  #exhausted(): boolean {
    const endsAtMs = this.#sliceEndsAtMs;
    if (endsAtMs === null) return false;
    return this.#messages >= SLICE_MESSAGES || this.#clock.monotonicMs() >= endsAtMs;
  }

  #drain(): void {
    if (this.#sliceEndsAtMs === null) {
      this.#sliceEndsAtMs = this.#clock.monotonicMs() + SLICE_MS;
      this.#messages = 0;
      setImmediate(() => this.#endSlice());
    }
    while (!this.#exhausted()) {
      const next = this.#ready.shift();
      if (next === undefined) {
        this.#draining = false;
        return;
      }
      next.turn();
    }
  }

  #endSlice(): void {
    this.#sliceEndsAtMs = null;
    if (this.#draining && !this.#closed) this.#drain();
  }
}
