/**
 * The names of spawned actors, in memory that all threads share: a name is given once, at once, and
 * everybody can look it up without asking anybody. There is no lock that a dying thread could keep;
 * two that claim one name at the same time see each other, and one of them gives way.
 */
import { EsperError } from "../../protocols/errors.ts";

/** Names that can be in use at one time. */
const MAX_NAMES = 4_096;
const NAME = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/;

/** Word 0 of the table: rows that were ever used. The rows begin behind it. */
const HEADER_WORDS = 2;
/** One of the states below, and the claiming thread in the bits above. */
const STATE = 0;
/** Changes whenever the row comes to mean something else. */
const VERSION = 1;
const ADDRESS = 2;
const GENERATION = 3;
const FINGERPRINT = 4;
const HASH = 5;
const LENGTH = 6;
const TEXT = 8;
const WORDS = TEXT + 16;

const FREE = 0;
const WRITING = 1;
/** The name can be read, and its claim is not yet decided. */
const CLAIMING = 2;
const TAKEN = 3;
const STATE_BITS = 2;
const STATE_MASK = 3;

/** Looks at an undecided claim; it takes microseconds unless its thread is gone. */
const PATIENCE = 1_000_000;
/** Names listed in an error. */
const MAX_LISTED = 50;

/** What a name stands for. */
export interface NamedPlace {
  readonly row: number;
  readonly version: number;
  readonly address: number;
  readonly generation: number;
  /** Of the protocol that the actor understands. */
  readonly fingerprint: number;
}

export class NameTable {
  readonly memory: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #rows: number;

  constructor(memory: SharedArrayBuffer) {
    this.memory = memory;
    this.#words = new Int32Array(memory);
    this.#bytes = new Uint8Array(memory);
    this.#rows = Math.floor((this.#words.length - HEADER_WORDS) / WORDS);
  }

  static allocate(rows: number = MAX_NAMES): NameTable {
    return new NameTable(new SharedArrayBuffer((HEADER_WORDS + rows * WORDS) * 4));
  }

  /**
   * Takes a name; it stands for nobody until `bind`. Returns its row.
   * @throws {CONFIG_INVALID} for what is no name @throws {NAME_TAKEN} @throws {ACTOR_LIMIT}
   */
  claim(name: string, threadId: number): number {
    if (!NAME.test(name)) {
      const text = `"${name}" is no name: a letter, then letters, digits, - and _, at most 64`;
      throw new EsperError("CONFIG_INVALID", text, { path: "name", value: name });
    }
    const row = this.#reserve(threadId);
    this.#write(row, name);
    this.#setState(row, CLAIMING, threadId);
    if (!this.#prevails(row)) {
      this.release(row);
      throw taken(name);
    }
    this.#words[at(row, ADDRESS)] = -1;
    this.#setState(row, TAKEN, threadId);
    return row;
  }

  /** The name leads to this actor from now on. */
  bind(row: number, address: number, generation: number, fingerprint: number): void {
    this.#words[at(row, GENERATION)] = generation;
    this.#words[at(row, FINGERPRINT)] = fingerprint;
    Atomics.store(this.#words, at(row, ADDRESS), address);
    Atomics.add(this.#words, at(row, VERSION), 1);
  }

  /** The name may be taken again. */
  release(row: number): void {
    Atomics.add(this.#words, at(row, VERSION), 1);
    Atomics.store(this.#words, at(row, STATE), FREE);
  }

  find(name: string): NamedPlace | null {
    const hash = hashOf(name);
    for (let row = 0; row < this.#used; row++) {
      const version = Atomics.load(this.#words, at(row, VERSION));
      if (this.#state(row) !== TAKEN || !this.#isNamed(row, name, hash)) continue;
      const address = Atomics.load(this.#words, at(row, ADDRESS));
      const generation = this.#words[at(row, GENERATION)] as number;
      const fingerprint = this.#words[at(row, FINGERPRINT)] as number;
      // What was read while it changed is not believed.
      if (address < 0 || !this.isCurrent(row, version)) continue;
      return { row, version, address, generation, fingerprint };
    }
    return null;
  }

  /** True while the row means what it meant when it was found. */
  isCurrent(row: number, version: number): boolean {
    return Atomics.load(this.#words, at(row, VERSION)) === version;
  }

  /** Names in use, for messages to people. */
  list(): string[] {
    const names: string[] = [];
    for (let row = 0; row < this.#used && names.length < MAX_LISTED; row++) {
      if (this.#state(row) === TAKEN) names.push(this.#read(row));
    }
    return names;
  }

  /** The thread is gone, and every actor in it. */
  sweep(threadId: number): void {
    for (let row = 0; row < this.#used; row++) {
      const state = Atomics.load(this.#words, at(row, STATE));
      if (state !== FREE && state >> STATE_BITS === threadId) this.release(row);
    }
  }

  get #used(): number {
    return Atomics.load(this.#words, 0);
  }

  #reserve(threadId: number): number {
    const mark = WRITING | (threadId << STATE_BITS);
    for (let row = 0; row < this.#rows; row++) {
      if (Atomics.compareExchange(this.#words, at(row, STATE), FREE, mark) !== FREE) continue;
      for (let used = this.#used; used <= row; used = this.#used) {
        Atomics.compareExchange(this.#words, 0, used, row + 1);
      }
      return row;
    }
    const text = `there are ${this.#rows} named actors, the most there can be`;
    throw new EsperError("ACTOR_LIMIT", text, { limit: this.#rows });
  }

  /**
   * Every claim is readable before it looks around, so of two at least one sees the other. Of two
   * that are undecided the upper row gives way, and the lower waits until it has.
   */
  #prevails(mine: number): boolean {
    const name = this.#read(mine);
    const hash = hashOf(name);
    for (let row = 0; row < this.#used; row++) {
      if (row === mine) continue;
      for (let look = 0; this.#rivals(row, name, hash); look++) {
        if (row < mine || this.#state(row) === TAKEN || look > PATIENCE) return false;
      }
    }
    return true;
  }

  #rivals(row: number, name: string, hash: number): boolean {
    return this.#state(row) >= CLAIMING && this.#isNamed(row, name, hash);
  }

  #isNamed(row: number, name: string, hash: number): boolean {
    return this.#words[at(row, HASH)] === hash && this.#read(row) === name;
  }

  #state(row: number): number {
    return Atomics.load(this.#words, at(row, STATE)) & STATE_MASK;
  }

  #setState(row: number, state: number, threadId: number): void {
    Atomics.store(this.#words, at(row, STATE), state | (threadId << STATE_BITS));
  }

  #write(row: number, name: string): void {
    const start = at(row, TEXT) * 4;
    for (let index = 0; index < name.length; index++) {
      this.#bytes[start + index] = name.charCodeAt(index);
    }
    this.#words[at(row, LENGTH)] = name.length;
    this.#words[at(row, HASH)] = hashOf(name);
  }

  #read(row: number): string {
    const start = at(row, TEXT) * 4;
    const length = this.#words[at(row, LENGTH)] as number;
    return String.fromCharCode(...this.#bytes.subarray(start, start + length));
  }
}

/** An actor has this name. */
export function taken(name: string): EsperError {
  const text = `there is an actor ${name} already; the name is free again when that one has ended`;
  return new EsperError("NAME_TAKEN", text, { name });
}

function at(row: number, word: number): number {
  return HEADER_WORDS + row * WORDS + word;
}

/** FNV-1a over the letters. */
function hashOf(name: string): number {
  let sum = 0x811c9dc5;
  for (let index = 0; index < name.length; index++) {
    sum = Math.imul(sum ^ name.charCodeAt(index), 0x01000193);
  }
  return sum | 0;
}
