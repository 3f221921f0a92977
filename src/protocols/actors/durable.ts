/** What the actors on the durable thread understand: WAL writer, nonce ledger, Nissa. */
import type { MetricPoint, TelemetryEvent } from "../leyline/telemetry.ts";
import { call, protocol } from "../protocol.ts";

export interface WalEntry {
  /** An id that was appended before is not appended again: a retry is harmless. */
  readonly recordId: string;
  readonly timeMs: number;
  readonly bytes: Uint8Array;
}

/** Appends field reports; the reply comes only after all of them are on disk, by one flush. */
export const WalProtocol = protocol("wal", {
  append: call<{ records: readonly WalEntry[] }, { sequences: readonly number[] }>(),
  status: call<null, { records: number; bytes: number; recovered: number; tornBytes: number }>(),
});

export type ClaimVerdict = "fresh" | "replayed" | "stale" | "future";

/** Judges every command id once; "fresh" is durable before it is answered. */
export const LedgerProtocol = protocol("ledger", {
  claim: call<{ commandId: string; issuedAtMs: number }, ClaimVerdict>(),
  status: call<null, { size: number; capacity: number; evictionsTotal: number }>(),
});

/** One row of `metrics.jsonl`. Only fields that end in `_wall` differ between equal runs. */
export type MetricRow = Readonly<Record<string, unknown>> & { readonly step: number };

export interface TelemetryBatch {
  /** Unique per thread and thread start; batches of one source arrive in order. */
  readonly source: string;
  readonly sequence: number;
  readonly events: readonly TelemetryEvent[];
  readonly metrics: readonly MetricPoint[];
}

export interface TelemetrySummary {
  readonly eventsByName: Readonly<Record<string, number>>;
  readonly eventsByLevel: Readonly<Record<string, number>>;
  readonly rows: number;
}

/** Nissa: collects telemetry and keeps the run's `metrics.jsonl` and `events.jsonl`. */
export const NissaProtocol = protocol("nissa", {
  ingest: call<TelemetryBatch, { acknowledged: number }>({ lane: "bulk" }),
  /** Idempotent by `batch`, which counts up from 1 per incarnation of the run. */
  record: call<
    { incarnation: number; batch: number; rows: readonly MetricRow[] },
    { acknowledged: number }
  >({ lane: "bulk" }),
  /** Forgets rows of steps after `step`, so that a rewound run leaves no future behind. */
  rewind: call<{ step: number; incarnation: number }, { removed: number }>(),
  summary: call<null, TelemetrySummary>(),
});
