/**
 * What waits for the disk: batches of records within bounds of count and bytes, and behind them
 * those who wait for room, first come, first served. A record that finds no room is refused at
 * once; one that may wait is let in as soon as earlier ones are settled, or told why it is not.
 */
import { EsperError } from "../../protocols/errors.ts";
import type { Clock } from "../clock.ts";
import { Fifo } from "../fifo.ts";
import type { CancellationToken } from "../token.ts";
import { frameBytes } from "./frame.ts";
import { Batch, type Receipt } from "./wal-batch.ts";

export interface QueueLimits {
  readonly records: number;
  readonly bytes: number;
}

/** How much waits, and for how long the oldest of it has. */
export interface QueueStatus {
  readonly pendingRecords: number;
  readonly pendingBytes: number;
  readonly oldestPendingMs: number;
  /** Those who wait for room. */
  readonly waiting: number;
}

/** A record to be appended; `timeMs` is wall time in milliseconds since 1970, above 0. */
export interface NewRecord {
  readonly timeMs: number;
  readonly payload: Uint8Array;
}

/** Those who may wait for room at once. */
export const MAX_WAITING = 1_024;
/** Batches kept for use again; a log on a slow disk may need more for a while. */
const SPARE_BATCHES = 2;

interface Waiter {
  readonly bytes: number;
  readonly enter: () => void;
  readonly refuse: (error: EsperError) => void;
}

export class PendingQueue {
  readonly #limits: QueueLimits;
  readonly #clock: Clock;
  readonly #place: string;
  readonly #batches = new Fifo<Batch>();
  readonly #spare: Batch[] = [];
  readonly #waiters = new Set<Waiter>();
  /** The batch that takes records now; the last of `#batches`. */
  #open: Batch | null = null;
  #inFlight: Batch | null = null;
  #records = 0;
  #bytes = 0;

  constructor(limits: QueueLimits, clock: Clock, place: string) {
    this.#limits = limits;
    this.#clock = clock;
    this.#place = place;
  }

  get isEmpty(): boolean {
    return this.#batches.size === 0;
  }

  get status(): QueueStatus {
    const oldest = this.#inFlight ?? this.#batches.at(0);
    return {
      pendingRecords: this.#records,
      pendingBytes: this.#bytes,
      oldestPendingMs: oldest === undefined ? 0 : this.#clock.monotonicMs() - oldest.startedMs,
      waiting: this.#waiters.size,
    };
  }

  /** True when a record with this payload would be let in. */
  hasRoom(payloadBytes: number): boolean {
    return this.#fits(frameBytes(payloadBytes), this.#records, this.#bytes);
  }

  /** Lets the record in, or refuses it with MAILBOX_FULL at once. */
  add(record: NewRecord, receipt: Receipt): void {
    if (this.hasRoom(record.payload.byteLength)) this.#enter(record, receipt);
    else receipt.refused(this.#full());
  }

  /**
   * Like `add`, but waits for its turn; the payload is copied before this returns. Refuses with
   * CANCELLED, or with MAILBOX_FULL when too many wait.
   */
  addWhenRoom({ timeMs, payload }: NewRecord, receipt: Receipt, token?: CancellationToken): void {
    const { byteLength } = payload;
    if (this.#waiters.size === 0 && this.hasRoom(byteLength)) {
      this.#enter({ timeMs, payload }, receipt);
      return;
    }
    const record = { timeMs, payload: payload.slice() };
    const waiting = this.#wait(byteLength, token, () => this.#enter(record, receipt));
    waiting.catch((error: unknown) => receipt.refused(error));
  }

  /** Returns when a record with this payload would be let in. @throws as `addWhenRoom`. */
  async whenRoom(payloadBytes: number, token?: CancellationToken): Promise<void> {
    if (this.#waiters.size === 0 && this.hasRoom(payloadBytes)) return;
    await this.#wait(payloadBytes, token, () => undefined);
  }

  /** The oldest batch, which takes no more records, or null. `settled` must follow. */
  take(): Batch | null {
    const batch = this.#batches.shift() ?? null;
    if (batch === this.#open) this.#open = null;
    this.#inFlight = batch;
    return batch;
  }

  /** The records of the batch no longer wait; `answer` tells them so and leaves it empty. */
  settled(batch: Batch, answer: () => void): void {
    this.#records -= batch.records;
    this.#bytes -= batch.bytes;
    this.#inFlight = null;
    answer();
    if (this.#spare.length < SPARE_BATCHES) this.#spare.push(batch);
    this.#admit();
  }

  /** Nobody is let in any more: tells all who wait for room. */
  refuseWaiting(error: EsperError): void {
    for (const waiter of this.#waiters) waiter.refuse(error);
    this.#waiters.clear();
  }

  #fits(bytes: number, records: number, pending: number): boolean {
    // One record always fits, whatever the limit: else it would wait for ever.
    if (records === 0) return true;
    return records < this.#limits.records && pending + bytes <= this.#limits.bytes;
  }

  #enter({ timeMs, payload }: NewRecord, receipt: Receipt): void {
    this.#records++;
    this.#bytes += frameBytes(payload.byteLength);
    this.#batchFor(payload.byteLength).add(timeMs, payload, receipt);
  }

  #batchFor(payloadBytes: number): Batch {
    if (this.#open?.fits(payloadBytes) === true) return this.#open;
    const batch = this.#spare.pop() ?? new Batch();
    batch.startedMs = this.#clock.monotonicMs();
    this.#batches.push(batch);
    this.#open = batch;
    return batch;
  }

  /** Lets those in who wait, in order, as far as there is room for all of them together. */
  #admit(): void {
    let promised = 0;
    let promisedBytes = 0;
    for (const waiter of this.#waiters) {
      const records = this.#records + promised;
      if (!this.#fits(waiter.bytes, records, this.#bytes + promisedBytes)) return;
      this.#waiters.delete(waiter);
      const before = this.#records;
      waiter.enter();
      // Who only asked for room will come with a record soon.
      if (this.#records > before) continue;
      promised++;
      promisedBytes += waiter.bytes;
    }
  }

  async #wait(
    payloadBytes: number,
    token: CancellationToken | undefined,
    enter: () => void,
  ): Promise<void> {
    token?.throwIfCancelled();
    if (this.#waiters.size >= MAX_WAITING) throw this.#full();
    const bytes = frameBytes(payloadBytes);
    let forget: () => void = () => undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        const turn = () => {
          enter();
          resolve();
        };
        const waiter: Waiter = { bytes, enter: turn, refuse: reject };
        this.#waiters.add(waiter);
        forget = this.#watch(waiter, token);
      });
    } finally {
      forget();
    }
  }

  /** Ends the wait when the token is cancelled or its deadline passes; returns how to stop that. */
  #watch(waiter: Waiter, token: CancellationToken | undefined): () => void {
    if (token === undefined) return () => undefined;
    const end = () => {
      if (!this.#waiters.delete(waiter)) return;
      const reason = token.reason ?? "deadline";
      const message = `the wait for room in the log in ${this.#place} was cancelled: ${reason}`;
      waiter.refuse(new EsperError("CANCELLED", message, { directory: this.#place, reason }));
      // A smaller one behind it may fit now.
      this.#admit();
    };
    const withdraw = token.onCancel(end);
    if (token.deadlineAtMs === null) return withdraw;
    const leftMs = token.deadlineAtMs - this.#clock.monotonicMs();
    const timer = this.#clock.after(leftMs, end);
    return () => {
      timer.cancel();
      withdraw();
    };
  }

  #full(): EsperError {
    const directory = this.#place;
    return new EsperError(
      "MAILBOX_FULL",
      `${this.#records} records (${this.#bytes} bytes) already wait for the disk in ` +
        `${directory}: try again later`,
      { directory, depth: this.#records, capacity: this.#limits.records, bytes: this.#bytes },
    );
  }
}
