/**
 * Delivers what waits in the outbox, one report at a time and in order. A report counts as
 * published when the other side has acknowledged it, never before; a crash in between delivers it
 * again, under the same id.
 */
import type {
  AbandonedRecord,
  DeliveryFailure,
  OutgoingRecord,
} from "../../../protocols/actors/durable.ts";
import { type ReportPort, tryPublish } from "./report-port.ts";

/** What the publisher needs of the outbox. */
export interface ReportOutbox {
  next(limit: number): Promise<{
    readonly records: readonly OutgoingRecord[];
    readonly abandoned: readonly AbandonedRecord[];
  }>;
  acknowledge(ids: readonly string[]): Promise<unknown>;
  fail(recordId: string, why: string, never: boolean): Promise<DeliveryFailure>;
}

/** Told of what does not go as it should. */
export interface PublisherEvents {
  retry(reportId: string, attempts: number, delayMs: number, why: string): void;
  drop(reportId: string, attempts: number, why: string): void;
  abandoned(records: readonly AbandonedRecord[]): void;
}

/** Acknowledgements that share a record of the log. */
const ACKNOWLEDGE_MAX = 32;

/** The one sender of field reports. */
export class Publisher {
  readonly #outbox: ReportOutbox;
  readonly #events: PublisherEvents;
  #port: ReportPort | null = null;
  #busy = false;

  constructor(outbox: ReportOutbox, events: PublisherEvents) {
    this.#outbox = outbox;
    this.#events = events;
  }

  get connected(): boolean {
    return this.#port !== null;
  }

  /** Reports go to this port from now on. */
  connect(port: ReportPort): void {
    this.#port = port;
  }

  /** Reports wait; with a port given, only if it is the one that is connected. */
  disconnect(port: ReportPort | null = null): void {
    if (port === null || port === this.#port) this.#port = null;
  }

  /** Sends what is due; returns when nothing is, or nobody takes it. One such work at a time. */
  async work(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    try {
      await this.#send();
    } finally {
      this.#busy = false;
    }
  }

  async #send(): Promise<void> {
    const acknowledged: string[] = [];
    try {
      for (;;) {
        const port = this.#port;
        const { records, abandoned } = await this.#outbox.next(port === null ? 0 : 1);
        if (abandoned.length > 0) this.#events.abandoned(abandoned);
        const [record] = records;
        if (port === null || record === undefined) return;
        if (await this.#sendOne(port, record)) acknowledged.push(record.recordId);
        if (acknowledged.length >= ACKNOWLEDGE_MAX) {
          await this.#outbox.acknowledge(acknowledged.splice(0));
        }
      }
    } finally {
      if (acknowledged.length > 0) await this.#outbox.acknowledge(acknowledged);
    }
  }

  async #sendOne(port: ReportPort, record: OutgoingRecord): Promise<boolean> {
    const { recordId, timeMs, bytes } = record;
    const receipt = await tryPublish(port, { reportId: recordId, timeMs, report: bytes });
    if (receipt.acknowledged) return true;
    const { why, never = false } = receipt;
    const failure = await this.#outbox.fail(recordId, why, never);
    const { outcome } = failure;
    if (outcome === "retry") this.#events.retry(recordId, failure.attempts, failure.delayMs, why);
    if (outcome === "dead") this.#events.drop(recordId, failure.attempts, why);
    return false;
  }
}
