/**
 * One piece of shared memory cut into slots of one size. Each slot has a word that says who may
 * use it and how often it was lent; every change of hands is one atomic step on that word.
 */
import { invariant } from "../../protocols/errors.ts";

const KIB = 1_024;
const MIB = 1_024 * KIB;

/** Payload bytes of a slot, smallest class first. */
export const SIZE_CLASSES: readonly number[] = [
  16 * KIB,
  64 * KIB,
  256 * KIB,
  MIB,
  4 * MIB,
  16 * MIB,
];

/** Thread numbers share a word with a state and a generation. */
export const LARGEST_THREAD = 1_023;

/** A slot is free, lent (its handle travels) or taken (its record has left the ring). */
const FREE = 0;
const LENT = 1;
const TAKEN = 2;

const STATE_MASK = 3;
const THREAD_SHIFT = 2;
const GENERATION_SHIFT = 12;
const GENERATIONS = 1 << (32 - GENERATION_SHIFT);

/** The slot's word and its body's length, on a cache line of their own. */
const SLOT_WORDS = 16;
const SLOT_BITS = 8;
const ARENA_BITS = 12;

/** What travels in a frame instead of a body: two int32. */
export interface SlabHandle {
  readonly place: number;
  readonly generation: number;
}

/** A body's place in typed arrays that span its arena. */
export interface SlabPlace {
  readonly i32: Int32Array;
  readonly f64: Float64Array;
  readonly u8: Uint8Array;
  readonly offset: number;
  readonly bytes: number;
}

/** What a borrower must know of an arena; crosses threads by structured clone. */
export interface ArenaMemory {
  readonly owner: number;
  readonly arena: number;
  readonly slotBytes: number;
  readonly memory: SharedArrayBuffer;
}

/** Owner and arena in one number, the key of a borrower's table. */
export function arenaKey(owner: number, arena: number): number {
  return (owner << ARENA_BITS) | arena;
}

/** The arena key of a handle. */
export function arenaKeyOf(handle: SlabHandle): number {
  return handle.place >>> SLOT_BITS;
}

function slotCount(slotBytes: number): number {
  return slotBytes >= 4 * MIB ? 1 : Math.max(2, MIB / slotBytes);
}

/** Bytes of shared memory that an arena of this class needs. */
export function arenaBytes(slotBytes: number): number {
  return slotCount(slotBytes) * (slotBytes + SLOT_WORDS * 4);
}

function slotWord(state: number, thread: number, generation: number): number {
  return (generation << GENERATION_SHIFT) | (thread << THREAD_SHIFT) | state;
}

const stateOf = (word: number): number => word & STATE_MASK;
const threadOf = (word: number): number => (word >>> THREAD_SHIFT) & LARGEST_THREAD;
const generationOf = (word: number): number => word >>> GENERATION_SHIFT;

/** The owner's and each borrower's view of one arena. */
export class SlabArena {
  readonly announcement: ArenaMemory;
  readonly slotBytes: number;
  readonly #slots: number;
  readonly #words: Int32Array;
  readonly #i32: Int32Array;
  readonly #f64: Float64Array;
  readonly #u8: Uint8Array;
  #cursor = 0;

  constructor(announcement: ArenaMemory) {
    const { memory, slotBytes } = announcement;
    invariant(SIZE_CLASSES.includes(slotBytes), "an arena's slots have the size of a class");
    invariant(memory.byteLength === arenaBytes(slotBytes), "an arena has its class's size");
    this.announcement = announcement;
    this.slotBytes = slotBytes;
    this.#slots = slotCount(slotBytes);
    const dataStart = this.#slots * SLOT_WORDS * 4;
    this.#words = new Int32Array(memory, 0, dataStart >> 2);
    this.#i32 = new Int32Array(memory, dataStart);
    this.#f64 = new Float64Array(memory, dataStart);
    this.#u8 = new Uint8Array(memory, dataStart);
  }

  /** By the owner, before anyone knows the arena: generations start at a number of its own. */
  startAt(generation: number): void {
    for (let at = 0; at < this.#words.length; at += SLOT_WORDS) {
      this.#words[at] = slotWord(FREE, 0, generation % GENERATIONS);
    }
  }

  /** By the owner: lends a free slot, or null when there is none. */
  lend(bytes: number, toThread: number): SlabHandle | null {
    for (let tries = 0; tries < this.#slots; tries++) {
      const slot = this.#cursor;
      this.#cursor = slot + 1 === this.#slots ? 0 : slot + 1;
      const word = Atomics.load(this.#words, slot * SLOT_WORDS);
      if (stateOf(word) !== FREE) continue;
      const generation = generationOf(word);
      this.#words[slot * SLOT_WORDS + 1] = bytes;
      // Only the owner leaves the free state, so a store is enough.
      Atomics.store(this.#words, slot * SLOT_WORDS, slotWord(LENT, toThread, generation));
      const { owner, arena } = this.announcement;
      return { place: (arenaKey(owner, arena) << SLOT_BITS) | slot, generation };
    }
    return null;
  }

  /** Where a lent body lies; null when this handle's loan is over or was made to another thread. */
  place(handle: SlabHandle, borrower: number | null): SlabPlace | null {
    const at = wordOf(handle);
    if (at >= this.#words.length) return null;
    if (!isLoan(Atomics.load(this.#words, at), handle, borrower)) return null;
    const bytes = this.#words[at + 1] as number;
    if (bytes < 0 || bytes > this.slotBytes) return null;
    const offset = (at / SLOT_WORDS) * this.slotBytes;
    return { i32: this.#i32, f64: this.#f64, u8: this.#u8, offset, bytes };
  }

  /** By the borrower: from now on the slot is swept when this thread dies. */
  take(handle: SlabHandle, borrower: number): boolean {
    return this.#change(handle, borrower, slotWord(TAKEN, borrower, handle.generation));
  }

  /** Ends a loan: false when it had ended already. */
  free(handle: SlabHandle, borrower: number | null): boolean {
    return this.#change(handle, borrower, slotWord(FREE, 0, nextGeneration(handle.generation)));
  }

  /** By the owner: ends the loans of a dead thread. */
  reclaim(thread: number, alsoLent: boolean): number {
    let freed = 0;
    for (let at = 0; at < this.#words.length; at += SLOT_WORDS) {
      const word = Atomics.load(this.#words, at);
      const held = stateOf(word) === TAKEN || (alsoLent && stateOf(word) === LENT);
      if (!held || threadOf(word) !== thread) continue;
      const free = slotWord(FREE, 0, nextGeneration(generationOf(word)));
      if (Atomics.compareExchange(this.#words, at, word, free) === word) freed++;
    }
    return freed;
  }

  slotsOut(): number {
    let out = 0;
    for (let at = 0; at < this.#words.length; at += SLOT_WORDS) {
      if (stateOf(Atomics.load(this.#words, at)) !== FREE) out++;
    }
    return out;
  }

  #change(handle: SlabHandle, borrower: number | null, after: number): boolean {
    const at = wordOf(handle);
    if (at >= this.#words.length) return false;
    const before = Atomics.load(this.#words, at);
    if (!isLoan(before, handle, borrower)) return false;
    return Atomics.compareExchange(this.#words, at, before, after) === before;
  }
}

function wordOf(handle: SlabHandle): number {
  return (handle.place & ((1 << SLOT_BITS) - 1)) * SLOT_WORDS;
}

/** True while the loan that the handle names lasts; `null` stands for any borrower. */
function isLoan(word: number, handle: SlabHandle, borrower: number | null): boolean {
  if (stateOf(word) === FREE || generationOf(word) !== handle.generation) return false;
  return borrower === null || threadOf(word) === borrower;
}

function nextGeneration(generation: number): number {
  return (generation + 1) % GENERATIONS;
}
