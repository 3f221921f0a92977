/**
 * A write-ahead log: append-only, checksummed, in segments. An append is acknowledged only after
 * its bytes are on disk; appends that wait together share one write and one fsync. Old segments are
 * removed whole or compacted while appends go on. After a failed fsync the log is poisoned for
 * good.
 */
import { EsperError } from "../../protocols/errors.ts";
import { type Clock, systemClock } from "../clock.ts";
import type { CancellationToken } from "../token.ts";
import type { Files } from "./files.ts";
import { type LogId, logIdText, MAX_RECORD_BYTES } from "./frame.ts";
import type { Batch, Receipt } from "./wal-batch.ts";
import { type CompactionResult, compactSegments } from "./wal-compaction.ts";
import { type NewRecord, PendingQueue, type QueueStatus } from "./wal-queue.ts";
import { recoverLog, type Salvage } from "./wal-recovery.ts";
import { SegmentSet } from "./wal-segments.ts";
import { LogTail } from "./wal-tail.ts";
import type { WalRecord } from "./wal-verify.ts";

export { MAX_RECORD_BYTES } from "./frame.ts";
export type { CompactionResult } from "./wal-compaction.ts";
export type { WalRecord } from "./wal-verify.ts";

/** Where the log lies, and its bounds. */
export interface WalOptions {
  readonly files: Files;
  readonly directory: string;
  readonly clock?: Clock;
  /** The id that the log must have, of `logIdOf`; a new log without it gets a random one. */
  readonly logId?: LogId;
  /** True: keep the valid prefix of a damaged log and move the rest to `*.broken`. */
  readonly salvage?: boolean;
  /** A segment that has reached this size is closed and the next one begins. Default 4 MiB. */
  readonly segmentBytes?: number;
  /** Appends that may wait for the disk at once. Default 4,096. */
  readonly pendingRecords?: number;
  /** Bytes that may wait for the disk at once. Default 16 MiB. */
  readonly pendingBytes?: number;
  /** Told of every group that is on disk now, before those who wait for it are. */
  readonly onFlushed?: (flush: Flush) => void;
}

/** A group of records that was written and synced together. */
export interface Flush {
  readonly records: number;
  /** How long the first of them has waited, in milliseconds. */
  readonly waitedMs: number;
  /** Bytes of the whole log. */
  readonly bytes: number;
}

/** What the log holds and what waits for it. */
export interface WalStatus extends QueueStatus {
  readonly logId: string;
  readonly records: number;
  readonly bytes: number;
  readonly segments: number;
  /** Records found by this open, and bytes of an unfinished write that it cut off. */
  readonly recovered: number;
  readonly tornBytes: number;
  readonly lastSequence: number;
  readonly salvage: Salvage | null;
  readonly poisoned: boolean;
  /** How long the last write with its fsync took, in milliseconds. */
  readonly lastSyncMs: number;
  /** Writes with their fsyncs since the opening: fewer than records, because many share one. */
  readonly flushes: number;
}

const DEFAULT_SEGMENT_BYTES = 4 * 1_048_576;
const DEFAULT_PENDING_RECORDS = 4_096;
const DEFAULT_PENDING_BYTES = 16 * 1_048_576;

/** What the opening found, for the status. */
interface Opened {
  readonly logId: string;
  readonly recovered: number;
  readonly tornBytes: number;
  readonly salvage: Salvage | null;
}

/** A write-ahead log in a directory of its own; one writer at a time. */
export class Wal {
  readonly #directory: string;
  readonly #clock: Clock;
  readonly #onFlushed: ((flush: Flush) => void) | null;
  readonly #opened: Opened;
  readonly #segments: SegmentSet;
  readonly #queue: PendingQueue;
  readonly #tail: LogTail;
  #draining: Promise<void> | null = null;
  #closing: Promise<void> | null = null;

  private constructor(
    options: WalOptions,
    parts: { opened: Opened; set: SegmentSet; tail: LogTail },
  ) {
    const { directory, clock = systemClock, onFlushed = null } = options;
    this.#directory = directory;
    this.#clock = clock;
    this.#onFlushed = onFlushed;
    this.#opened = parts.opened;
    this.#segments = parts.set;
    this.#tail = parts.tail;
    const records = options.pendingRecords ?? DEFAULT_PENDING_RECORDS;
    const bytes = options.pendingBytes ?? DEFAULT_PENDING_BYTES;
    this.#queue = new PendingQueue({ records, bytes }, clock, directory);
  }

  /**
   * Opens or creates the log.
   * @throws {WAL_CORRUPT} when an acknowledged record is damaged and `salvage` is not set.
   * @throws {WAL_FOREIGN} {WAL_NOT_A_LOG} {WAL_VERSION} with nothing changed, also for a salvage.
   * @throws {STORAGE_FULL} @throws {STORAGE_FAILED}
   */
  static async open(options: WalOptions): Promise<Wal> {
    const { files, directory, salvage = false, logId = null, clock = systemClock } = options;
    const { segmentBytes = DEFAULT_SEGMENT_BYTES } = options;
    const recovery = await recoverLog(files, directory, { salvage, logId });
    const tail = await LogTail.open({ files, directory, clock, segmentBytes }, recovery);
    const set = new SegmentSet({ files, directory, logId: recovery.logId, segmentBytes }, recovery);
    const { tornBytes } = recovery;
    const recovered = recovery.segments.reduce((sum, segment) => sum + segment.records, 0);
    const id = logIdText(recovery.logId);
    const opened = { logId: id, recovered, tornBytes, salvage: recovery.salvage };
    return new Wal(options, { opened, set, tail });
  }

  get status(): WalStatus {
    return {
      ...this.#opened,
      ...this.#queue.status,
      ...this.#segments.totals,
      segments: this.#segments.all.length,
      lastSequence: this.#tail.nextSequence - 1,
      poisoned: this.#tail.poison !== null,
      lastSyncMs: this.#tail.lastSyncMs,
      flushes: this.#tail.flushes,
    };
  }

  /**
   * Appends one record and returns its sequence number once it is on disk.
   * @throws {RECORD_WITHOUT_TIME} @throws {FRAME_TOO_LARGE} @throws {MAILBOX_FULL} at once.
   * @throws {WAL_FULL} when the disk has no room: nothing of the record was kept.
   * @throws {WAL_POISONED} after any other failed write or fsync, for ever.
   */
  append(record: NewRecord): Promise<number> {
    return promised((receipt) => {
      if (this.#refuses(record, receipt)) return;
      this.#queue.add(record, receipt);
      this.#start();
    });
  }

  /**
   * Like `append`, but when too much waits already it waits for its turn, first come, first served.
   * @throws {CANCELLED} before it was let in.
   */
  appendWhenRoom(record: NewRecord, token?: CancellationToken): Promise<number> {
    return promised((receipt) => this.put(record, receipt, token));
  }

  /**
   * As `appendWhenRoom`, for many records at once: tells the receipt what a promise would say. The
   * payload is copied before this returns.
   */
  put(record: NewRecord, receipt: Receipt, token?: CancellationToken): void {
    if (this.#refuses(record, receipt)) return;
    this.#queue.addWhenRoom(record, receipt, token);
    this.#start();
  }

  /** True when `append` would let a record with this payload in. */
  hasRoom(payloadBytes = 0): boolean {
    return this.#queue.hasRoom(payloadBytes);
  }

  /** Returns when there is room for such a record. @throws {CANCELLED} @throws {WAL_POISONED} */
  async whenRoom(payloadBytes = 0, token?: CancellationToken): Promise<void> {
    const closed = this.#closed();
    if (closed !== null) throw closed;
    await this.#queue.whenRoom(payloadBytes, token);
  }

  /** Every record that is on disk now with a sequence number of at least `from`, in order. */
  read(from = 1): AsyncGenerator<WalRecord, void, void> {
    return this.#segments.read(from, this.#tail.nextSequence);
  }

  /** Removes whole segments whose records are all older than `beforeMs`; returns how many. */
  prune(beforeMs: number): Promise<number> {
    return this.#segments.prune(beforeMs);
  }

  /**
   * Removes the records that `keep` refuses from all segments but the one that is written to.
   * Numbers stay as they are. A crash or a failure leaves every segment whole, old or new.
   * @throws {STORAGE_FULL} @throws {STORAGE_FAILED} @throws {WAL_CORRUPT}
   */
  compact(keep: (record: WalRecord) => boolean): Promise<CompactionResult> {
    const closed = this.#closed();
    if (closed !== null) return Promise.reject(closed);
    return compactSegments(this.#segments, keep, () => this.#closing !== null);
  }

  /** Waits for pending appends, marks the end as committed and closes. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    // In the next turn, so that `#closing` is set and nobody else is let in.
    await null;
    const closed = this.#closed();
    if (closed !== null) this.#queue.refuseWaiting(closed);
    await this.#draining;
    await this.#segments.idle();
    await this.#tail.close();
  }

  #closed(): EsperError | null {
    if (this.#tail.poison !== null) return this.#tail.poison;
    if (this.#closing === null) return null;
    const directory = this.#directory;
    return new EsperError("ACTOR_STOPPED", `the log in ${directory} is closed`, { directory });
  }

  /** True when the record cannot be taken, whatever room there is; the receipt was told. */
  #refuses(record: NewRecord, receipt: Receipt): boolean {
    const refusal = this.#refusal(record);
    if (refusal !== null) receipt.refused(refusal);
    return refusal !== null;
  }

  #refusal({ timeMs, payload }: NewRecord): EsperError | null {
    const closed = this.#closed();
    if (closed !== null) return closed;
    const directory = this.#directory;
    if (!Number.isFinite(timeMs) || timeMs <= 0) {
      return new EsperError(
        "RECORD_WITHOUT_TIME",
        `a record for ${directory} has the time ${timeMs}: give milliseconds since 1970, above 0`,
        { directory, timeMs },
      );
    }
    if (payload.byteLength <= MAX_RECORD_BYTES) return null;
    return new EsperError(
      "FRAME_TOO_LARGE",
      `a record of ${payload.byteLength} bytes is larger than the ${MAX_RECORD_BYTES} allowed`,
      { bytes: payload.byteLength, allowed: MAX_RECORD_BYTES },
    );
  }

  /** Sees to it that what was added is written. */
  #start(): void {
    this.#draining ??= this.#drain();
  }

  /** One loop at a time writes batches until nothing waits. */
  async #drain(): Promise<void> {
    // Appends made in the same turn share the first batch.
    await null;
    while (!this.#queue.isEmpty) {
      const batch = this.#queue.take();
      if (batch !== null) await this.#flush(batch);
    }
    this.#draining = null;
  }

  async #flush(batch: Batch): Promise<void> {
    const firstSequence = this.#tail.nextSequence;
    const { records, startedMs } = batch;
    const failure = await this.#tail.write(batch);
    if (failure === null && this.#onFlushed !== null) {
      const waitedMs = this.#clock.monotonicMs() - startedMs;
      this.#onFlushed({ records, waitedMs, bytes: this.#segments.totals.bytes });
    }
    this.#queue.settled(batch, () => {
      if (failure === null) batch.acknowledge(firstSequence);
      else batch.refuse(failure);
    });
    if (this.#tail.poison !== null) this.#queue.refuseWaiting(this.#tail.poison);
  }
}

/** What the receipt is told, as a promise. */
function promised(begin: (receipt: Receipt) => void): Promise<number> {
  return new Promise((kept, refused) => begin({ kept, refused }));
}
