/**
 * Writes the statements of an outbox to its log, and takes each in when it is on disk, in the
 * order of the records. What the disk refused although it must get there some time is kept and
 * goes before the next record.
 */
import { EsperError } from "../../protocols/errors.ts";
import type { Clock } from "../clock.ts";
import type { Place } from "./outbox-lane.ts";
import { decodeStatements, encodeStatements, type Statement } from "./outbox-record.ts";
import type { OutboxState } from "./outbox-state.ts";

/** A record as the log gives it back. */
export interface OutboxRecord {
  readonly sequence: number;
  readonly timeMs: number;
  readonly payload: Uint8Array;
}

/** What the outbox needs of a log; a `Wal` is one. */
export interface OutboxLog {
  /** Settles in the order of the calls, once the record is on disk. */
  append(record: { readonly timeMs: number; readonly payload: Uint8Array }): Promise<number>;
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
      const sequence = await this.#append([statement], timeMs, null, () => undefined);
      if (place.attempts === statement.attempts) place.failSequence = sequence;
    } catch (error) {
      if (!EsperError.is(error) || error.row.fatal) throw error;
    }
  }

  /** Writes a record and returns its number once it is on disk. */
  async commit(
    statements: readonly Statement[],
    timeMs: number,
    encoded: Uint8Array | null = null,
  ): Promise<number> {
    // Looked at without waiting when nobody is in the way: those of one turn share one flush.
    while (this.#barrier !== null) await this.#barrier;
    this.payOwed(timeMs);
    return this.#append(statements, timeMs, encoded);
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

  /** What becomes true is taken in when it is on disk, in the order of the records. */
  async #append(
    statements: readonly Statement[],
    timeMs: number,
    encoded: Uint8Array | null = null,
    takeIn = (sequence: number) => this.#state.apply(statements, sequence, timeMs),
  ): Promise<number> {
    this.#appending += 1;
    try {
      const payload = encoded ?? encodeStatements(statements);
      const sequence = await this.#log.append({ timeMs, payload });
      takeIn(sequence);
      if (this.#state.remembersTooMuch && !this.#compacting) {
        this.#state.forget(this.#clock.nowMs());
      }
      return sequence;
    } finally {
      this.#appending -= 1;
      if (this.#appending === 0) this.#quiet?.();
    }
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
