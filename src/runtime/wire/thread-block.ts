/**
 * What one thread shows to all others in shared memory: whether it sleeps, what it is doing and
 * since when. The state word is exact, and an older owner of the same block can no longer change
 * it; everything else is written by one thread with plain stores and read as advice.
 */
import { invariant } from "../../protocols/errors.ts";

/** States of a thread; the state word holds one in its low two bits and the epoch above them. */
export const RUNNING = 0;
export const IDLE = 1;
export const CONDEMNED = 2;
export const DEAD = 3;
export type ThreadState = 0 | 1 | 2 | 3;

const STATE_MASK = 3;
const EPOCH_STEP = 4;

/** Word indices, by who writes them: each writer has cache lines of its own. */
export const STATE = 0;
export const URGENT = 16;
const WAKES = 17;
const HEARTBEAT = 32;
const CURRENT_ACTOR = 33;
const CURRENT_KIND = 34;
const PARKS = 35;
const SPINS = 36;
const RING_FULL = 37;
const HANDLER_STARTED_AT_MS = 24;
const LOOP_LAG_MS = 25;

const BLOCK_BYTES = 256;

/** One thread's numbers at one moment, for watchdogs and inspectors. */
export interface ThreadReading {
  readonly state: ThreadState;
  readonly epoch: number;
  readonly heartbeat: number;
  /** The actor whose handler is running now, or null. */
  readonly actor: number | null;
  readonly kind: number;
  readonly handlerStartedAtMs: number;
  readonly loopLagMs: number;
  readonly parks: number;
  readonly wakes: number;
  readonly spins: number;
  readonly ringFull: number;
}

/** New memory for one thread's block; zeroes mean: running, epoch 0, no actor. */
export function threadBlockMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(BLOCK_BYTES);
}

/** A view on one thread's block; only the thread that called `own` may use the writing methods. */
export class ThreadBlock {
  readonly memory: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #floats: Float64Array;
  /** The state word while this owner runs; another epoch in the memory means another owner. */
  #running = RUNNING;

  constructor(memory: SharedArrayBuffer) {
    invariant(memory.byteLength === BLOCK_BYTES, "a thread block lies in its own memory");
    this.memory = memory;
    this.#words = new Int32Array(memory);
    this.#floats = new Float64Array(memory);
    this.#running = Atomics.load(this.#words, STATE) & ~STATE_MASK;
  }

  /** Takes the block for a thread that starts: running, with an epoch no thread before it had. */
  own(): number {
    for (;;) {
      const before = Atomics.load(this.#words, STATE);
      const after = ((before & ~STATE_MASK) + EPOCH_STEP) | 0;
      if (Atomics.compareExchange(this.#words, STATE, before, after) !== before) continue;
      this.#running = after;
      this.leave();
      return after >>> 2;
    }
  }

  get state(): ThreadState {
    return (Atomics.load(this.#words, STATE) & STATE_MASK) as ThreadState;
  }

  get epoch(): number {
    return Atomics.load(this.#words, STATE) >>> 2;
  }

  /** False once another thread owns the block, or this one was condemned. */
  get isOwner(): boolean {
    const now = Atomics.load(this.#words, STATE);
    return now === this.#running || now === (this.#running | IDLE);
  }

  /** From now on the owner can neither sleep nor be woken; it should stop by itself. */
  condemn(): void {
    this.#mark(CONDEMNED);
  }

  /** The thread has ended. */
  die(): void {
    this.#mark(DEAD);
  }

  /** Step of `park`: false when the state is not the owner's to change. */
  toIdle(): boolean {
    const idle = this.#running | IDLE;
    const before = Atomics.compareExchange(this.#words, STATE, this.#running, idle);
    return before === this.#running || before === idle;
  }

  /** Back from idle; a waker that was quicker has done the same. */
  toRunning(): void {
    Atomics.compareExchange(this.#words, STATE, this.#running | IDLE, this.#running);
  }

  /** Step of `wakeIfIdle`, by any thread: true for the one caller that must ring the doorbell. */
  claimWake(): boolean {
    const seen = Atomics.load(this.#words, STATE);
    if ((seen & STATE_MASK) !== IDLE) return false;
    if (Atomics.compareExchange(this.#words, STATE, seen, seen & ~STATE_MASK) !== seen)
      return false;
    Atomics.add(this.#words, WAKES, 1);
    return true;
  }

  /** By a sender, after it has published on an urgent lane: a busy owner looks at this one word. */
  bumpUrgent(): void {
    Atomics.add(this.#words, URGENT, 1);
  }

  /** The same word as a plain read: it may lag, and costs next to nothing between two messages. */
  get urgentHint(): number {
    return this.#words[URGENT] as number;
  }

  /** Must be read before the urgent rings are, or a record published in between goes unnoticed. */
  get urgent(): number {
    return Atomics.load(this.#words, URGENT);
  }

  /** A handler begins. Plain stores: this runs for every message. */
  enter(actor: number, kind: number, nowMs: number): void {
    const words = this.#words;
    words[CURRENT_KIND] = kind;
    this.#floats[HANDLER_STARTED_AT_MS] = nowMs;
    words[HEARTBEAT] = ((words[HEARTBEAT] as number) + 1) | 0;
    words[CURRENT_ACTOR] = actor + 1;
  }

  /** The synchronous part of the handler has ended. */
  leave(): void {
    this.#words[CURRENT_ACTOR] = 0;
  }

  /** One turn of the loop. */
  beat(): void {
    this.#increment(HEARTBEAT);
  }

  parked(): void {
    this.#increment(PARKS);
  }

  spun(): void {
    this.#increment(SPINS);
  }

  ringFull(): void {
    this.#increment(RING_FULL);
  }

  showLag(lagMs: number): void {
    this.#floats[LOOP_LAG_MS] = lagMs;
  }

  read(): ThreadReading {
    const words = this.#words;
    const state = Atomics.load(words, STATE);
    const actor = Atomics.load(words, CURRENT_ACTOR);
    return {
      state: (state & STATE_MASK) as ThreadState,
      epoch: state >>> 2,
      heartbeat: Atomics.load(words, HEARTBEAT),
      actor: actor === 0 ? null : actor - 1,
      kind: Atomics.load(words, CURRENT_KIND),
      handlerStartedAtMs: this.#floats[HANDLER_STARTED_AT_MS] as number,
      loopLagMs: this.#floats[LOOP_LAG_MS] as number,
      parks: Atomics.load(words, PARKS),
      wakes: Atomics.load(words, WAKES),
      spins: Atomics.load(words, SPINS),
      ringFull: Atomics.load(words, RING_FULL),
    };
  }

  #mark(state: ThreadState): void {
    for (;;) {
      const before = Atomics.load(this.#words, STATE);
      const after = (before & ~STATE_MASK) | state;
      if (Atomics.compareExchange(this.#words, STATE, before, after) === before) return;
    }
  }

  #increment(word: number): void {
    this.#words[word] = ((this.#words[word] as number) + 1) | 0;
  }
}
