/**
 * The end of an open log: where batches are written. A batch counts only after its fsync. After a
 * failed fsync the log is poisoned for good: what the disk holds is unknown, and asking again could
 * lie. A full disk keeps nothing of the batch and lets the next one try again.
 */
import { EsperError, invariant } from "../../protocols/errors.ts";
import type { Clock } from "../clock.ts";
import { type Files, type OpenFile, PRIVATE_PERMISSIONS } from "./files.ts";
import type { LogId } from "./frame.ts";
import type { Batch } from "./wal-batch.ts";
import { FrameBuffer } from "./wal-buffer.ts";
import { newSegment, type Recovery, type Segment } from "./wal-recovery.ts";

export interface TailOptions {
  readonly files: Files;
  readonly directory: string;
  readonly clock: Clock;
  /** A segment that has reached this size is closed and the next one begins. */
  readonly segmentBytes: number;
}

export class LogTail {
  readonly #options: TailOptions;
  readonly #logId: LogId;
  /** Shared with the log, which takes old ones away; the last one is written to. */
  readonly #segments: Segment[];
  #file: OpenFile;
  #isSealed = true;
  /** The number that the next record gets. */
  nextSequence: number;
  /** Why the log takes no more records, if it does not. */
  poison: EsperError | null = null;
  /** How long the last write with its fsync took, in milliseconds. */
  lastSyncMs = 0;
  /** Writes that were synced. */
  flushes = 0;

  private constructor(options: TailOptions, recovery: Recovery, file: OpenFile) {
    this.#options = options;
    this.#logId = recovery.logId;
    this.#segments = recovery.segments;
    this.nextSequence = recovery.nextSequence;
    this.#file = file;
  }

  /** Opens the last segment for writing. @throws {STORAGE_FAILED} */
  static async open(options: TailOptions, recovery: Recovery): Promise<LogTail> {
    const last = recovery.segments.at(-1);
    invariant(last !== undefined, "a recovered log has a segment");
    const file = await options.files.open(last.path, "write", PRIVATE_PERMISSIONS);
    return new LogTail(options, recovery, file);
  }

  /** Writes and syncs the batch; returns why it could not, null when all of it is on disk. */
  async write(batch: Batch): Promise<EsperError | null> {
    if (this.poison !== null) return this.poison;
    try {
      if (this.#isFull()) await this.#roll();
    } catch (error) {
      return this.#noRoom(error) ?? (await this.#poisonBy(error));
    }
    const failure = await this.#store(batch.stamped(this.#logId, this.nextSequence));
    if (failure !== null) return failure;
    const segment = this.#current;
    segment.records += batch.records;
    segment.newestTimeMs = Math.max(segment.newestTimeMs, batch.newestTimeMs);
    this.nextSequence += batch.records;
    segment.nextSequence = this.nextSequence;
    this.#isSealed = false;
    return null;
  }

  /** Marks the end as committed and closes. @throws {WAL_POISONED} */
  async close(): Promise<void> {
    if (this.poison !== null) return;
    try {
      if (!this.#isSealed) await this.#seal();
    } finally {
      if (this.poison === null) await this.#file.close();
    }
  }

  get #current(): Segment {
    const segment = this.#segments.at(-1);
    invariant(segment !== undefined, "a log has a segment");
    return segment;
  }

  /** True when the next batch belongs into a new segment. */
  #isFull(): boolean {
    return this.#current.ended || this.#current.bytes >= this.#options.segmentBytes;
  }

  /** Writes behind the last batch and syncs; the bytes count only if both succeed. */
  async #store(bytes: Uint8Array): Promise<EsperError | null> {
    const segment = this.#current;
    const { clock } = this.#options;
    const startedMs = clock.monotonicMs();
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
    this.lastSyncMs = clock.monotonicMs() - startedMs;
    this.flushes++;
    segment.bytes += bytes.byteLength;
    return null;
  }

  /** Takes away, durably, what was written: a refused record must not come back after a crash. */
  async #cutBack(full: EsperError): Promise<EsperError> {
    try {
      await this.#file.truncate(this.#current.bytes);
      await this.#file.sync();
      return full;
    } catch (error) {
      return this.#poisonBy(error);
    }
  }

  /** Begins the next segment. All batches in the one before it were synced. */
  async #roll(): Promise<void> {
    const { files, directory } = this.#options;
    const segment = newSegment(directory, this.nextSequence);
    const file = await files.open(segment.path, "write", PRIVATE_PERMISSIONS);
    try {
      await files.syncDirectory(directory);
    } catch (error) {
      // The empty file stays: the next attempt has the same name, because nothing was appended.
      await file.close();
      throw error;
    }
    const previous = this.#file;
    this.#segments.push(segment);
    this.#file = file;
    await previous.close();
  }

  async #seal(): Promise<void> {
    const mark = new FrameBuffer();
    const sequence = this.nextSequence - 1;
    const { newestTimeMs: timeMs } = this.#current;
    mark.put({ kind: "commit", timeMs, payload: new Uint8Array(0) });
    mark.stamp(0, { logId: this.#logId, sequence, committed: sequence, skipped: 0 });
    const failure = await this.#store(mark.bytes);
    // Without the mark the next open only works harder; a full disk must not fail the shutdown.
    if (failure !== null && failure.code !== "WAL_FULL") throw failure;
    this.#isSealed = failure === null;
  }

  #noRoom(error: unknown): EsperError | null {
    if (!EsperError.is(error, "STORAGE_FULL")) return null;
    const { directory } = this.#options;
    const bytes = this.#segments.reduce((sum, segment) => sum + segment.bytes, 0);
    return new EsperError(
      "WAL_FULL",
      `no room on the disk for the log in ${directory}: free space; nothing was acknowledged`,
      { directory, bytes },
      error,
    );
  }

  async #poisonBy(error: unknown): Promise<EsperError> {
    if (this.poison !== null) return this.poison;
    const { directory } = this.#options;
    const why = error instanceof Error ? error.message : String(error);
    this.poison = new EsperError(
      "WAL_POISONED",
      `the log in ${directory} takes no more records: ${why}. Check the disk, then resume the run`,
      { directory, why },
      error,
    );
    // The owner may crash without a stop; the handle must not outlive the log.
    await this.#file.close().catch((left: unknown) => {
      if (!EsperError.is(left)) throw left;
    });
    return this.poison;
  }
}
