/**
 * Carries metric rows to the collector in numbered batches, each after the one before is confirmed:
 * the collector takes a number at or below its last for a repetition, so a batch that overtook an
 * earlier one during a restart would lose that one. Training goes on meanwhile; it waits only when
 * too many are unconfirmed, and stops when one was refused.
 */
import type { MetricRow } from "../../protocols/actors/durable.ts";

const BATCH_ROWS = 64;
const MAX_UNCONFIRMED = 8;

export type SendBatch = (batch: number, rows: readonly MetricRow[]) => Promise<unknown>;

export class RowSink {
  readonly #send: SendBatch;
  readonly #unconfirmed = new Set<Promise<void>>();
  #rows: MetricRow[] = [];
  #batch = 0;
  #last: Promise<void> = Promise.resolve();
  #failure: { readonly error: unknown } | null = null;

  constructor(send: SendBatch) {
    this.#send = send;
  }

  /** @throws whatever an earlier batch was refused with. */
  async add(rows: readonly MetricRow[]): Promise<void> {
    this.#throwFailure();
    this.#rows.push(...rows);
    if (this.#rows.length >= BATCH_ROWS) this.#dispatch();
    while (this.#unconfirmed.size >= MAX_UNCONFIRMED) await Promise.race(this.#unconfirmed);
  }

  /** Returns when every row handed in so far is confirmed. */
  async flush(): Promise<void> {
    if (this.#rows.length > 0) this.#dispatch();
    await Promise.all(this.#unconfirmed);
    this.#throwFailure();
  }

  #dispatch(): void {
    this.#batch += 1;
    const batch = this.#batch;
    const rows = this.#rows;
    this.#rows = [];
    const settled = this.#last
      .then(() => this.#deliver(batch, rows))
      .then(() => {
        this.#unconfirmed.delete(settled);
      });
    this.#unconfirmed.add(settled);
    this.#last = settled;
  }

  /** After a refusal nothing more is sent: a later batch would hide the gap. */
  async #deliver(batch: number, rows: readonly MetricRow[]): Promise<void> {
    if (this.#failure !== null) return;
    try {
      await this.#send(batch, rows);
    } catch (error) {
      this.#failure = { error };
    }
  }

  #throwFailure(): void {
    if (this.#failure !== null) throw this.#failure.error;
  }
}
