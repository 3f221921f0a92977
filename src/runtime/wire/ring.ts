/**
 * A byte ring in shared memory from one producing thread to one consuming thread. It promises
 * order, whole records only, and that unread records outlive the thread at either end. It never
 * blocks, never allocates after construction and knows nothing of what the bytes mean.
 */
import { EsperError, invariant } from "../../protocols/errors.ts";

/** Words of the header, each on a cache line of its own; the steps of test/model name them. */
export const TAIL = 0;
export const HEAD = 16;
export const ROOM_REQUEST = 32;
/** How often the record at the head was begun and not freed; outlives the consumer. */
export const ATTEMPTS = 48;

const HEADER_BYTES = 256;
const RECORD_HEADER_BYTES = 8;
const SMALLEST_CAPACITY = 1_024;
const LARGEST_CAPACITY = 64 * 1_024 * 1_024;
/** A record is at most this share of its ring, so half a ring always takes one, even wrapped. */
const RECORD_SHARE = 8;
/** The length word of a record that only fills the space up to the end of the memory. */
const PAD = -1;
/**
 * Counters are multiples of eight, so the head's low bits carry the consumer's epoch: one
 * compare-and-swap then frees space and proves that no other consumer has taken over.
 */
const EPOCH_MASK = 7;

function capacityProblem(capacityBytes: number): string | null {
  if (!Number.isInteger(capacityBytes)) return "not an integer";
  if (capacityBytes < SMALLEST_CAPACITY || capacityBytes > LARGEST_CAPACITY) return "out of range";
  return (capacityBytes & (capacityBytes - 1)) === 0 ? null : "not a power of two";
}

/**
 * New memory for an empty ring.
 * @throws {CONFIG_INVALID} unless the capacity is a power of two from 1 KiB to 64 MiB.
 */
export function ringMemory(capacityBytes: number): SharedArrayBuffer {
  const problem = capacityProblem(capacityBytes);
  if (problem === null) return new SharedArrayBuffer(HEADER_BYTES + capacityBytes);
  throw new EsperError(
    "CONFIG_INVALID",
    `a ring's capacity in bytes is ${problem}: ${capacityBytes}; ` +
      `allowed: a power of two from ${SMALLEST_CAPACITY} to ${LARGEST_CAPACITY}`,
    { path: "ring.capacityBytes", value: capacityBytes },
  );
}

function capacityOf(memory: SharedArrayBuffer): number {
  const capacity = memory.byteLength - HEADER_BYTES;
  invariant(capacityProblem(capacity) === null, "a ring lies in memory made by ringMemory");
  return capacity;
}

/** How full a ring is, for inspectors: it may be in use at both ends. */
export function ringFill(memory: SharedArrayBuffer): {
  readonly usedBytes: number;
  readonly capacityBytes: number;
} {
  const control = controlWords(memory);
  const head = Atomics.load(control, HEAD) & ~EPOCH_MASK;
  const capacityBytes = capacityOf(memory);
  const usedBytes = (Atomics.load(control, TAIL) - head) | 0;
  return { usedBytes: Math.min(capacityBytes, Math.max(0, usedBytes)), capacityBytes };
}

function controlWords(memory: SharedArrayBuffer): Int32Array {
  return new Int32Array(memory, 0, HEADER_BYTES >> 2);
}

/**
 * The writing end. Only one may be in use at a time; a new one over the memory of a dead one
 * overwrites what that one had reserved and not published.
 */
export class RingProducer {
  readonly i32: Int32Array;
  readonly f64: Float64Array;
  readonly u8: Uint8Array;
  /** Payload bytes of the largest record that `reserve` takes. */
  readonly largestRecordBytes: number;
  readonly #control: Int32Array;
  readonly #capacity: number;
  readonly #mask: number;
  /** What the consumer is known to have freed; loaded again only when the ring looks full. */
  #head: number;
  #tail: number;
  #next: number;

  constructor(memory: SharedArrayBuffer) {
    const capacity = capacityOf(memory);
    this.#control = controlWords(memory);
    this.i32 = new Int32Array(memory, HEADER_BYTES);
    this.f64 = new Float64Array(memory, HEADER_BYTES);
    this.u8 = new Uint8Array(memory, HEADER_BYTES);
    this.#capacity = capacity;
    this.#mask = capacity - 1;
    this.largestRecordBytes = capacity / RECORD_SHARE;
    this.#tail = Atomics.load(this.#control, TAIL);
    this.#next = this.#tail;
    this.#head = Atomics.load(this.#control, HEAD) & ~EPOCH_MASK;
  }

  /**
   * Byte offset of room for one payload, or -1 while there is none. Nothing is visible before
   * `publish`; reserving again gives the first reservation up.
   * @throws {FRAME_TOO_LARGE} above `largestRecordBytes`.
   */
  reserve(bytes: number): number {
    if (bytes >>> 0 > this.largestRecordBytes) this.#refuse(bytes);
    const size = (bytes + RECORD_HEADER_BYTES + 7) & ~7;
    const tail = this.#tail;
    const start = tail & this.#mask;
    const pad = start + size > this.#capacity ? this.#capacity - start : 0;
    if (((tail - this.#head) | 0) + pad + size > this.#capacity) {
      this.#head = Atomics.load(this.#control, HEAD) & ~EPOCH_MASK;
      if (((tail - this.#head) | 0) + pad + size > this.#capacity) {
        this.#next = tail;
        return -1;
      }
    }
    if (pad !== 0) this.#writeHeader(start, pad, PAD);
    const at = pad === 0 ? start : 0;
    this.#writeHeader(at, size, bytes);
    this.#next = (tail + pad + size) | 0;
    return at + RECORD_HEADER_BYTES;
  }

  /** Makes the reserved record visible; without one it does nothing. */
  publish(): void {
    this.#tail = this.#next;
    Atomics.store(this.#control, TAIL, this.#next);
  }

  /** Asks the consumer to wake this thread when half of the ring is free. */
  requestRoom(): void {
    Atomics.store(this.#control, ROOM_REQUEST, 1);
  }

  /**
   * True when a waiting producer must try again instead of sleeping. A request that was taken
   * counts: its wake came while this thread was still running and rang nobody.
   */
  roomGranted(): boolean {
    return this.usedBytes <= this.#capacity >> 1 || Atomics.load(this.#control, ROOM_REQUEST) === 0;
  }

  /** Where the last published record ends; a head at or beyond it has freed that record. */
  get position(): number {
    return this.#tail;
  }

  /** Bytes published and not yet freed, record headers and padding included. */
  get usedBytes(): number {
    return (this.#tail - (Atomics.load(this.#control, HEAD) & ~EPOCH_MASK)) | 0;
  }

  #writeHeader(at: number, size: number, length: number): void {
    this.i32[at >> 2] = size;
    this.i32[(at >> 2) + 1] = length;
  }

  #refuse(bytes: number): never {
    throw new EsperError(
      "FRAME_TOO_LARGE",
      `a record of ${bytes} bytes; allowed in this ring: 0 to ${this.largestRecordBytes}`,
      { path: "record.bytes", value: bytes, largest: this.largestRecordBytes },
    );
  }
}

/**
 * The reading end. Making one takes the ring over: it starts at the first record not yet freed,
 * and the consumer before it, if it still lives, can free nothing any more.
 */
export class RingConsumer {
  readonly i32: Int32Array;
  readonly f64: Float64Array;
  readonly u8: Uint8Array;
  /** Payload bytes of the record that `next` returned. */
  length = 0;
  /** Records stepped over by this consumer. */
  records = 0;
  /** True after a record that cannot be: the ring reads as empty from then on. */
  broken = false;
  /** True once another consumer has taken the ring over: it reads as empty from then on. */
  fenced = false;
  #control: Int32Array;
  readonly #capacity: number;
  readonly #mask: number;
  readonly #epoch: number;
  #tail: number;
  #head: number;
  #released: number;
  #size = 0;
  #sealed = false;

  constructor(memory: SharedArrayBuffer) {
    const capacity = capacityOf(memory);
    this.#control = controlWords(memory);
    this.i32 = new Int32Array(memory, HEADER_BYTES);
    this.f64 = new Float64Array(memory, HEADER_BYTES);
    this.u8 = new Uint8Array(memory, HEADER_BYTES);
    this.#capacity = capacity;
    this.#mask = capacity - 1;
    const taken = takeOver(this.#control);
    this.#epoch = taken & EPOCH_MASK;
    this.#head = taken & ~EPOCH_MASK;
    this.#released = this.#head;
    this.#tail = this.#head;
  }

  /**
   * Offset of the next unread record's payload, or -1. The same until `advance`.
   * @throws {FRAME_MALFORMED} once, when the memory holds no valid record there.
   */
  next(): number {
    for (;;) {
      const head = this.#head;
      if (head === this.#tail && this.#reload() === 0) return -1;
      const start = head & this.#mask;
      const size = this.i32[start >> 2] as number;
      const length = this.i32[(start >> 2) + 1] as number;
      const limit = Math.min((this.#tail - head) | 0, this.#capacity - start);
      if (size < RECORD_HEADER_BYTES || size > limit || (size & 7) !== 0) this.#reject(size);
      if (length !== PAD) {
        const unused = size - RECORD_HEADER_BYTES - length;
        if (length < 0 || unused < 0 || unused > 7) this.#reject(size, length);
        this.length = length;
        this.#size = size;
        return start + RECORD_HEADER_BYTES;
      }
      this.#head = (head + size) | 0;
    }
  }

  /** Steps over the record that `next` returned; its space stays taken until `release`. */
  advance(): void {
    this.#head = (this.#head + this.#size) | 0;
    this.#size = 0;
    this.records++;
  }

  /** Frees everything stepped over. A consumer that was replaced frees nothing. */
  release(): void {
    if (this.#released === this.#head) return;
    const before = this.#released | this.#epoch;
    const after = this.#head | this.#epoch;
    if (Atomics.compareExchange(this.#control, HEAD, before, after) === before) {
      this.#released = this.#head;
      return;
    }
    this.fenced = true;
    this.#detach();
  }

  /** How often the record at the head was begun, by this consumer and those before it. */
  get attempts(): number {
    return Atomics.load(this.#control, ATTEMPTS);
  }

  /** The record that `next` returned is about to be handled. */
  countAttempt(): void {
    Atomics.add(this.#control, ATTEMPTS, 1);
  }

  /** It is not handled after all. */
  takeBackAttempt(): void {
    Atomics.sub(this.#control, ATTEMPTS, 1);
  }

  /**
   * Frees the one record that `next` returned, and adds `one` to each given word of `account`; a
   * negative index is left out. A thread that is terminated stops where a function or a turn of a
   * loop begins, and here is neither: all of it happens, or nothing.
   */
  settle(account: Int32Array, first: number, second: number, one: number): void {
    const head = (this.#head + this.#size) | 0;
    const before = this.#released | this.#epoch;
    if (Atomics.compareExchange(this.#control, HEAD, before, head | this.#epoch) === before) {
      Atomics.store(this.#control, ATTEMPTS, 0);
      if (first >= 0) Atomics.add(account, first, one);
      if (second >= 0) Atomics.add(account, second, one);
      this.#head = head;
      this.#released = head;
      this.#size = 0;
      this.records++;
      return;
    }
    this.fenced = true;
    this.#detach();
  }

  /** Reads no further than what is published now: the producer is over. */
  seal(): void {
    this.#reload();
    this.#sealed = true;
  }

  /** True when a record lies before the point at which this consumer was sealed, if it was. */
  get hasUnread(): boolean {
    return this.#sealed ? this.#tail !== this.#head : !this.isEmpty();
  }

  /** True when there is nothing to read: one atomic load. */
  isEmpty(): boolean {
    return Atomics.load(this.#control, TAIL) === this.#head;
  }

  /**
   * Ends a drain: frees what was stepped over, then true when the producer asked for room and half
   * of the ring is free. The request is cleared and the caller must wake the producer's thread.
   */
  grantRoom(): boolean {
    // In this order either the producer sees the freed space or its request is seen here.
    this.release();
    if (Atomics.load(this.#control, ROOM_REQUEST) === 0) return false;
    const used = (Atomics.load(this.#control, TAIL) - this.#released) | 0;
    // Clearing a request without room would put the producer to sleep with nobody to wake it.
    if (used > this.#capacity >> 1) return false;
    Atomics.store(this.#control, ROOM_REQUEST, 0);
    return true;
  }

  /** Bytes published and not yet stepped over, record headers and padding included. */
  get usedBytes(): number {
    return (Atomics.load(this.#control, TAIL) - this.#head) | 0;
  }

  /** Loads the tail; the number of unread bytes. */
  #reload(): number {
    if (this.#sealed) return (this.#tail - this.#head) | 0;
    const tail = Atomics.load(this.#control, TAIL);
    const unread = (tail - this.#head) | 0;
    if (unread < 0 || unread > this.#capacity || (unread & 7) !== 0) this.#reject(unread);
    this.#tail = tail;
    return unread;
  }

  #reject(size: number, length?: number): never {
    const at = this.#head & this.#mask;
    this.broken = true;
    this.#detach();
    throw new EsperError(
      "FRAME_MALFORMED",
      `no valid record at byte ${at} of a ring: size ${size}, length ${length ?? "unread"}`,
      { path: "record.size", value: size, length: length ?? null, offset: at },
    );
  }

  /** Exchanges the shared words for private ones in which nothing is ever published. */
  #detach(): void {
    this.#control = new Int32Array(HEADER_BYTES >> 2);
    this.#control[TAIL] = this.#head;
    this.#control[HEAD] = this.#head | this.#epoch;
    this.#tail = this.#head;
    this.#released = this.#head;
    this.#size = 0;
  }
}

/** Where the first record not yet freed begins; any thread may ask. */
export function ringHead(memory: SharedArrayBuffer): number {
  return Atomics.load(controlWords(memory), HEAD) & ~EPOCH_MASK;
}

/** True when a record was begun and is not freed; any thread may ask. */
export function ringIsInHand(memory: SharedArrayBuffer): boolean {
  return Atomics.load(controlWords(memory), ATTEMPTS) > 0;
}

/** True when nothing unread is in the ring; any thread may ask. */
export function ringIsDrained(memory: SharedArrayBuffer): boolean {
  return Atomics.load(controlWords(memory), TAIL) === ringHead(memory);
}

/** Raises the epoch in the head word; the word as it is afterwards. */
function takeOver(control: Int32Array): number {
  for (;;) {
    const before = Atomics.load(control, HEAD);
    const after = (before & ~EPOCH_MASK) | ((before + 1) & EPOCH_MASK);
    if (Atomics.compareExchange(control, HEAD, before, after) === before) return after;
  }
}
