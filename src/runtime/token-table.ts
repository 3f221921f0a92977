/**
 * Where cancellation tokens live once another thread must see them: a table of 4,096 words in
 * shared memory, one table a thread. Only its thread gives slots out and takes them back; every
 * thread may cancel. It never grows: a full table refuses. A handle to a slot that was given to
 * somebody else since reads as cancelled.
 */
import { EsperError, invariant } from "../protocols/errors.ts";
import { Fifo } from "./fifo.ts";

/** Why work should end; `released`: the owner of the token gave it up. */
export type CancelReason =
  | "released"
  | "requested"
  | "deadline"
  | "parent"
  | "stopped"
  | "caller-gone"
  | "stuck";

/** The state of a token as a number: LIVE, or the code of the reason why it is cancelled. */
export const LIVE = 1;

/** By code; a freed slot is zero, so that it reads as released. */
const REASONS: readonly (CancelReason | null)[] = [
  "released",
  null,
  "requested",
  "deadline",
  "parent",
  "stopped",
  "caller-gone",
  "stuck",
];

/** The number that stands for a reason in shared memory; an unknown reason counts as requested. */
export function reasonCode(reason: CancelReason): number {
  const code = REASONS.indexOf(reason);
  return code < 0 ? REASONS.indexOf("requested") : code;
}

/** The reason a state stands for; null for LIVE. */
export function reasonOf(state: number): CancelReason | null {
  return REASONS[state] ?? null;
}

/** The part of a token that crosses threads: three 32-bit integers. */
export interface TokenHandle {
  readonly table: number;
  readonly slot: number;
  readonly generation: number;
}

/** How many tokens of one thread other threads can see at a time. */
export const TOKEN_SLOTS = 4_096;

/** A slot is 16 bytes: a word (generation, then four bits of state), a gap, the deadline. */
const SLOT_BYTES = 16;
const WORD_STRIDE = SLOT_BYTES / 4;
const STATE_BITS = 4;
const STATE_MASK = (1 << STATE_BITS) - 1;
const GENERATION_MASK = 2 ** (32 - STATE_BITS) - 1;

/** New memory for the table of one thread. */
export function tokenTableMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(TOKEN_SLOTS * SLOT_BYTES);
}

/** One token in a table: what its owner and every copy of it look at. */
export class TokenSlot {
  // Plain fields: a poll reads them directly.
  readonly words: Int32Array;
  readonly index: number;
  /** The word while the token is live; any other value means cancelled. */
  readonly live: number;
  readonly handle: TokenHandle;

  constructor(words: Int32Array, handle: TokenHandle) {
    this.words = words;
    this.index = handle.slot * WORD_STRIDE;
    this.live = (handle.generation << STATE_BITS) | LIVE;
    this.handle = handle;
  }

  get state(): number {
    const word = Atomics.load(this.words, this.index);
    return (word ^ this.live) >>> STATE_BITS === 0 ? word & STATE_MASK : 0;
  }

  /** Cancels unless that is done already; returns the state, which is the first one's reason. */
  cancel(code: number): number {
    const word = (this.live & ~STATE_MASK) | code;
    const found = Atomics.compareExchange(this.words, this.index, this.live, word);
    return found === this.live ? code : this.state;
  }
}

/** The table of one thread, as its owner or another thread holds it. */
export class TokenTable {
  readonly id: number;
  readonly memory: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #deadlines: Float64Array;
  /** Slots in the order in which they came back, so that a generation lasts long. */
  readonly #returned = new Fifo<number>();
  #neverUsed = 0;

  constructor(id: number, memory: SharedArrayBuffer) {
    invariant(
      memory.byteLength === TOKEN_SLOTS * SLOT_BYTES,
      `the memory of token table ${id} has ${TOKEN_SLOTS * SLOT_BYTES} bytes`,
    );
    this.id = id;
    this.memory = memory;
    this.#words = new Int32Array(memory);
    this.#deadlines = new Float64Array(memory);
  }

  /** Slots that are given out; for the owner only. */
  get used(): number {
    return this.#neverUsed - this.#returned.size;
  }

  /**
   * Gives a slot to a live token; for the owner only.
   * @throws {TOKEN_LIMIT} when all are given out.
   */
  allocate(deadlineAtMs: number | null): TokenSlot {
    const slot = this.#returned.shift() ?? this.#neverUsed;
    if (slot >= TOKEN_SLOTS) {
      const text = `thread ${this.id} shares ${TOKEN_SLOTS} cancellation tokens already`;
      const details = { table: this.id, limit: TOKEN_SLOTS };
      throw new EsperError("TOKEN_LIMIT", `${text}; release those whose work is done`, details);
    }
    if (slot === this.#neverUsed) this.#neverUsed += 1;
    const before = Atomics.load(this.#words, slot * WORD_STRIDE) >>> STATE_BITS;
    const generation = (before + 1) & GENERATION_MASK;
    const made = new TokenSlot(this.#words, { table: this.id, slot, generation });
    this.#deadlines[slot * 2 + 1] = deadlineAtMs ?? Number.POSITIVE_INFINITY;
    Atomics.store(this.#words, made.index, made.live);
    return made;
  }

  /** Takes back what `allocate` gave, once; a copy that is still polled reads as cancelled. */
  free(slot: TokenSlot): void {
    slot.cancel(reasonCode("released"));
    this.#returned.push(slot.handle.slot);
  }

  /**
   * Looks a handle from another thread up.
   * @throws {FRAME_MALFORMED} when it names no slot of this table.
   */
  find(handle: TokenHandle): TokenSlot {
    const { slot, generation } = handle;
    if (!isIndex(slot, TOKEN_SLOTS) || !isIndex(generation, GENERATION_MASK + 1)) {
      const text = `no token table has a slot ${slot} of generation ${generation}`;
      const details = { ...handle, slots: TOKEN_SLOTS, generations: GENERATION_MASK + 1 };
      throw new EsperError("FRAME_MALFORMED", text, details);
    }
    return new TokenSlot(this.#words, handle);
  }

  /** The deadline of a token that is still live, or null. */
  deadlineOf({ handle, live, index }: TokenSlot): number | null {
    const deadlineAtMs = this.#deadlines[handle.slot * 2 + 1] ?? Number.POSITIVE_INFINITY;
    const known = Atomics.load(this.#words, index) === live && Number.isFinite(deadlineAtMs);
    return known ? deadlineAtMs : null;
  }

  /** Cancels all that is live: the owner is gone. Any thread may do it. */
  sweep(): void {
    const gone = reasonCode("caller-gone");
    for (let index = 0; index < this.#words.length; index += WORD_STRIDE) {
      const word = Atomics.load(this.#words, index);
      if ((word & STATE_MASK) !== LIVE) continue;
      Atomics.compareExchange(this.#words, index, word, (word & ~STATE_MASK) | gone);
    }
  }
}

function isIndex(value: number, end: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < end;
}

/** The tables this thread knows, by id; each id means one table in the whole process. */
const tables = new Map<number, TokenTable>();
let own: TokenTable | null = null;

/** This thread's table. Made on first use, with the id 0 of the main thread, unless adopted. */
export function ownTable(): TokenTable {
  own ??= register(0, tokenTableMemory());
  return own;
}

/**
 * Makes `memory` this thread's table, before its first token is shared. Tokens of an owner that is
 * gone are cancelled; their handles stay stale for ever.
 */
export function adoptOwnTable(id: number, memory: SharedArrayBuffer): void {
  if (own !== null && own.id === id && own.memory === memory) return;
  invariant(own === null, `the thread has token table ${own?.id} and cannot adopt ${id}`);
  const adopted = register(id, memory);
  adopted.sweep();
  own = adopted;
}

/** Makes the table of another thread known, so that its tokens can be attached here. */
export function attachTable(id: number, memory: SharedArrayBuffer): void {
  register(id, memory);
}

/** Forgets a table; tokens attached already keep working. */
export function detachTable(id: number): void {
  if (own?.id !== id) tables.delete(id);
}

/** Cancels every token of a thread that is gone, for all who hold copies. */
export function sweepTable(id: number): void {
  tables.get(id)?.sweep();
}

/**
 * The table a handle points into.
 * @throws {FRAME_MALFORMED} when this thread knows no such table.
 */
export function tableOf(handle: TokenHandle): TokenTable {
  const table = tables.get(handle.table);
  if (table !== undefined) return table;
  const known = [...tables.keys()];
  const text = `the token table ${handle.table} is not known here`;
  throw new EsperError("FRAME_MALFORMED", text, { ...handle, known });
}

function register(id: number, memory: SharedArrayBuffer): TokenTable {
  const known = tables.get(id);
  invariant(known === undefined || known.memory === memory, `token table ${id} is one table`);
  const table = known ?? new TokenTable(id, memory);
  tables.set(id, table);
  return table;
}
