/**
 * A stop that waits for the message its actor has in hand. A handler that returns at once needs no
 * timer: its limit begins when it is seen to wait for something.
 */
import type { Timer } from "../clock.ts";
import type { Cell } from "./cell.ts";

export class Leaving {
  readonly #cell: Cell;
  readonly #limitMs: number;
  readonly #go: (leftMs: number) => void;
  #endsAtMs: number | null = null;
  #timer: Timer | null = null;

  /** Runs `go` once, with the time left, when nothing is in hand or the limit is over. */
  constructor(cell: Cell, limitMs: number, go: (leftMs: number) => void) {
    this.#cell = cell;
    this.#limitMs = limitMs;
    this.#go = go;
  }

  /** The handler waits for something. */
  waits(): void {
    if (this.#timer !== null) return;
    const { clock } = this.#cell.services;
    this.#endsAtMs = clock.monotonicMs() + this.#limitMs;
    this.#timer = clock.after(this.#limitMs, () => this.idle());
  }

  /** The message in hand has its end. */
  idle(): void {
    const { services } = this.#cell;
    this.#cell.leaving = null;
    this.#timer?.cancel();
    const outer = services.current;
    // The last words are no part of that message's work.
    services.current = null;
    try {
      this.#go(this.#leftMs());
    } finally {
      services.current = outer;
    }
  }

  #leftMs(): number {
    if (this.#endsAtMs === null) return this.#limitMs;
    return Math.max(0, this.#endsAtMs - this.#cell.services.clock.monotonicMs());
  }
}
