/**
 * Carries metric rows to the collector in numbered batches. Training goes on while batches are
 * being written; it waits only when too many are unconfirmed, and stops when one was refused.
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
    const rows = this.#rows;
    this.#rows = [];
    const sent = this.#send(this.#batch, rows).then(
      () => undefined,
      (error: unknown) => {
        this.#failure ??= { error };
      },
    );
    const settled = sent.then(() => {
      this.#unconfirmed.delete(settled);
    });
    this.#unconfirmed.add(settled);
  }

  #throwFailure(): void {
    if (this.#failure !== null) throw this.#failure.error;
  }
}
