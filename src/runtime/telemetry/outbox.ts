/**
 * Telemetry of one thread on its way to the collector. Batches go out one at a time, in order, and
 * are kept until acknowledged, so a collector that crashes loses nothing. Bounded: when full, the
 * oldest INFO event gives way, and every event given up is counted.
 */

import type { TelemetryBatch } from "../../protocols/actors/durable.ts";
import { EsperError } from "../../protocols/errors.ts";
import type { MetricPoint, TelemetryEvent } from "../../protocols/leyline/telemetry.ts";
import type { Clock } from "../clock.ts";

const CAPACITY = 4_096;
const BATCH_EVENTS = 256;
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 2_000;
/** A batch that fails in the collector's hands this often is given up. */
const MAX_HANDLER_FAILURES = 2;

export interface OutboxParts {
  /** Unique per thread and thread start. */
  readonly source: string;
  readonly clock: Clock;
  /** Settles when the collector has the batch, rejects with a coded error otherwise. */
  readonly send: (batch: TelemetryBatch) => Promise<unknown>;
  /** Told of every event that is given up. */
  readonly onDropped: (count: number, reason: "overflow" | "refused") => void;
}

interface Batch extends TelemetryBatch {
  failures: number;
}

export class Outbox {
  readonly #parts: OutboxParts;
  #events: TelemetryEvent[] = [];
  /** The newest point of each series; older ones say nothing more. */
  readonly #metrics = new Map<string, MetricPoint>();
  #sending: Batch | null = null;
  #pumping = false;
  #sequence = 0;
  #retryMs = FIRST_RETRY_MS;
  #closed = false;
  readonly #onEmpty = new Set<() => void>();

  constructor(parts: OutboxParts) {
    this.#parts = parts;
  }

  /** Events not yet acknowledged. */
  get size(): number {
    return this.#events.length + (this.#sending?.events.length ?? 0);
  }

  push(event: TelemetryEvent): void {
    if (this.#closed) return;
    if (this.size >= CAPACITY) this.#dropOne();
    this.#events.push(event);
    this.#pump();
  }

  record(points: readonly MetricPoint[]): void {
    if (this.#closed) return;
    for (const point of points) this.#metrics.set(pointKey(point), point);
    this.#pump();
  }

  /** Waits at most `limitMs` for every acknowledgement; returns how many events are left. */
  flush(limitMs: number): Promise<number> {
    if (this.#isEmpty()) return Promise.resolve(0);
    return new Promise((resolve) => {
      const done = (): void => {
        timer.cancel();
        this.#onEmpty.delete(done);
        resolve(this.size);
      };
      const timer = this.#parts.clock.after(limitMs, done);
      this.#onEmpty.add(done);
      this.#pump();
    });
  }

  /** Sends nothing more; returns how many events were never acknowledged. */
  close(): number {
    this.#closed = true;
    for (const done of [...this.#onEmpty]) done();
    return this.size;
  }

  #isEmpty(): boolean {
    return this.size === 0 && this.#metrics.size === 0 && this.#sending === null;
  }

  #dropOne(): void {
    const info = this.#events.findIndex(({ level }) => level === "INFO");
    this.#events.splice(Math.max(0, info), 1);
    this.#parts.onDropped(1, "overflow");
  }

  /** Sends in a microtask, so that events of one turn travel together. */
  #pump(): void {
    if (this.#pumping || this.#closed) return;
    this.#pumping = true;
    void Promise.resolve().then(() => this.#sendAll());
  }

  async #sendAll(): Promise<void> {
    while (!this.#closed && !this.#isEmpty()) {
      this.#sending ??= this.#nextBatch();
      const outcome = await this.#sendOnce(this.#sending);
      if (outcome === "retry") {
        this.#retryLater();
        return;
      }
      this.#sending = null;
      this.#retryMs = FIRST_RETRY_MS;
    }
    this.#pumping = false;
    if (this.#isEmpty()) for (const done of [...this.#onEmpty]) done();
  }

  #nextBatch(): Batch {
    const events = this.#events.slice(0, BATCH_EVENTS);
    this.#events = this.#events.slice(BATCH_EVENTS);
    const metrics = [...this.#metrics.values()];
    this.#metrics.clear();
    this.#sequence += 1;
    return { source: this.#parts.source, sequence: this.#sequence, events, metrics, failures: 0 };
  }

  async #sendOnce(batch: Batch): Promise<"sent" | "retry" | "refused"> {
    const { source, sequence, events, metrics } = batch;
    try {
      await this.#parts.send({ source, sequence, events, metrics });
      return "sent";
    } catch (error) {
      // The collector was reached and failed on this batch: poison must not block the rest.
      const reached = !(error instanceof EsperError) || !error.row.retryable;
      const timing = EsperError.is(error, "DEADLINE_EXCEEDED");
      if (reached && !timing) batch.failures += 1;
      if (batch.failures < MAX_HANDLER_FAILURES) return "retry";
      this.#parts.onDropped(events.length, "refused");
      return "refused";
    }
  }

  #retryLater(): void {
    this.#parts.clock.after(
      this.#retryMs,
      () => {
        this.#pumping = false;
        this.#pump();
      },
      true,
    );
    this.#retryMs = Math.min(LONGEST_RETRY_MS, this.#retryMs * 2);
  }
}

function pointKey({ name, source, kind, attributes }: MetricPoint): string {
  const labels = Object.keys(attributes)
    .filter((label) => kind !== "histogram" || !HISTOGRAM_LABELS.has(label))
    .sort();
  return `${source} ${name} ${labels.map((label) => `${label}=${attributes[label]}`).join(" ")}`;
}

const HISTOGRAM_LABELS = new Set(["p50", "p95", "p99", "max", "count"]);
