/**
 * Shared words by which a sender knows whether a mailbox in another thread has room, without
 * asking. A table belongs to one start of one thread: when the thread dies its table is closed, so
 * no credit is ever owed to or by a dead mailbox. The tally outlives threads.
 */

import type { MailboxPolicy, Overflow } from "../actor.ts";

const OVERFLOWS: readonly Overflow[] = ["reject", "wait", "drop-oldest", "latest-wins"];

/** Lanes 0 and 1 (system, emergency) share one account, 2 and 3 (control, bulk) the other. */
const URGENT = 0;
const DATA = 1;
const OPEN_CASTS = 2;
/** One bit per thread in which senders wait for room. */
const WAITING = 3;
/** What the sender must know of the mailbox: see `limit`. */
const CAPACITY = 4;
const OVERFLOW = 5;
/** 1 while the actor is being restarted. */
const PAUSED = 6;
const WORDS = 7;
/** Far below zero, so that late additions never bring a closed word back to a count. */
const CLOSED = -(2 ** 30);

export type Admission = "granted" | "full" | "closed";

/** The words of one mailbox, for the one who must change them in a single step with others. */
export interface Account {
  readonly words: Int32Array;
  readonly urgent: number;
  readonly data: number;
  readonly openCasts: number;
}

export class Credits {
  readonly memory: SharedArrayBuffer;
  readonly #words: Int32Array;
  /** Rows of the table; actors in later slots cannot be reached from other threads. */
  readonly rows: number;

  constructor(memory: SharedArrayBuffer) {
    this.memory = memory;
    this.#words = new Int32Array(memory);
    this.rows = Math.floor(this.#words.length / WORDS);
  }

  static allocate(rows: number): Credits {
    return new Credits(new SharedArrayBuffer(Math.max(1, rows) * WORDS * 4));
  }

  /** Messages that may be queued or on their way. */
  capacity(slot: number): number {
    return this.#words[slot * WORDS + CAPACITY] ?? 0;
  }

  overflow(slot: number): Overflow {
    return OVERFLOWS[this.#words[slot * WORDS + OVERFLOW] ?? 0] ?? "reject";
  }

  /**
   * The most places a sender may see taken. A mailbox that drops for itself decides at the
   * receiver; the sender only bounds what is on its way.
   */
  limit(slot: number): number {
    const capacity = this.capacity(slot);
    return (this.#words[slot * WORDS + OVERFLOW] ?? 0) < 2 ? capacity : capacity * 2;
  }

  /** Takes one of `limit` places; `isCast` keeps a second account of casts not yet finished. */
  take(slot: number, lane: number, isCast: boolean, limit: number): Admission {
    const word = slot * WORDS + (lane < 2 ? URGENT : DATA);
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

  /** A message that was taken returns to its mailbox. */
  retake(slot: number, lane: number): void {
    Atomics.add(this.#words, slot * WORDS + (lane < 2 ? URGENT : DATA), 1);
  }

  /**
   * Gives a place back: the message is about to be handled, or was dropped. True when senders
   * wait for room.
   */
  release(slot: number, lane: number): boolean {
    Atomics.sub(this.#words, slot * WORDS + (lane < 2 ? URGENT : DATA), 1);
    return this.#words[slot * WORDS + WAITING] !== 0;
  }

  /** A cast was handled or became a dead letter. */
  closeCast(slot: number): void {
    Atomics.sub(this.#words, slot * WORDS + OPEN_CASTS, 1);
  }

  /** Senders of thread `threadId` wait for room in this mailbox. Then they must try once more. */
  awaitRoom(slot: number, threadId: number): void {
    Atomics.or(this.#words, slot * WORDS + WAITING, 1 << (threadId & 31));
  }

  /** The threads to be told that there is room, as bits; they must ask again to be told again. */
  takeWaiting(slot: number): number {
    return Atomics.exchange(this.#words, slot * WORDS + WAITING, 0);
  }

  account(slot: number): Account {
    const row = slot * WORDS;
    const places = { urgent: row + URGENT, data: row + DATA };
    return { words: this.#words, ...places, openCasts: row + OPEN_CASTS };
  }

  /** True when senders wait for room. */
  isAwaited(slot: number): boolean {
    return this.#words[slot * WORDS + WAITING] !== 0;
  }

  data(slot: number): number {
    return Math.max(0, Atomics.load(this.#words, slot * WORDS + DATA));
  }

  /** Shows others that the actor is being restarted, or runs again. */
  pause(slot: number, isPaused: boolean): void {
    Atomics.store(this.#words, slot * WORDS + PAUSED, isPaused ? 1 : 0);
  }

  /** False when the actor, or its thread, is gone, and while it is being restarted. */
  isUp(slot: number): boolean {
    if (Atomics.load(this.#words, slot * WORDS + DATA) < 0) return false;
    return Atomics.load(this.#words, slot * WORDS + PAUSED) === 0;
  }

  /** Messages sent to the actor and not yet begun; 0 for a dead thread. */
  depth(slot: number): number {
    return Math.max(0, Atomics.load(this.#words, slot * WORDS + URGENT)) + this.data(slot);
  }

  /** An actor becomes reachable: what its mailbox holds is counted from now on. */
  open(slot: number, policy: MailboxPolicy, urgent = 0, data = 0, casts = 0): void {
    this.#words[slot * WORDS + CAPACITY] = policy.capacity;
    this.#words[slot * WORDS + OVERFLOW] = OVERFLOWS.indexOf(policy.overflow);
    Atomics.store(this.#words, slot * WORDS + URGENT, urgent);
    Atomics.store(this.#words, slot * WORDS + OPEN_CASTS, casts);
    Atomics.store(this.#words, slot * WORDS + WAITING, 0);
    Atomics.store(this.#words, slot * WORDS + PAUSED, 0);
    Atomics.store(this.#words, slot * WORDS + DATA, data);
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
