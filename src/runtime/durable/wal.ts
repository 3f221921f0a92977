/**
 * A write-ahead log: append-only, checksummed, in segments. An append is acknowledged only after
 * its bytes are on disk; appends that wait together share one fsync. After a failed fsync the log
 * is poisoned for good: what the disk holds is unknown, and asking again could lie. A full disk
 * acknowledges nothing, cuts the half-written frame off and lets the next append try again.
 */
import { EsperError, invariant } from "../../protocols/errors.ts";
import { type Files, type OpenFile, PRIVATE_PERMISSIONS, removeIfPresent } from "./files.ts";
import { frameBytes, writeFrame } from "./frame.ts";
import { scanSegment } from "./segment-scan.ts";
import {
  commitFrame,
  type Recovery,
  recoverLog,
  type Salvage,
  type Segment,
  segmentPath,
} from "./wal-recovery.ts";

export interface WalOptions {
  readonly files: Files;
  readonly directory: string;
  /** True: keep the valid prefix of a damaged log and move the rest to `*.broken`. */
  readonly salvage?: boolean;
  /** A segment that has reached this size is closed and the next one begins. Default 4 MiB. */
  readonly segmentBytes?: number;
  /** Appends that may wait for the disk at once. Default 4,096. */
  readonly pendingRecords?: number;
}

/** `timeMs` is wall time in milliseconds since 1970 and decides when a record may be pruned. */
export interface WalRecord {
  readonly sequence: number;
  readonly timeMs: number;
  readonly payload: Uint8Array;
}

export interface WalStatus {
  readonly records: number;
  readonly bytes: number;
  /** Records found by this open, and bytes of an unfinished write that it cut off. */
  readonly recovered: number;
  readonly tornBytes: number;
  readonly lastSequence: number;
  readonly salvage: Salvage | null;
  readonly poisoned: boolean;
}

export const MAX_RECORD_BYTES = 1_048_576;
const BATCH_BYTES = 1_048_576;
const DEFAULT_SEGMENT_BYTES = 4 * 1_048_576;
const DEFAULT_PENDING_RECORDS = 4_096;

interface Pending {
  readonly timeMs: number;
  readonly payload: Uint8Array;
  readonly resolve: (sequence: number) => void;
  readonly reject: (error: EsperError) => void;
}

export class Wal {
  readonly #options: Required<Omit<WalOptions, "salvage">>;
  readonly #recovery: Recovery;
  readonly #recovered: number;
  readonly #segments: Segment[];
  readonly #pending: Pending[] = [];
  #file: OpenFile;
  #nextSequence: number;
  #sealed: boolean;
  #poison: EsperError | null = null;
  #draining: Promise<void> | null = null;
  #closed = false;

  private constructor(options: WalOptions, recovery: Recovery, file: OpenFile) {
    this.#options = {
      files: options.files,
      directory: options.directory,
      segmentBytes: options.segmentBytes ?? DEFAULT_SEGMENT_BYTES,
      pendingRecords: options.pendingRecords ?? DEFAULT_PENDING_RECORDS,
    };
    this.#recovery = recovery;
    this.#segments = recovery.segments;
    this.#nextSequence = recovery.nextSequence;
    this.#file = file;
    this.#recovered = this.#segments.reduce((sum, segment) => sum + segment.records, 0);
    this.#sealed = true;
  }

  /**
   * Opens or creates the log.
   * @throws {WAL_CORRUPT} when an acknowledged record is damaged and `salvage` is not set.
   * @throws {STORAGE_FULL} @throws {STORAGE_FAILED}
   */
  static async open(options: WalOptions): Promise<Wal> {
    const { files, directory, salvage = false } = options;
    const recovery = await recoverLog(files, directory, { salvage });
    const last = recovery.segments.at(-1);
    invariant(last !== undefined, "a recovered log has a segment");
    const file = await files.open(last.path, "write", PRIVATE_PERMISSIONS);
    return new Wal(options, recovery, file);
  }

  get status(): WalStatus {
    return {
      records: this.#segments.reduce((sum, segment) => sum + segment.records, 0),
      bytes: this.#segments.reduce((sum, segment) => sum + segment.bytes, 0),
      recovered: this.#recovered,
      tornBytes: this.#recovery.tornBytes,
      lastSequence: this.#nextSequence - 1,
      salvage: this.#recovery.salvage,
      poisoned: this.#poison !== null,
    };
  }

  /**
   * Appends one record and returns its sequence number once it is on disk.
   * @throws {RECORD_WITHOUT_TIME} @throws {FRAME_TOO_LARGE} @throws {MAILBOX_FULL} at once.
   * @throws {WAL_FULL} when the disk has no room: nothing of the record was kept.
   * @throws {WAL_POISONED} after any other failed write or fsync, for ever.
   */
  append(record: { readonly timeMs: number; readonly payload: Uint8Array }): Promise<number> {
    const refusal = this.#refusal(record);
    if (refusal !== null) return Promise.reject(refusal);
    return new Promise((resolve, reject) => {
      // Copied, also when it is a Buffer: the caller may reuse it before the bytes are written.
      this.#pending.push({
        timeMs: record.timeMs,
        payload: new Uint8Array(record.payload),
        resolve,
        reject,
      });
      this.#draining ??= this.#drain();
    });
  }

  /** Every record on disk with a sequence number of at least `from`, in order. */
  async *read(from = 1): AsyncGenerator<WalRecord, void, void> {
    for (const segment of [...this.#segments]) {
      if (segment.firstSequence + segment.records <= from) continue;
      yield* await this.#readSegment(segment, from);
    }
  }

  /** Removes whole segments whose records are all older than `beforeMs`; returns how many. */
  async prune(beforeMs: number): Promise<number> {
    const { files, directory } = this.#options;
    let removed = 0;
    for (;;) {
      const [oldest] = this.#segments;
      const isCurrent = this.#segments.length === 1;
      if (oldest === undefined || isCurrent || oldest.newestTimeMs >= beforeMs) break;
      await removeIfPresent(files, oldest.path);
      this.#segments.shift();
      removed++;
    }
    if (removed > 0) await files.syncDirectory(directory);
    return removed;
  }

  /** Waits for pending appends, marks the end as committed and closes. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#draining;
    if (this.#poison !== null) return;
    try {
      if (!this.#sealed) await this.#seal();
    } finally {
      if (this.#poison === null) await this.#file.close();
    }
  }

  #refusal(record: { timeMs: number; payload: Uint8Array }): EsperError | null {
    if (this.#poison !== null) return this.#poison;
    const { directory, pendingRecords } = this.#options;
    if (this.#closed) {
      return new EsperError("ACTOR_STOPPED", `the log in ${directory} is closed`, { directory });
    }
    const { timeMs, payload } = record;
    if (!Number.isFinite(timeMs) || timeMs <= 0) {
      return new EsperError(
        "RECORD_WITHOUT_TIME",
        `a record for ${directory} has the time ${timeMs}: give milliseconds since 1970, above 0`,
        { directory, timeMs },
      );
    }
    if (payload.byteLength > MAX_RECORD_BYTES) {
      return new EsperError(
        "FRAME_TOO_LARGE",
        `a record of ${payload.byteLength} bytes is larger than the ${MAX_RECORD_BYTES} allowed`,
        { bytes: payload.byteLength, allowed: MAX_RECORD_BYTES },
      );
    }
    if (this.#pending.length < pendingRecords) return null;
    return new EsperError(
      "MAILBOX_FULL",
      `${pendingRecords} records already wait for the disk in ${directory}: try again later`,
      { directory, depth: this.#pending.length, capacity: pendingRecords },
    );
  }

  get #current(): Segment {
    const segment = this.#segments.at(-1);
    invariant(segment !== undefined, "a log has a segment");
    return segment;
  }

  async #readSegment(segment: Segment, from: number): Promise<WalRecord[]> {
    const { path, firstSequence } = segment;
    // Only what was acknowledged: bytes behind it may be in flight.
    const bytes = (await this.#options.files.read(path)).subarray(0, segment.bytes);
    const { logId } = this.#recovery;
    const found: WalRecord[] = [];
    const expected = { logId, firstSequence, mayBeTorn: false };
    const { flaw } = scanSegment(bytes, expected, ({ sequence, timeMs, payload }) => {
      if (sequence >= from) found.push({ sequence, timeMs, payload: new Uint8Array(payload) });
    });
    if (flaw === null) return found;
    throw new EsperError(
      "WAL_CORRUPT",
      `${path} was damaged at byte ${flaw.offset} after it was opened; ` +
        "restart, with salvage if it has no copy",
      { file: path, offset: flaw.offset },
    );
  }

  /** One loop at a time writes batches until nothing waits. */
  async #drain(): Promise<void> {
    // Appends made in the same turn share the first batch.
    await null;
    while (this.#pending.length > 0) {
      const batch = this.#takeBatch();
      const failure = this.#poison ?? (await this.#writeBatch(batch));
      if (failure !== null) for (const { reject } of batch) reject(failure);
    }
    this.#draining = null;
  }

  #takeBatch(): Pending[] {
    let bytes = 0;
    let count = 0;
    for (const { payload } of this.#pending) {
      bytes += frameBytes(payload.byteLength);
      if (count > 0 && bytes > BATCH_BYTES) break;
      count++;
    }
    return this.#pending.splice(0, count);
  }

  /** Writes, syncs and acknowledges; returns why it could not. */
  async #writeBatch(batch: readonly Pending[]): Promise<EsperError | null> {
    try {
      if (this.#current.bytes >= this.#options.segmentBytes) await this.#roll();
    } catch (error) {
      return this.#noRoom(error) ?? (await this.#poisonBy(error));
    }
    const bytes = this.#encode(batch);
    const failure = await this.#store(bytes);
    if (failure !== null) return failure;
    const segment = this.#current;
    segment.records += batch.length;
    for (const { resolve, timeMs } of batch) {
      segment.newestTimeMs = Math.max(segment.newestTimeMs, timeMs);
      resolve(this.#nextSequence++);
    }
    this.#sealed = false;
    return null;
  }

  #encode(batch: readonly Pending[]): Uint8Array {
    const total = batch.reduce((sum, { payload }) => sum + frameBytes(payload.byteLength), 0);
    const bytes = new Uint8Array(total);
    const committed = this.#nextSequence - 1;
    const { logId } = this.#recovery;
    let offset = 0;
    for (const [index, { timeMs, payload }] of batch.entries()) {
      const sequence = this.#nextSequence + index;
      const frame = { kind: "data", logId, sequence, committed, timeMs, payload } as const;
      offset = writeFrame(bytes, offset, frame);
    }
    return bytes;
  }

  async #store(bytes: Uint8Array): Promise<EsperError | null> {
    const segment = this.#current;
    try {
      await this.#file.write(bytes, segment.bytes);
    } catch (error) {
      const full = this.#noRoom(error);
      return full === null ? this.#poisonBy(error) : this.#cutBack(full);
    }
    try {
      await this.#file.sync();
    } catch (error) {
      return this.#poisonBy(error);
    }
    segment.bytes += bytes.byteLength;
    return null;
  }

  async #cutBack(full: EsperError): Promise<EsperError> {
    try {
      await this.#file.truncate(this.#current.bytes);
      return full;
    } catch (error) {
      return this.#poisonBy(error);
    }
  }

  async #roll(): Promise<void> {
    const { files, directory } = this.#options;
    const path = segmentPath(directory, this.#nextSequence);
    const file = await files.open(path, "write", PRIVATE_PERMISSIONS);
    try {
      await files.syncDirectory(directory);
    } catch (error) {
      // The empty file stays: the next attempt has the same name, because nothing was appended.
      await file.close();
      throw error;
    }
    const firstSequence = this.#nextSequence;
    const previous = this.#file;
    this.#segments.push({ path, firstSequence, records: 0, bytes: 0, newestTimeMs: 0 });
    this.#file = file;
    await previous.close();
  }

  async #seal(): Promise<void> {
    const { logId } = this.#recovery;
    const { newestTimeMs } = this.#current;
    const failure = await this.#store(commitFrame(logId, this.#nextSequence - 1, newestTimeMs));
    // Without the mark the next open only works harder; a full disk must not fail the shutdown.
    if (failure !== null && failure.code !== "WAL_FULL") throw failure;
    this.#sealed = failure === null;
  }

  #noRoom(error: unknown): EsperError | null {
    if (!EsperError.is(error, "STORAGE_FULL")) return null;
    const { directory } = this.#options;
    return new EsperError(
      "WAL_FULL",
      `no room on the disk for the log in ${directory}: free space; nothing was acknowledged`,
      { directory, bytes: this.status.bytes },
      error,
    );
  }

  async #poisonBy(error: unknown): Promise<EsperError> {
    if (this.#poison !== null) return this.#poison;
    const { directory } = this.#options;
    const why = error instanceof Error ? error.message : String(error);
    this.#poison = new EsperError(
      "WAL_POISONED",
      `the log in ${directory} takes no more records: ${why}. Check the disk, then resume the run`,
      { directory, why },
      error,
    );
    // The owner may crash without a stop; the handle must not outlive the log.
    await this.#file.close().catch((left: unknown) => {
      if (!EsperError.is(left)) throw left;
    });
    return this.#poison;
  }
}
