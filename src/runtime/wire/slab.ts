/**
 * Large bodies in shared memory: the sender copies a body in once, the receiver reads it in place
 * and gives the slot back. Memory is bounded, grows by size class on first use, and a slot changes
 * hands only by compare-and-swap on a word with a generation: a late or doubled free does nothing.
 */
import { EsperError, invariant } from "../../protocols/errors.ts";
import {
  type ArenaMemory,
  arenaBytes,
  arenaKey,
  arenaKeyOf,
  LARGEST_THREAD,
  SIZE_CLASSES,
  SlabArena,
  type SlabHandle,
  type SlabPlace,
} from "./slab-arena.ts";

const DEFAULT_LIMIT_BYTES = 64 * 1_024 * 1_024;
/** Arena numbers of one incarnation of a sender; the next incarnation uses other numbers. */
const ARENAS_PER_EPOCH = 256;
const EPOCHS = 16;
/** Distance between the first generations of two arenas that use the same number. */
const GENERATION_STRIDE = 4_099;

export interface SlabOwnerOptions {
  /** The sending thread. */
  readonly thread: number;
  /** The thread's epoch: handles of an earlier owner never name arenas of this one. */
  readonly epoch: number;
  readonly limitBytes?: number;
}

export type ArenaListener = (arena: ArenaMemory) => void;

/** How `reclaimFrom` treats slots that the dead thread had not taken yet. */
export type Unread = "keep" | "free";

/** The sending thread's side. It alone lends slots. */
export class SlabOwner {
  readonly #thread: number;
  readonly #firstArena: number;
  readonly #limitBytes: number;
  /** By arena key. */
  readonly #arenas = new Map<number, SlabArena>();
  readonly #listeners: ArenaListener[] = [];
  readonly #retireListeners: ArenaListener[] = [];
  #made = 0;
  #bytes = 0;

  constructor({ thread, epoch, limitBytes = DEFAULT_LIMIT_BYTES }: SlabOwnerOptions) {
    invariant(thread >= 0 && thread <= LARGEST_THREAD, "a slab's thread number fits a handle");
    this.#thread = thread;
    this.#firstArena = (epoch % EPOCHS) * ARENAS_PER_EPOCH;
    this.#limitBytes = limitBytes;
  }

  /** Bytes of shared memory held. */
  get heldBytes(): number {
    return this.#bytes;
  }

  /** Slots lent or taken. */
  get slotsOut(): number {
    let out = 0;
    for (const arena of this.#arenas.values()) out += arena.slotsOut();
    return out;
  }

  /** Arenas made so far and still in use; a borrower that joins late is told these. */
  get arenas(): readonly ArenaMemory[] {
    return [...this.#arenas.values()].map(({ announcement }) => announcement);
  }

  /** Called with each new arena before `put` returns the first handle into it. */
  onArena(listener: ArenaListener): void {
    this.#listeners.push(listener);
  }

  /** Called with each arena that was dropped: borrowers should forget it to free its memory. */
  onRetired(listener: ArenaListener): void {
    this.#retireListeners.push(listener);
  }

  /**
   * Lends a slot to a thread: a copy of the bytes, or room for a length that the caller writes
   * through `place` before it sends the handle. Null while all the memory allowed is lent.
   * @throws {FRAME_TOO_LARGE} above the largest size class.
   */
  put(body: Uint8Array | number, toThread: number): SlabHandle | null {
    invariant(toThread >= 0 && toThread <= LARGEST_THREAD, "a borrower's number fits a slot word");
    const bytes = typeof body === "number" ? body : body.length;
    const slotBytes = SIZE_CLASSES.find((size) => bytes >= 0 && size >= bytes);
    if (slotBytes === undefined) throw tooLarge(bytes);
    const handle = this.#lend(slotBytes, bytes, toThread);
    if (handle !== null && typeof body !== "number") {
      const { u8, offset } = this.place(handle);
      u8.set(body, offset);
    }
    return handle;
  }

  /**
   * Where the body lies; the typed arrays span the arena, so codecs write as into a ring.
   * @throws {FRAME_MALFORMED} when the slot was given back.
   */
  place(handle: SlabHandle): SlabPlace {
    const place = this.#arenas.get(arenaKeyOf(handle))?.place(handle, null);
    if (place === undefined || place === null) throw noLoan(handle);
    return place;
  }

  /**
   * The body's bytes, not a copy.
   * @throws {FRAME_MALFORMED} when the slot was given back.
   */
  view(handle: SlabHandle): Uint8Array {
    return bytesAt(this.place(handle));
  }

  /** Takes back a slot whose handle was never sent. */
  cancel(handle: SlabHandle): boolean {
    return this.#arenas.get(arenaKeyOf(handle))?.free(handle, null) ?? false;
  }

  /**
   * Frees what a dead thread held. With "keep", slots it had not taken stay lent: their handles
   * are still in a ring that its replacement reads.
   */
  reclaimFrom(thread: number, unread: Unread): number {
    let freed = 0;
    for (const arena of this.#arenas.values()) freed += arena.reclaim(thread, unread === "free");
    return freed;
  }

  #lend(slotBytes: number, bytes: number, toThread: number): SlabHandle | null {
    for (const arena of this.#arenas.values()) {
      const handle = arena.slotBytes === slotBytes ? arena.lend(bytes, toThread) : null;
      if (handle !== null) return handle;
    }
    return this.#grow(slotBytes)?.lend(bytes, toThread) ?? null;
  }

  #grow(slotBytes: number): SlabArena | null {
    const needed = arenaBytes(slotBytes);
    if (needed > this.#limitBytes) return null;
    while (this.#bytes + needed > this.#limitBytes) if (!this.#retireOne()) return null;
    const arena = this.#freeNumber();
    if (arena === null) return null;
    const memory = new SharedArrayBuffer(needed);
    const announcement = { owner: this.#thread, arena, slotBytes, memory };
    const made = new SlabArena(announcement);
    made.startAt(this.#made * GENERATION_STRIDE);
    this.#arenas.set(arenaKey(this.#thread, arena), made);
    this.#bytes += needed;
    for (const listener of this.#listeners) listener(announcement);
    return made;
  }

  /** Numbers go round, so that a retired arena's is reused as late as possible. */
  #freeNumber(): number | null {
    for (let tries = 0; tries < ARENAS_PER_EPOCH; tries++) {
      const arena = this.#firstArena + (this.#made++ % ARENAS_PER_EPOCH);
      if (!this.#arenas.has(arenaKey(this.#thread, arena))) return arena;
    }
    return null;
  }

  /** Drops an arena nobody uses, so that another size class can have its memory. */
  #retireOne(): boolean {
    for (const [key, arena] of this.#arenas) {
      if (arena.slotsOut() > 0) continue;
      this.#arenas.delete(key);
      this.#bytes -= arena.announcement.memory.byteLength;
      for (const listener of this.#retireListeners) listener(arena.announcement);
      return true;
    }
    return false;
  }
}

/** One receiving thread's side, for the arenas of all senders. */
export class SlabBorrower {
  readonly #thread: number;
  readonly #fetchArenas: () => void;
  readonly #arenas = new Map<number, SlabArena>();

  /**
   * `fetchArenas` is called for a handle into an arena not yet known: announcements are posted
   * before the handle is published, but a ring may be read before the port delivers them.
   */
  constructor(thread: number, fetchArenas: () => void) {
    invariant(thread >= 0 && thread <= LARGEST_THREAD, "a borrower's number fits a slot word");
    this.#thread = thread;
    this.#fetchArenas = fetchArenas;
  }

  get arenaCount(): number {
    return this.#arenas.size;
  }

  addArena(announcement: ArenaMemory): void {
    const { owner, arena } = announcement;
    this.#arenas.set(arenaKey(owner, arena), new SlabArena(announcement));
  }

  /** Drops the owner's retired arena, unless its number already stands for another. */
  retireArena({ owner, arena, memory }: ArenaMemory): void {
    const key = arenaKey(owner, arena);
    if (this.#arenas.get(key)?.announcement.memory === memory) this.#arenas.delete(key);
  }

  /** Drops all arenas of a sender that is gone, once nothing of it is left to read. */
  forget(owner: number): void {
    for (const [key, { announcement }] of this.#arenas) {
      if (announcement.owner === owner) this.#arenas.delete(key);
    }
  }

  /**
   * Where the body lies, until `free`.
   * @throws {FRAME_MALFORMED} when this thread does not hold that slot, or no longer.
   */
  place(handle: SlabHandle): SlabPlace {
    const place = this.#arena(handle)?.place(handle, this.#thread);
    if (place === undefined || place === null) throw noLoan(handle);
    return place;
  }

  /**
   * The body's bytes in shared memory, not a copy, until `free`.
   * @throws {FRAME_MALFORMED} when this thread does not hold that slot, or no longer.
   */
  view(handle: SlabHandle): Uint8Array {
    return bytesAt(this.place(handle));
  }

  /**
   * Says that the handle's record leaves the ring before the slot is free: if this thread dies,
   * the owner sweeps the slot. A record that stays in the ring until it is handled is not taken,
   * so that a replacement finds its body.
   */
  take(handle: SlabHandle): boolean {
    return this.#arena(handle)?.take(handle, this.#thread) ?? false;
  }

  /** Gives the slot back; false when it was no longer this thread's. */
  free(handle: SlabHandle): boolean {
    return this.#arena(handle)?.free(handle, this.#thread) ?? false;
  }

  #arena(handle: SlabHandle): SlabArena | undefined {
    const known = this.#arenas.get(arenaKeyOf(handle));
    if (known !== undefined) return known;
    this.#fetchArenas();
    return this.#arenas.get(arenaKeyOf(handle));
  }
}

function bytesAt({ u8, offset, bytes }: SlabPlace): Uint8Array {
  return u8.subarray(offset, offset + bytes);
}

function tooLarge(bytes: number): EsperError {
  const largest = SIZE_CLASSES.at(-1) ?? 0;
  return new EsperError("FRAME_TOO_LARGE", `a body of ${bytes} bytes; allowed: 0 to ${largest}`, {
    ...{ path: "body.bytes", value: bytes, largest },
  });
}

function noLoan({ place, generation }: SlabHandle): EsperError {
  return new EsperError(
    "FRAME_MALFORMED",
    `the handle ${place}/${generation} names no slot lent to this thread`,
    { path: "body.handle", value: [place, generation] },
  );
}
