/**
 * The shapes of records that all threads have agreed on: an append-only list in shared memory, so
 * that a message names a shape by its number. Writers prepare an entry in space of their own and
 * link it by one compare-and-swap; one that dies on the way leaks its space and blocks nobody. A
 * shape is admitted only when it comes back, and the fuller the list, the more often it has to.
 */
import { EsperError, invariant } from "../../protocols/errors.ts";

/** Words of the header: byte offset of the newest entry (0: none), first free byte. */
const NEWEST = 0;
const FREE = 1;
const HEADER_BYTES = 64;

/** Words of an entry, before its keys as [length, UTF-16 units...]. */
const OLDER = 0;
const INDEX = 1;
const UNITS = 2;
const KEYS = 3;
const ENTRY_BYTES = 16;

const DEFAULT_BYTES = 512 * 1_024;
const SMALLEST_BYTES = 1_024;
const LARGEST_BYTES = 16 * 1_024 * 1_024;

/** What the encoder is told; a few fewer are ever admitted. */
export const STRUCTURES_LIMIT = 1_024;
const STRUCTURES_MAX = 1_000;
const KEYS_MAX = 64;
const KEY_UNITS_MAX = 1_024;
/** Shapes on probation; beyond, all of them start again. */
const PROBATION_MAX = 512;
/** Sightings needed, by quarter of the list in use. */
const SIGHTINGS = [3, 8, 32, 128] as const;

/** The keys of one shape, in order. */
export type Structure = readonly string[];

/**
 * Memory for an empty list of shapes, shared by all threads of one system.
 * @throws {CONFIG_INVALID} for a size outside 1 KiB to 16 MiB or not a multiple of 8.
 */
export function structureMemory(bytes: number = DEFAULT_BYTES): SharedArrayBuffer {
  const fits = Number.isInteger(bytes) && bytes >= SMALLEST_BYTES && bytes <= LARGEST_BYTES;
  if (!fits || bytes % 8 !== 0) {
    throw new EsperError(
      "CONFIG_INVALID",
      `the memory for record shapes is ${bytes} bytes; ` +
        `allowed: a multiple of 8 from ${SMALLEST_BYTES} to ${LARGEST_BYTES}`,
      { path: "structures.bytes", value: bytes },
    );
  }
  const memory = new SharedArrayBuffer(bytes);
  Atomics.store(new Int32Array(memory), FREE, HEADER_BYTES);
  return memory;
}

function unitsOf(keys: Structure): number {
  return keys.reduce((sum, key) => sum + 1 + key.length, 0);
}

const isSmall = (keys: Structure): boolean =>
  keys.length <= KEYS_MAX && unitsOf(keys) <= KEY_UNITS_MAX;

const entryBytes = (keys: Structure): number => (ENTRY_BYTES + unitsOf(keys) * 2 + 7) & ~7;

/** One thread's view of the shared list. */
export class StructureTable {
  readonly #words: Int32Array;
  readonly #units: Uint16Array;
  readonly #list: Structure[] = [];
  /** Offset of the newest entry that `#list` holds. */
  #newest = 0;
  /** Space taken for an append that lost its race, for the next one. */
  #spareAt = 0;
  #spareBytes = 0;
  #full = false;
  readonly #probation = new Map<string, number>();

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory);
    this.#units = new Uint16Array(memory);
  }

  /** How many shapes this thread knows; `load` may add more. */
  get size(): number {
    return this.#list.length;
  }

  /** Bytes of shared memory taken, entries that were never linked included. */
  get usedBytes(): number {
    return Atomics.load(this.#words, FREE);
  }

  /** Number of keys of a shape, or -1 for one that this thread does not know. */
  keyCount(index: number): number {
    return this.#list[index]?.length ?? -1;
  }

  /**
   * All shapes in order, after a look at what other threads appended.
   * @throws {FRAME_MALFORMED} when the shared list is damaged.
   */
  load(): readonly Structure[] {
    const newest = Atomics.load(this.#words, NEWEST);
    if (newest === this.#newest) return this.#list;
    const added: Structure[] = [];
    let at = newest;
    while (at !== this.#newest) {
      const index = this.#list.length + added.length;
      if (index >= STRUCTURES_LIMIT) throw damaged(at, "it never ends");
      added.push(this.#read(at));
      at = this.#words[(at >> 2) + OLDER] ?? -1;
    }
    added.reverse();
    const first = this.#words[(newest >> 2) + INDEX] ?? -1;
    if (first !== this.#list.length + added.length - 1) throw damaged(newest, "it has a gap");
    this.#list.push(...added);
    this.#newest = newest;
    return this.#list;
  }

  /** Whether a shape not in the list may enter it now; every question counts as a sighting. */
  admits(keys: Structure): boolean {
    if (this.#full || !isSmall(keys)) return false;
    const quarter = Math.floor((this.#list.length * SIGHTINGS.length) / STRUCTURES_MAX);
    const needed = SIGHTINGS[quarter];
    if (needed === undefined) return false;
    const name = keys.join("\u0000");
    const seen = (this.#probation.get(name) ?? 0) + 1;
    if (seen >= needed) {
      this.#probation.delete(name);
      return true;
    }
    if (this.#probation.size >= PROBATION_MAX) this.#probation.clear();
    this.#probation.set(name, seen);
    return false;
  }

  /**
   * Appends shapes behind the first `base`. False: another thread was faster, or there is no room;
   * nothing was appended.
   */
  append(base: number, added: readonly Structure[]): boolean {
    invariant(added.every(isSmall), "only shapes that were admitted are appended");
    if (this.load().length !== base || added.length === 0) return false;
    if (base + added.length > STRUCTURES_LIMIT) {
      this.#full = true;
      return false;
    }
    const bytes = added.reduce((sum, keys) => sum + entryBytes(keys), 0);
    const start = this.#reserve(bytes);
    if (start === -1) return false;
    let at = start;
    let older = this.#newest;
    added.forEach((keys, offset) => {
      this.#write(at, older, base + offset, keys);
      older = at;
      at += entryBytes(keys);
    });
    if (Atomics.compareExchange(this.#words, NEWEST, this.#newest, older) !== this.#newest) {
      this.#spareAt = start;
      this.#spareBytes = Math.max(this.#spareBytes, bytes);
      return false;
    }
    this.#list.push(...added.map((keys) => [...keys]));
    this.#newest = older;
    this.#spareBytes = 0;
    return true;
  }

  /** Offset of that many bytes which no other thread writes to, or -1. */
  #reserve(bytes: number): number {
    if (this.#spareBytes >= bytes) return this.#spareAt;
    const free = Atomics.load(this.#words, FREE);
    // Looked at first, so that refusals do not count the free offset up for ever.
    const room = free + bytes <= this.#words.byteLength;
    const start = room ? Atomics.add(this.#words, FREE, bytes) : -1;
    if (start !== -1 && start + bytes <= this.#words.byteLength) {
      this.#spareBytes = bytes;
      return start;
    }
    this.#full = true;
    return -1;
  }

  #write(at: number, older: number, index: number, keys: Structure): void {
    const word = at >> 2;
    this.#words[word + OLDER] = older;
    this.#words[word + INDEX] = index;
    this.#words[word + UNITS] = unitsOf(keys);
    this.#words[word + KEYS] = keys.length;
    let unit = (at + ENTRY_BYTES) >> 1;
    for (const key of keys) {
      this.#units[unit++] = key.length;
      for (let index = 0; index < key.length; index += 1) {
        this.#units[unit++] = key.charCodeAt(index);
      }
    }
  }

  #read(at: number): Structure {
    const inside = at >= HEADER_BYTES && at % 8 === 0 && at + ENTRY_BYTES <= this.#units.byteLength;
    if (!inside) throw damaged(at, "an entry lies outside");
    const units = this.#words[(at >> 2) + UNITS] ?? -1;
    const count = this.#words[(at >> 2) + KEYS] ?? -1;
    let unit = (at + ENTRY_BYTES) >> 1;
    const end = unit + units;
    const sane = units >= 0 && units <= KEY_UNITS_MAX && count >= 0 && count <= KEYS_MAX;
    if (!sane || end > this.#units.length) throw damaged(at, "an entry has no sane length");
    const keys: string[] = [];
    while (keys.length < count) {
      const length = unit < end ? (this.#units[unit] ?? end) : end;
      if (unit + 1 + length > end) throw damaged(at, "a key runs out of its entry");
      keys.push(String.fromCharCode(...this.#units.subarray(unit + 1, unit + 1 + length)));
      unit += 1 + length;
    }
    if (unit !== end) throw damaged(at, "an entry holds more than its keys");
    return keys;
  }
}

function damaged(at: number, why: string): EsperError {
  return new EsperError("FRAME_MALFORMED", `the shared record shapes are damaged: ${why}`, {
    path: "structures",
    value: at,
    why,
  });
}
