/**
 * Records on their way to the disk as one write, already in the form in which they are written.
 * A record is copied and checked once, when it is added; its place in the log is stamped last.
 */
import type { EsperError } from "../../protocols/errors.ts";
import { frameBytes, type LogId } from "./frame.ts";
import { FrameBuffer } from "./wal-buffer.ts";

/** A batch takes no more records once it has this many bytes. */
export const BATCH_BYTES = 1_048_576;

/** Told what became of a record, in the order of the records. Must not throw. */
export interface Receipt {
  /** It is on disk and has this number. */
  kept(sequence: number): void;
  /** Nothing of it was kept. */
  refused(error: unknown): void;
}

export class Batch {
  readonly #frames = new FrameBuffer();
  #receipts: Receipt[] = [];
  newestTimeMs = 0;
  /** When the first record came, in monotonic milliseconds. */
  startedMs = 0;
  /** The size of each record, in order. */
  readonly #payloads: number[] = [];

  get bytes(): number {
    return this.#frames.used;
  }

  get records(): number {
    return this.#receipts.length;
  }

  /** True when a record of this size fits beside those that are in it. */
  fits(payloadBytes: number): boolean {
    return this.bytes === 0 || this.bytes + frameBytes(payloadBytes) <= BATCH_BYTES;
  }

  /** Copies the payload; the receipt is told once `acknowledge` or `refuse` is called. */
  add(timeMs: number, payload: Uint8Array, receipt: Receipt): void {
    this.#frames.put({ kind: "data", timeMs, payload });
    this.#payloads.push(payload.byteLength);
    if (timeMs > this.newestTimeMs) this.newestTimeMs = timeMs;
    this.#receipts.push(receipt);
  }

  /** The bytes to write when the first record has this number and all before it are on disk. */
  stamped(logId: LogId, firstSequence: number): Uint8Array {
    const committed = firstSequence - 1;
    let sequence = firstSequence;
    let offset = 0;
    for (const payloadBytes of this.#payloads) {
      this.#frames.stamp(offset, { logId, sequence, committed, skipped: 0 });
      offset += frameBytes(payloadBytes);
      sequence++;
    }
    return this.#frames.bytes;
  }

  /** Answers every record: it is on disk. The batch is empty afterwards. */
  acknowledge(firstSequence: number): void {
    let sequence = firstSequence;
    for (const receipt of this.#emptied()) receipt.kept(sequence++);
  }

  /** Answers every record: it was not kept. The batch is empty afterwards. */
  refuse(error: EsperError): void {
    for (const receipt of this.#emptied()) receipt.refused(error);
  }

  #emptied(): readonly Receipt[] {
    const receipts = this.#receipts;
    this.#receipts = [];
    this.#payloads.length = 0;
    this.#frames.clear();
    this.newestTimeMs = 0;
    return receipts;
  }
}
