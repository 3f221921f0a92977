/**
 * Shared words by which a sender knows whether a mailbox in another thread has room, without
 * asking. A table belongs to one start of one thread: when the thread dies its table is closed, so
 * no credit is ever owed to or by a dead mailbox. The tally outlives threads.
 */
const URGENT = 0;
const DATA = 1;
const OPEN_CASTS = 2;
const WORDS = 3;
/** Far below zero, so that late additions never bring a closed word back to a count. */
const CLOSED = -(2 ** 30);

export type Admission = "granted" | "full" | "closed";

export class Credits {
  readonly memory: SharedArrayBuffer;
  readonly #words: Int32Array;

  constructor(memory: SharedArrayBuffer) {
    this.memory = memory;
    this.#words = new Int32Array(memory);
  }

  static allocate(slots: number): Credits {
    return new Credits(new SharedArrayBuffer(Math.max(1, slots) * WORDS * 4));
  }

  /** Takes one of `limit` places; `isCast` keeps a second account of casts not yet finished. */
  take(slot: number, urgent: boolean, isCast: boolean, limit: number): Admission {
    const word = slot * WORDS + (urgent ? URGENT : DATA);
    const before = Atomics.add(this.#words, word, 1);
    if (before < 0) return "closed";
    if (before >= limit) {
      Atomics.sub(this.#words, word, 1);
      return "full";
    }
    // The closing of a table reads this word last: a cast is either counted there or refused here.
    if (isCast && Atomics.add(this.#words, slot * WORDS + OPEN_CASTS, 1) < 0) return "closed";
    return "granted";
  }

  /** Gives a place back: the message is about to be handled, or was dropped. */
  release(slot: number, urgent: boolean): void {
    Atomics.sub(this.#words, slot * WORDS + (urgent ? URGENT : DATA), 1);
  }

  /** A cast was handled or became a dead letter. */
  closeCast(slot: number): void {
    Atomics.sub(this.#words, slot * WORDS + OPEN_CASTS, 1);
  }

  /** Messages sent to the actor and not yet begun; 0 for a dead thread. */
  depth(slot: number): number {
    const urgent = Atomics.load(this.#words, slot * WORDS + URGENT);
    const data = Atomics.load(this.#words, slot * WORDS + DATA);
    return Math.max(0, urgent) + Math.max(0, data);
  }

  /** Refuses everything from now on; returns how many casts die with the thread. */
  close(slot: number): number {
    Atomics.exchange(this.#words, slot * WORDS + URGENT, CLOSED);
    Atomics.exchange(this.#words, slot * WORDS + DATA, CLOSED);
    return Math.max(0, Atomics.exchange(this.#words, slot * WORDS + OPEN_CASTS, CLOSED));
  }
}

/** Messages handled and messages failed per actor, over all its starts. One writer at a time. */
export class Tally {
  readonly memory: SharedArrayBuffer;
  readonly #counts: Float64Array;

  constructor(memory: SharedArrayBuffer) {
    this.memory = memory;
    this.#counts = new Float64Array(memory);
  }

  static allocate(actors: number): Tally {
    return new Tally(new SharedArrayBuffer(Math.max(1, actors) * 2 * 8));
  }

  countProcessed(index: number): void {
    this.#counts[index * 2] = this.processed(index) + 1;
  }

  countFailed(index: number): void {
    this.#counts[index * 2 + 1] = this.failed(index) + 1;
  }

  processed(index: number): number {
    return this.#counts[index * 2] ?? 0;
  }

  failed(index: number): number {
    return this.#counts[index * 2 + 1] ?? 0;
  }
}
