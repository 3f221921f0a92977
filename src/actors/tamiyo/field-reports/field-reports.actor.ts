/**
 * Tamiyo's field reports: puts every report in the write-ahead log before it answers, observes what
 * became of each command, and delivers reports to whoever is connected. It keeps nothing that is
 * not in the log, and starts from there.
 */
import { z } from "zod";
import {
  FieldReportsProtocol,
  type WalEntry,
  WalProtocol,
} from "../../../protocols/actors/durable.ts";
import { EsperError } from "../../../protocols/errors.ts";
import { decodeFieldReport, encodeFieldReport } from "../../../protocols/leyline/codec.ts";
import type { FieldReport } from "../../../protocols/leyline/command.ts";
import type { Lane, MessageMap } from "../../../protocols/protocol.ts";
import { type ActorContext, type ActorRef, defineActor } from "../../../runtime/actor.ts";
import { Publisher, type ReportOutbox } from "./publisher.ts";
import { receiverPort } from "./report-port.ts";
import type { Observation } from "./window.ts";
import { type ClosedWindow, WINDOW_PREFIX, Windows } from "./windows.ts";

const configSchema = z.strictObject({
  /** Decisions after a command that judge it; 1 opens no window. */
  observationWindow: z.int().positive(),
});
type Config = z.infer<typeof configSchema>;
type Context = ActorContext<Config, typeof FieldReportsProtocol.messages>;
/** Reports have this lane of the run's log to themselves. */
const LANE: Lane = "bulk";
const SUBJECT = "field-report";
const LOG_CALL = { deadlineMs: 2_000, onRestart: "retry" } as const;
const SETUP_CALL = { deadlineMs: 10_000, onRestart: "retry" } as const;
const PUBLISH_DEADLINE_MS = 2_000;
const WORK_EVERY_MS = 500;

interface State {
  readonly windows: Windows;
  readonly publisher: Publisher;
  disconnected: () => void;
}

const entryOf = (report: FieldReport, bytes = encodeFieldReport(report)): WalEntry => ({
  recordId: report.reportId,
  timeMs: report.issuedAtMs,
  bytes,
  lane: LANE,
  subject: SUBJECT,
});

/** A closing report takes its window away in the same record. */
const closingEntries = (closed: readonly ClosedWindow[]): readonly WalEntry[] =>
  closed.map(({ report, note }) => ({ ...entryOf(report), notes: [note] }));

async function write(records: readonly WalEntry[], ctx: Context): Promise<number> {
  const { sequences } = await ctx.ref(WalProtocol).call("append", { records }, LOG_CALL);
  return sequences[0] ?? 0;
}

function announceClosed(closed: readonly ClosedWindow[], ctx: Context): void {
  for (const { report } of closed) {
    const { reportId, commandId, outcome, notes } = report;
    const attributes = { report_id: reportId, command_id: commandId, outcome, notes };
    ctx.emit("field_report_synthesised", "INFO", attributes);
  }
}

async function closeWindows(
  state: State,
  change: ReturnType<Windows["runEnded"]>,
  ctx: Context,
): Promise<number> {
  const { closed } = change;
  if (closed.length === 0) return 0;
  await write(closingEntries(closed), ctx);
  state.windows.adopt(change);
  announceClosed(closed, ctx);
  return closed.length;
}

function observationOf(
  report: FieldReport,
  { incarnation, critical }: { readonly incarnation: number; readonly critical: boolean },
): Observation {
  const { metrics, trainingRunId: runId, notes: reason } = report;
  return {
    ...{ runId, incarnation, reason, critical },
    step: metrics["global_step"] ?? 0,
    lossDelta: metrics["loss_delta"] ?? 0,
    hookLatencyMs: metrics["hook_latency_ms"] ?? null,
  };
}

function outboxOf(ctx: Context): ReportOutbox {
  const wal = ctx.ref(WalProtocol);
  return {
    next: (limit) => wal.call("next", { limit, lanes: [LANE] }, LOG_CALL),
    acknowledge: (ids) => wal.call("acknowledge", { ids }, LOG_CALL),
    fail: (recordId, why, never) => wal.call("fail", { recordId, why, never }, LOG_CALL),
  };
}

function publisherOf(ctx: Context): Publisher {
  return new Publisher(outboxOf(ctx), {
    retry: (report_id, attempts, delay_ms, why) =>
      ctx.emit("field_report_retry", "WARNING", { report_id, attempts, delay_ms, why }),
    drop: (report_id, attempts, why) =>
      ctx.emit("field_report_drop", "WARNING", { report_id, attempts, why }),
    abandoned(records) {
      const [first] = records;
      const attributes = { report_id: first?.recordId ?? "", count: records.length };
      ctx.emit("field_report_drop", "WARNING", { ...attributes, why: first?.why ?? "" });
    },
  });
}

async function measure(state: State, ctx: Context) {
  const { outbox } = await ctx.ref(WalProtocol).call("status", null, LOG_CALL);
  const { acknowledged, retries, dead, records, backlog } = outbox.lanes[LANE];
  const { connected } = state.publisher;
  const counts = { published: acknowledged, retries, dropped: dead, pending: records };
  const status = { ...counts, retryBacklog: backlog, windows: state.windows.size, connected };
  for (const [name, value] of Object.entries(counts)) {
    ctx.metrics.gauge(`tamiyo.field_reports.${name}_total`, value);
  }
  ctx.metrics.gauge("tamiyo.field_reports.retry_backlog_total", backlog);
  return status;
}

/** Delivers and measures; a log that is restarting or full is met again the next time. */
async function work(state: State, ctx: Context): Promise<void> {
  try {
    await state.publisher.work();
    await measure(state, ctx);
  } catch (error) {
    if (!EsperError.is(error)) throw error;
    ctx.log.warn({ code: error.code }, `field reports wait: ${error.message}`);
  }
}

/** Keeps the field reports and delivers them. */
export const fieldReports = defineActor(import.meta.url, FieldReportsProtocol, {
  config: configSchema,
  mailbox: { capacity: 256, overflow: "wait" },

  async setup(ctx): Promise<State> {
    const wal = ctx.ref(WalProtocol);
    const notes = await wal.call("notes", { prefix: WINDOW_PREFIX }, SETUP_CALL);
    const windows = new Windows(ctx.config.observationWindow, notes);
    if (windows.loadErrors > 0) {
      ctx.metrics.count("tamiyo.field_reports.window_load_errors", {}, windows.loadErrors);
      const attributes = { errors: windows.loadErrors };
      ctx.emit("field_report_sidecar_validation_warning", "WARNING", attributes);
    }
    const state = { windows, publisher: publisherOf(ctx), disconnected: () => undefined };
    await closeWindows(state, windows.overdue(ctx.clock.nowMs()), ctx);
    ctx.every(WORK_EVERY_MS, () => work(state, ctx));
    return state;
  },

  receive: {
    async record(state, { report: bytes, decision, incarnation, critical }, ctx) {
      const report = decodeFieldReport(bytes);
      if (!decision) return { sequence: await write([entryOf(report, bytes)], ctx) };
      const change = state.windows.decided(
        report,
        observationOf(report, { incarnation, critical }),
      );
      const own = { ...entryOf(report, bytes), notes: change.notes };
      const sequence = await write([own, ...closingEntries(change.closed)], ctx);
      state.windows.adopt(change);
      announceClosed(change.closed, ctx);
      return { sequence };
    },

    async connect(state, { receiver }, ctx) {
      const port = receiverPort(receiver, PUBLISH_DEADLINE_MS);
      state.disconnected();
      state.publisher.connect(port);
      state.disconnected = ctx.watch(receiver as ActorRef<MessageMap>, () =>
        state.publisher.disconnect(port),
      );
      ctx.after(0, () => work(state, ctx));
      return { pending: (await measure(state, ctx)).pending };
    },

    async disconnect(state, _payload, ctx) {
      state.disconnected();
      state.publisher.disconnect();
      return { pending: (await measure(state, ctx)).pending };
    },

    async endRun(state, _payload, ctx) {
      return { closed: await closeWindows(state, state.windows.runEnded(ctx.clock.nowMs()), ctx) };
    },

    status: (state, _payload, ctx) => measure(state, ctx),
  },
});
