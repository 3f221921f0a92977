/** What the actors on the durable thread understand: WAL writer, field reports, ledger, Nissa. */
import { actorRef, anything, bool, bytes, f64, fields, optional, text, u32 } from "../fields.ts";
import type { MetricPoint, TelemetryEvent } from "../leyline/telemetry.ts";
import { call, type Lane, protocol } from "../protocol.ts";

/** A value kept under a key beside the records; null takes it away. */
export interface WalNote {
  readonly key: string;
  readonly bytes: Uint8Array | null;
}

/** Something to be kept in the log. */
export interface WalEntry {
  /** An id that was appended before is not appended again: a retry is harmless. */
  readonly recordId: string;
  readonly timeMs: number;
  readonly bytes: Uint8Array;
  /** With a lane the record waits in the outbox until it is acknowledged; see `next`. */
  readonly lane?: Lane;
  readonly subject?: string;
  /** Become true together with the record. */
  readonly notes?: readonly WalNote[];
}

/** A record of the outbox that is to be sent now. */
export interface OutgoingRecord {
  readonly recordId: string;
  readonly lane: Lane;
  readonly subject: string;
  readonly timeMs: number;
  readonly bytes: Uint8Array;
  /** Deliveries that failed so far. */
  readonly attempts: number;
}

/** A record that was given up without a failed delivery: too old, or no room. */
export interface AbandonedRecord {
  readonly recordId: string;
  readonly lane: Lane;
  readonly why: string;
}

/** What follows from a failed delivery; "unknown": the record was settled before. */
export type DeliveryFailure =
  | { readonly outcome: "retry"; readonly attempts: number; readonly delayMs: number }
  | { readonly outcome: "dead"; readonly attempts: number }
  | { readonly outcome: "unknown" };

/** One lane of the outbox: what waits in it, and counters that restarts do not reset. */
export interface OutboxLaneStatus {
  readonly records: number;
  readonly bytes: number;
  /** Of the records: those that failed and will be tried again. */
  readonly backlog: number;
  /** 0 when it is empty, 1 when it takes no more. */
  readonly fill: number;
  readonly accepted: number;
  readonly acknowledged: number;
  readonly retries: number;
  readonly dead: number;
}

/** The log and its outbox. */
export interface WalReport {
  readonly records: number;
  readonly bytes: number;
  /** Writes with their syncs since the last start: fewer than records, because many share one. */
  readonly flushes: number;
  /** Records found by the last start, and bytes of an unfinished write that it cut off. */
  readonly recovered: number;
  readonly tornBytes: number;
  /** True while the disk has no room for more. */
  readonly degraded: boolean;
  readonly outbox: {
    readonly lanes: Readonly<Record<Lane, OutboxLaneStatus>>;
    readonly fill: number;
    readonly deadLetters: number;
  };
}

/** Keeps records, and those that must reach somebody else until they have. */
export const WalProtocol = protocol("wal", {
  /** Answered when all of them are on disk; those of many callers share a flush. */
  append: call<{ records: readonly WalEntry[] }, { sequences: readonly number[] }>(),
  /** One record: the quick way for those who write many. */
  appendOne: call(
    fields({
      recordId: text,
      timeMs: f64,
      bytes,
      /** Of `WalEntry`: what differs from a plain record. */
      more: optional(anything<Pick<WalEntry, "lane" | "subject" | "notes">>()),
    }),
    fields({ sequence: f64 }),
  ),
  /**
   * What to send now of these lanes, or of all: highest lane first, in order within a lane, nothing
   * twice before its answer is overdue. And what was given up since this was last asked.
   */
  next: call<
    { limit: number; lanes?: readonly Lane[] },
    { records: readonly OutgoingRecord[]; abandoned: readonly AbandonedRecord[] }
  >(),
  /** The other side has them. Answered when that is on disk. */
  acknowledge: call<{ ids: readonly string[] }, { acknowledged: number }>(),
  /** A delivery failed; `never` when the other side will not ever take the record. */
  fail: call<{ recordId: string; why: string; never?: boolean }, DeliveryFailure>(),
  /** The notes whose keys begin with the prefix. */
  notes: call<{ prefix: string }, ReadonlyMap<string, Uint8Array>>(),
  status: call<null, WalReport>(),
});

/** How many of Tamiyo's field reports became what; counters that restarts do not reset. */
export interface FieldReportStatus {
  readonly published: number;
  readonly retries: number;
  readonly dropped: number;
  readonly pending: number;
  readonly retryBacklog: number;
  /** Commands whose effect is being observed. */
  readonly windows: number;
  /** True when somebody takes the reports. */
  readonly connected: boolean;
}

/** What a receiver of field reports answers. */
export type ReportReceipt =
  | { readonly acknowledged: true }
  /** `never`: it would refuse the report again. */
  | { readonly acknowledged: false; readonly why: string; readonly never?: boolean };

/**
 * Takes field reports to wherever they are kept. It may be given one twice, when the answer was
 * lost, and tells them apart by `reportId`.
 */
export const ReportReceiverProtocol = protocol("report-receiver", {
  publish: call(
    fields({ reportId: text, timeMs: f64, report: bytes }),
    fields({ receipt: anything<ReportReceipt>() }),
  ),
});

/** Tamiyo's field reports: kept, observed, and delivered once somebody takes them. */
export const FieldReportsProtocol = protocol("reports", {
  /**
   * One encoded report. Answered when it is on disk. A report on a decision opens a window when it
   * names a command, and is an observation for those that are open.
   */
  record: call(
    fields({ report: bytes, decision: bool, incarnation: u32, critical: bool }),
    fields({ sequence: f64 }),
  ),
  /** From now on reports go to this receiver, until it is gone or `disconnect`. */
  connect: call(fields({ receiver: actorRef(ReportReceiverProtocol) }), fields({ pending: f64 })),
  /** Reports wait from now on; none counts as failed. */
  disconnect: call(fields({}), fields({ pending: f64 })),
  /** The run is over: open windows are judged by what they saw. */
  endRun: call(fields({}), fields({ closed: f64 })),
  status: call<null, FieldReportStatus>(),
});

/** What the ledger answers: only a "fresh" command may be obeyed. */
export type ClaimVerdict = "fresh" | "replayed" | "stale" | "future";

/** How full the ledger is, and whether it can store claims. */
export interface LedgerStatus {
  /** Entries that take a place, of `capacity`. */
  readonly size: number;
  readonly capacity: number;
  readonly evictionsTotal: number;
  readonly logBytes: number;
  /** The code of what keeps claims from the disk; null when they are stored. */
  readonly failure: string | null;
}

/** Judges every command id once; "fresh" is durable before it is answered. */
export const LedgerProtocol = protocol("ledger", {
  /** `attempt` names one asking: made again after a lost answer, it gets the same answer. */
  claim: call<{ commandId: string; issuedAtMs: number; attempt?: string }, ClaimVerdict>(),
  status: call<null, LedgerStatus>(),
});

/** One row of `metrics.jsonl`. Only fields that end in `_wall` differ between equal runs. */
export type MetricRow = Readonly<Record<string, unknown>> & { readonly step: number };

/** Telemetry of one thread on its way to the collector. */
export interface TelemetryBatch {
  /** Unique per thread and thread start; batches of one source arrive in order. */
  readonly source: string;
  readonly sequence: number;
  readonly events: readonly TelemetryEvent[];
  readonly metrics: readonly MetricPoint[];
}

/** What the collector has kept so far. */
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
