/**
 * Writes the statements of an outbox to its log, and takes each in when it is on disk, in the
 * order of the records. What the disk refused although it must get there some time is kept and
 * goes before the next record.
 */
import { EsperError } from "../../protocols/errors.ts";
import type { Clock } from "../clock.ts";
import type { Place } from "./outbox-lane.ts";
import { decodeStatements, encodeForNow, type Statement } from "./outbox-record.ts";
import type { OutboxState } from "./outbox-state.ts";
import type { Receipt } from "./wal-batch.ts";

/** A record as the log gives it back. */
export interface OutboxRecord {
  readonly sequence: number;
  readonly timeMs: number;
  readonly payload: Uint8Array;
}

/** What the outbox needs of a log; a `Wal` is one. */
export interface OutboxLog {
  /**
   * Copies the payload before it returns. Receipts are told in the order of the calls, once the
   * record is on disk.
   */
  put(record: { readonly timeMs: number; readonly payload: Uint8Array }, receipt: Receipt): void;
  /** Every record, in order. */
  read(): AsyncIterable<OutboxRecord>;
  /** Removes from closed segments what need not be kept. */
  compact(keep: (record: OutboxRecord) => boolean): Promise<unknown>;
  readonly status: { readonly bytes: number };
}

/** What a record says. @throws {WAL_CORRUPT} naming the record. */
export function statementsOf({ payload, sequence }: OutboxRecord): readonly Statement[] {
  try {
    return decodeStatements(payload);
  } catch (error) {
    if (!EsperError.is(error)) throw error;
    throw new EsperError(
      "WAL_CORRUPT",
      `record ${sequence} of the log cannot be used: ${error.message}`,
      { sequence, ...error.details },
      error,
    );
  }
}

/** The one writer of an outbox's log. */
export class OutboxJournal {
  readonly #log: OutboxLog;
  readonly #clock: Clock;
  readonly #state: OutboxState;
  /** Ends of entries that a full disk did not take; they go with the next record. */
  #owed: Statement[] = [];
  #appending = 0;
  #quiet: (() => void) | null = null;
  #barrier: Promise<void> | null = null;
  #compacting = false;

  constructor(log: OutboxLog, clock: Clock, state: OutboxState) {
    this.#log = log;
    this.#clock = clock;
    this.#state = state;
  }

  /** Null when records may be written at once; else to be waited for. */
  get barrier(): Promise<void> | null {
    return this.#barrier;
  }

  /** Bytes in the log that a restart would not need. */
  get uselessBytes(): number {
    return this.#log.status.bytes - this.#state.liveBytes;
  }

  /** Bytes of the whole log. */
  get bytes(): number {
    return this.#log.status.bytes;
  }

  /** The end of an entry must reach the disk some time, or it would begin again. */
  async end(...statements: readonly Statement[]): Promise<void> {
    try {
      await this.commit(statements, this.#clock.nowMs());
    } catch (error) {
      this.#owed.push(...statements);
      throw error;
    }
  }

  /** The pause begins at once. A count that a crash takes back is one attempt more: harmless. */
  async retry(place: Place, statement: Extract<Statement, { kind: "failed" }>): Promise<void> {
    const timeMs = this.#clock.nowMs();
    this.#state.apply([statement], 0, timeMs);
    try {
      const sequence = await new Promise<number>((kept, refused) => {
        this.#enter([statement], timeMs, { kept, refused }, false);
      });
      if (place.attempts === statement.attempts) place.failSequence = sequence;
    } catch (error) {
      if (!EsperError.is(error) || error.row.fatal) throw error;
    }
  }

  /** Writes a record and returns its number once it is on disk. */
  commit(statements: readonly Statement[], timeMs: number): Promise<number> {
    return new Promise((kept, refused) => this.write(statements, timeMs, { kept, refused }));
  }

  /** As `commit`, for many records at once: tells the receipt what the promise would say. */
  write(statements: readonly Statement[], timeMs: number, receipt: Receipt): void {
    // Looked at without waiting when nobody is in the way: those of one turn share one flush.
    if (this.#barrier !== null) {
      void this.#barrier.then(() => this.write(statements, timeMs, receipt));
      return;
    }
    this.payOwed(timeMs);
    this.#enter(statements, timeMs, receipt);
  }

  /**
   * In a record of its own: one that also held an entry would have to stay for the sake of these
   * when the entry, and what ended it, has left the log.
   */
  payOwed(timeMs: number): void {
    const owed = this.#owed;
    if (owed.length === 0 || this.#barrier !== null) return;
    this.#owed = [];
    this.#append(owed, timeMs).catch((error: unknown) => {
      this.#owed.unshift(...owed);
      if (!EsperError.is(error)) throw error;
    });
  }

  #append(statements: readonly Statement[], timeMs: number): Promise<number> {
    return new Promise((kept, refused) => this.#enter(statements, timeMs, { kept, refused }));
  }

  #enter(statements: readonly Statement[], timeMs: number, receipt: Receipt, applies = true): void {
    let payload: Uint8Array;
    try {
      payload = encodeForNow(statements);
    } catch (error) {
      receipt.refused(error);
      return;
    }
    this.#appending += 1;
    this.#log.put({ timeMs, payload }, new Entering(this, statements, timeMs, receipt, applies));
  }

  /** What becomes true is taken in when it is on disk, in the order of the records. */
  takeIn(statements: readonly Statement[], sequence: number, timeMs: number): void {
    this.#state.apply(statements, sequence, timeMs);
    if (this.#state.remembersTooMuch && !this.#compacting) {
      this.#state.forget(this.#clock.nowMs());
    }
  }

  /** A record is no longer on its way. */
  entered(): void {
    this.#appending -= 1;
    if (this.#appending === 0) this.#quiet?.();
  }

  /** Takes everything out of the log that a restart would not need. */
  async compact(): Promise<void> {
    if (this.#compacting) return;
    this.#compacting = true;
    try {
      this.#state.forget(this.#clock.nowMs());
      const horizon = await this.snapshot();
      await this.#log.compact((record) => this.#needs(record, horizon));
    } finally {
      this.#compacting = false;
    }
  }

  #needs(record: OutboxRecord, horizon: number): boolean {
    if (record.sequence >= horizon) return true;
    return statementsOf(record).some((one) => this.#state.needs(one, record.sequence));
  }

  /**
   * Writes counters and notes as they stand. No other record may be on its way meanwhile: the
   * snapshot must say what all the records before it add up to.
   */
  async snapshot(): Promise<number> {
    while (this.#barrier !== null) await this.#barrier;
    let open: () => void = () => undefined;
    this.#barrier = new Promise((resolve) => {
      open = resolve;
    });
    try {
      if (this.#appending > 0) {
        await new Promise<void>((resolve) => {
          this.#quiet = resolve;
        });
        this.#quiet = null;
      }
      const statements: Statement[] = [{ kind: "totals", lanes: this.#state.totals }];
      for (const [key, { bytes }] of this.#state.notes) {
        statements.push({ kind: "note", key, bytes });
      }
      return await this.#append(statements, this.#clock.nowMs());
    } finally {
      this.#barrier = null;
      open();
    }
  }

  /** Forgets what may be forgotten, unless a compaction goes by what is known. */
  forget(nowMs: number): void {
    if (!this.#compacting) this.#state.forget(nowMs);
  }
}

/** A record on its way to the disk. */
class Entering implements Receipt {
  readonly #journal: OutboxJournal;
  readonly #statements: readonly Statement[];
  readonly #timeMs: number;
  readonly #receipt: Receipt;
  /** False when what it says was taken in already. */
  readonly #applies: boolean;

  constructor(
    journal: OutboxJournal,
    statements: readonly Statement[],
    timeMs: number,
    receipt: Receipt,
    applies: boolean,
  ) {
    this.#journal = journal;
    this.#statements = statements;
    this.#timeMs = timeMs;
    this.#receipt = receipt;
    this.#applies = applies;
  }

  kept(sequence: number): void {
    try {
      if (this.#applies) this.#journal.takeIn(this.#statements, sequence, this.#timeMs);
    } catch (error) {
      this.refused(error);
      return;
    }
    this.#journal.entered();
    this.#receipt.kept(sequence);
  }

  refused(error: unknown): void {
    this.#journal.entered();
    this.#receipt.refused(error);
  }
}
