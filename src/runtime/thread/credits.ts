/**
 * Shared words by which a sender knows whether a mailbox in another thread has room, without
 * asking. Every count only grows, and each has one side that writes it: senders count what they
 * send, the owner of the mailbox what it begins and finishes, in memory of their own, so that the
 * two sides do not fight over a line of the cache. A table belongs to one start of one thread: when
 * the thread dies its table is closed, so no credit is ever owed to or by a dead mailbox. The tally
 * outlives threads.
 */

import type { MailboxPolicy, Overflow } from "../actor.ts";

const OVERFLOWS: readonly Overflow[] = ["reject", "wait", "drop-oldest", "latest-wins"];

/** Counts go up by two and wrap; the lowest bit of what senders count says that it is closed. */
const ONE = 2;
const IS_CLOSED = 1;

/**
 * Words of a row that senders write. Lanes 0 and 1 (system, emergency) share an account of places,
 * 2 and 3 (control, bulk) the other; in both, calls are counted apart from casts.
 */
const CASTS = 0;
const CALLS = 2;
const URGENT = 0;
const DATA = 1;
/** What the sender must know of the mailbox: see `limit`. */
const CAPACITY = 4;
const OVERFLOW = 5;
/** 1 while the actor is being restarted. */
const PAUSED = 6;
const SENDER_WORDS = 8;

/** Words of a row that its owner writes: messages begun, urgent and data, and casts finished. */
const BEGUN = 0;
const FINISHED = 2;
/** One bit per thread in which senders wait for room. */
const WAITING = 3;
const OWNER_WORDS = 4;

const WORDS = SENDER_WORDS + OWNER_WORDS;

export type Admission = "granted" | "full" | "closed";

/** The words of one mailbox, for the one who must change them in a single step with others. */
export interface Account {
  readonly words: Int32Array;
  /** Where messages that were begun are counted. */
  readonly urgent: number;
  readonly data: number;
  /** Where casts that were taken, and those that were finished, are counted. */
  readonly taken: number;
  readonly finished: number;
  /** By how much each counts up. */
  readonly one: number;
}

export class Credits {
  readonly memory: SharedArrayBuffer;
  readonly #words: Int32Array;
  /** Rows of the table; actors in later slots cannot be reached from other threads. */
  readonly rows: number;
  /** Where the owner's words begin. */
  readonly #owner: number;
  /** What was begun of each account, as last looked up: never more than is true. */
  readonly #begun: Int32Array;

  constructor(memory: SharedArrayBuffer) {
    this.memory = memory;
    this.#words = new Int32Array(memory);
    this.rows = Math.floor(this.#words.length / WORDS);
    this.#owner = this.rows * SENDER_WORDS;
    this.#begun = new Int32Array(this.rows * 2);
  }

  static allocate(rows: number): Credits {
    return new Credits(new SharedArrayBuffer(Math.max(1, rows) * WORDS * 4));
  }

  /** Messages that may be queued or on their way. */
  capacity(slot: number): number {
    return this.#words[slot * SENDER_WORDS + CAPACITY] ?? 0;
  }

  overflow(slot: number): Overflow {
    return OVERFLOWS[this.#words[slot * SENDER_WORDS + OVERFLOW] ?? 0] ?? "reject";
  }

  /**
   * The most places a sender may see taken. A mailbox that drops for itself decides at the
   * receiver; the sender only bounds what is on its way.
   */
  limit(slot: number): number {
    const capacity = this.capacity(slot);
    const overflow = this.#words[slot * SENDER_WORDS + OVERFLOW] ?? 0;
    return overflow < 2 ? capacity : capacity * 2;
  }

  /** Takes one of `limit` places; casts are counted until they are finished. */
  take(slot: number, lane: number, isCast: boolean, limit: number): Admission {
    const words = this.#words;
    const row = slot * SENDER_WORDS + (lane < 2 ? URGENT : DATA);
    const own = row + (isCast ? CASTS : CALLS);
    // The closing of a table marks this word: a cast is either counted there or refused here.
    const before = Atomics.add(words, own, ONE);
    if ((before & IS_CLOSED) !== 0) return "closed";
    const others = Atomics.load(words, row + (isCast ? CALLS : CASTS)) & ~IS_CLOSED;
    const account = slot * 2 + (lane < 2 ? URGENT : DATA);
    const taken = (before + others) | 0;
    const known = (taken - (this.#begun[account] as number)) | 0;
    if (known >= 0 && known < limit * ONE) return "granted";
    // The owner's words are looked at only when there seems to be no room: it is busy with them.
    const begun = Atomics.load(words, this.#begunAt(slot, lane));
    this.#begun[account] = begun;
    if (((taken - begun) | 0) < limit * ONE) return "granted";
    // Whoever closed it in between has counted this one among those that died: it was sent.
    const after = Atomics.sub(words, own, ONE);
    return (after & IS_CLOSED) === 0 ? "full" : "granted";
  }

  /** By who took a place for a message that was not sent after all. */
  giveBack(slot: number, lane: number, isCast: boolean): void {
    const row = slot * SENDER_WORDS + (lane < 2 ? URGENT : DATA);
    Atomics.sub(this.#words, row + (isCast ? CASTS : CALLS), ONE);
  }

  /** By the owner: a message that was taken returns to its mailbox. */
  retake(slot: number, lane: number): void {
    const at = this.#begunAt(slot, lane);
    Atomics.store(this.#words, at, (this.#words[at] as number) - ONE);
  }

  /**
   * By the owner: a message is about to be handled, or was dropped. True when senders wait for
   * room.
   */
  release(slot: number, lane: number): boolean {
    const at = this.#begunAt(slot, lane);
    // In this order either a sender that asks sees the room or its asking is seen here.
    Atomics.store(this.#words, at, (this.#words[at] as number) + ONE);
    return this.isAwaited(slot);
  }

  /** By the owner: a cast was handled or became a dead letter. Read only when it is over. */
  closeCast(slot: number): void {
    const at = this.#owner + slot * OWNER_WORDS + FINISHED;
    this.#words[at] = (this.#words[at] as number) + ONE;
  }

  /** Senders of thread `threadId` wait for room in this mailbox. Then they must try once more. */
  awaitRoom(slot: number, threadId: number): void {
    const at = this.#owner + slot * OWNER_WORDS + WAITING;
    Atomics.or(this.#words, at, 1 << (threadId & 31));
  }

  /** The threads to be told that there is room, as bits; they must ask again to be told again. */
  takeWaiting(slot: number): number {
    return Atomics.exchange(this.#words, this.#owner + slot * OWNER_WORDS + WAITING, 0);
  }

  account(slot: number): Account {
    const owner = this.#owner + slot * OWNER_WORDS;
    return {
      words: this.#words,
      urgent: owner + BEGUN + URGENT,
      data: owner + BEGUN + DATA,
      taken: slot * SENDER_WORDS + CASTS + DATA,
      finished: owner + FINISHED,
      one: ONE,
    };
  }

  /** True when senders wait for room. */
  isAwaited(slot: number): boolean {
    return this.#words[this.#owner + slot * OWNER_WORDS + WAITING] !== 0;
  }

  data(slot: number): number {
    return this.#places(slot, DATA);
  }

  /** Shows others that the actor is being restarted, or runs again. */
  pause(slot: number, isPaused: boolean): void {
    Atomics.store(this.#words, slot * SENDER_WORDS + PAUSED, isPaused ? 1 : 0);
  }

  /** False when the actor, or its thread, is gone, and while it is being restarted. */
  isUp(slot: number): boolean {
    const row = slot * SENDER_WORDS;
    if ((Atomics.load(this.#words, row + CASTS + DATA) & IS_CLOSED) !== 0) return false;
    return Atomics.load(this.#words, row + PAUSED) === 0;
  }

  /** Messages sent to the actor and not yet begun; 0 for a dead thread. */
  depth(slot: number): number {
    return this.#places(slot, URGENT) + this.#places(slot, DATA);
  }

  /**
   * An actor becomes reachable: what its mailbox holds is counted from now on. What was begun
   * before it in its slot stays begun, since senders remember that.
   */
  open(slot: number, policy: MailboxPolicy, urgent = 0, data = 0, casts = 0): void {
    const words = this.#words;
    const row = slot * SENDER_WORDS;
    const owner = this.#owner + slot * OWNER_WORDS;
    const begun = (account: number): number => words[owner + BEGUN + account] as number;
    words[row + CAPACITY] = policy.capacity;
    words[row + OVERFLOW] = OVERFLOWS.indexOf(policy.overflow);
    words[owner + FINISHED] = 0;
    Atomics.store(words, owner + WAITING, 0);
    Atomics.store(words, row + PAUSED, 0);
    Atomics.store(words, row + CALLS + URGENT, begun(URGENT) + urgent * ONE);
    Atomics.store(words, row + CALLS + DATA, begun(DATA) + (data - casts) * ONE);
    Atomics.store(words, row + CASTS + URGENT, 0);
    Atomics.store(words, row + CASTS + DATA, casts * ONE);
  }

  /** Refuses everything from now on; returns how many casts die with the thread. */
  close(slot: number): number {
    const words = this.#words;
    const row = slot * SENDER_WORDS;
    let taken = 0;
    for (let word = row + CASTS; word < row + CAPACITY; word++) {
      const before = Atomics.or(words, word, IS_CLOSED);
      if ((before & IS_CLOSED) !== 0) return 0;
      if (word < row + CALLS) taken += before;
    }
    const finished = words[this.#owner + slot * OWNER_WORDS + FINISHED] as number;
    return Math.max(0, ((taken - finished) | 0) / ONE);
  }

  #begunAt(slot: number, lane: number): number {
    return this.#owner + slot * OWNER_WORDS + BEGUN + (lane < 2 ? URGENT : DATA);
  }

  /** Places taken of one account; 0 of a closed one. */
  #places(slot: number, account: number): number {
    const row = slot * SENDER_WORDS + account;
    const casts = Atomics.load(this.#words, row + CASTS);
    if ((casts & IS_CLOSED) !== 0) return 0;
    const calls = Atomics.load(this.#words, row + CALLS) & ~IS_CLOSED;
    const begun = Atomics.load(this.#words, this.#owner + slot * OWNER_WORDS + BEGUN + account);
    return Math.max(0, ((casts + calls - begun) | 0) / ONE);
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
