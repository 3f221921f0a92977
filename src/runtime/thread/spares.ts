/**
 * Loaded threads without an identity, kept ready to take the place of one that dies. They are made
 * in the background, never while a replacement is under way, and nothing waits for them: without a
 * spare a thread is simply started anew.
 */
import type { Clock } from "../clock.ts";

/** A taken spare is made up for after this time, so that the replacement has the processor. */
const REFILL_DELAY_MS = 150;
/** Spares that die in a row before no more are made. */
const MAX_FAILURES = 3;

/** What a spare tells before it is taken. */
export interface SpareEvents {
  ready(): void;
  /** It will never be ready and should be ended. */
  failed(): void;
  /** It died without ever being taken. */
  gone(cause: string): void;
}

export interface SpareThread {
  terminate(): Promise<void>;
}

export interface SparesParts<Thread extends SpareThread> {
  readonly clock: Clock;
  /** How many are kept for each heap limit. */
  readonly count: number;
  readonly heapLimitsMb: readonly (number | null)[];
  make(heapLimitMb: number | null, events: SpareEvents): Thread;
  /** No more spares are made. */
  gaveUp(cause: string): void;
}

interface Spare<Thread> {
  readonly thread: Thread;
  readonly heapLimitMb: number | null;
  ready: boolean;
}

export class Spares<Thread extends SpareThread> {
  readonly #parts: SparesParts<Thread>;
  readonly #kept = new Set<Spare<Thread>>();
  #failures = 0;
  #closed = false;

  constructor(parts: SparesParts<Thread>) {
    this.#parts = parts;
  }

  /** Spares that can be taken now. */
  get ready(): number {
    return [...this.#kept].filter(({ ready }) => ready).length;
  }

  /** Makes what is missing. */
  fill(): void {
    const { count, heapLimitsMb } = this.#parts;
    for (const limit of heapLimitsMb) {
      const alike = [...this.#kept].filter(({ heapLimitMb }) => heapLimitMb === limit);
      for (let missing = count - alike.length; missing > 0; missing--) this.#make(limit);
    }
  }

  /** A loaded thread with this heap limit, or null. What was taken is made anew, later. */
  take(heapLimitMb: number | null): Thread | null {
    for (const spare of this.#kept) {
      if (!spare.ready || spare.heapLimitMb !== heapLimitMb) continue;
      this.#kept.delete(spare);
      this.#refill();
      return spare.thread;
    }
    return null;
  }

  async close(): Promise<void> {
    this.#closed = true;
    const ends = [...this.#kept].map(({ thread }) => thread.terminate());
    this.#kept.clear();
    await Promise.all(ends);
  }

  #make(heapLimitMb: number | null): void {
    if (this.#closed || this.#failures >= MAX_FAILURES) return;
    const events: SpareEvents = {
      ready: () => {
        spare.ready = true;
        this.#failures = 0;
      },
      failed: () => void spare.thread.terminate(),
      gone: (cause) => this.#onGone(spare, cause),
    };
    const spare: Spare<Thread> = {
      thread: this.#parts.make(heapLimitMb, events),
      heapLimitMb,
      ready: false,
    };
    this.#kept.add(spare);
  }

  #onGone(spare: Spare<Thread>, cause: string): void {
    if (!this.#kept.delete(spare) || this.#closed) return;
    this.#failures += 1;
    if (this.#failures < MAX_FAILURES) this.#refill();
    else this.#parts.gaveUp(cause);
  }

  #refill(): void {
    this.#parts.clock.after(REFILL_DELAY_MS, () => this.fill(), true);
  }
}
