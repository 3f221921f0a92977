/**
 * The write-ahead log and the outbox in it: answers only after a record is on disk, takes one that
 * is sent again only once, and hands out what must reach somebody else until that was
 * acknowledged. Appends of many actors share a flush. A full disk degrades it until there is room
 * again; a log that can no longer be trusted crashes it, and the restart verifies it anew. A thin
 * shell over runtime/durable.
 */
import { z } from "zod";
import { type WalEntry, WalProtocol } from "../../protocols/actors/durable.ts";
import { EsperError } from "../../protocols/errors.ts";
import type { PayloadOf } from "../../protocols/protocol.ts";
import {
  type ActorContext,
  defineActor,
  type OpenAnswer,
  resourceKey,
} from "../../runtime/actor.ts";
import { type Files, systemFiles } from "../../runtime/durable/files.ts";
import { logIdOf } from "../../runtime/durable/frame.ts";
import { Outbox } from "../../runtime/durable/outbox.ts";
import { type Flush, Wal } from "../../runtime/durable/wal.ts";
import type { Receipt } from "../../runtime/durable/wal-batch.ts";

const lanePolicySchema = z.strictObject({
  recordsMax: z.int().positive().optional(),
  bytesMax: z.int().positive().optional(),
  whenFull: z.enum(["refuse", "drop-oldest"]).optional(),
  retriesMax: z.int().nonnegative().nullable().optional(),
  backoffMs: z.number().positive().optional(),
  backoffFactor: z.number().min(1).optional(),
  backoffMaxMs: z.number().positive().optional(),
  answerMs: z.number().positive().optional(),
  expiresMs: z.number().positive().nullable().optional(),
});

const configSchema = z.strictObject({
  directory: z.string().min(1),
  /** The run whose log it must be. */
  runId: z.string().min(1).optional(),
  /** False: a damaged log is salvaged, and what cannot be read is put aside. */
  strict: z.boolean(),
  /** What nobody waits for any more is kept this long. */
  retentionHours: z.number().positive(),
  /** What differs from the usual rules of a lane; see runtime/durable/outbox-policy. */
  lanes: z
    .strictObject({
      system: lanePolicySchema,
      emergency: lanePolicySchema,
      control: lanePolicySchema,
      bulk: lanePolicySchema,
    })
    .partial()
    .default({}),
});
type Config = z.infer<typeof configSchema>;
type Context = ActorContext<Config, typeof WalProtocol.messages>;

/** The disk of the log; the machine's unless another is put in its place. */
export const walFiles = resourceKey<Files>("wal-files");

const HOUR_MS = 3_600_000;
const TIDY_EVERY_MS = 30_000;
/** While the disk is full, room is looked for this often. */
const PROBE_EVERY_MS = 500;

type OneRecord = PayloadOf<(typeof WalProtocol)["messages"], "appendOne">;

interface State {
  readonly wal: Wal;
  readonly outbox: Outbox;
  degraded: boolean;
  tidying: boolean;
}

function announceRecovery(wal: Wal, ctx: Context): void {
  const { recovered, tornBytes, salvage } = wal.status;
  ctx.log.info({ records: recovered, torn_bytes: tornBytes }, "write-ahead log opened");
  if (tornBytes > 0) ctx.emit("wal.torn_tail", "WARNING", { bytes: tornBytes });
  if (salvage === null) return;
  const { file, offset, why, keptRecords, movedTo } = salvage;
  const attributes = { file, offset, why, kept: keptRecords, moved_to: movedTo.join(", ") };
  ctx.emit("wal.salvaged", "CRITICAL", attributes);
}

/** The disk took a group of records. Told of groups, not of records: they are many. */
function wrote(state: State, { waitedMs, bytes }: Flush, ctx: Context): void {
  ctx.metrics.observe("wal.append_ms", waitedMs);
  ctx.metrics.gauge("wal.bytes", bytes);
  if (!state.degraded) return;
  state.degraded = false;
  ctx.metrics.gauge("wal.degraded", 0);
  ctx.emit("wal.recovered", "INFO", { bytes });
}

/** Counts a failure. That the disk is full is told once, however many appends it refuses. */
function failed(state: State, error: unknown, ctx: Context): void {
  if (!EsperError.is(error)) return;
  const { code, message: why } = error;
  ctx.metrics.count("wal.append_failures_total", { code });
  if (code !== "WAL_FULL") {
    ctx.emit("wal.append_failed", error.row.level, { code, why });
    return;
  }
  if (state.degraded) return;
  state.degraded = true;
  ctx.metrics.gauge("wal.degraded", 1);
  ctx.emit("wal.degraded", "CRITICAL", { code, why });
  probeLater(state, ctx);
}

/** What goes wrong between messages crashes the actor like what goes wrong in one. */
function crash(error: unknown, ctx: Context): void {
  ctx.after(0, () => {
    throw error;
  });
}

/** Looks for room without being asked, so that the way back does not wait for the next append. */
function probeLater(state: State, ctx: Context): void {
  ctx.after(PROBE_EVERY_MS, () => {
    probe(state, ctx).catch((error: unknown) => crash(error, ctx));
  });
}

async function probe(state: State, ctx: Context): Promise<void> {
  if (!state.degraded) return;
  try {
    await state.outbox.probe();
  } catch (error) {
    if (!EsperError.is(error, "WAL_FULL")) throw error;
    probeLater(state, ctx);
  }
}

/** Waits for every record, also after one failed: nothing may be on its way when it replies. */
async function append(
  state: State,
  records: readonly WalEntry[],
  ctx: Context,
): Promise<{ readonly sequences: readonly number[] }> {
  const settled = await Promise.allSettled(records.map((entry) => state.outbox.put(putOf(entry))));
  const sequences: number[] = [];
  for (const result of settled) {
    if (result.status === "rejected") {
      failed(state, result.reason, ctx);
      throw result.reason;
    }
    sequences.push(result.value);
  }
  return { sequences };
}

function putOf({ recordId: id, timeMs, bytes, lane, subject = "", notes = [] }: WalEntry) {
  return { id, timeMs, payload: bytes, lane: lane ?? null, subject, notes };
}

/** One append and who waits for it. */
class Appending implements Receipt {
  readonly #state: State;
  readonly #answer: OpenAnswer<{ readonly sequence: number }>;
  readonly #ctx: Context;

  constructor(state: State, answer: OpenAnswer<{ readonly sequence: number }>, ctx: Context) {
    this.#state = state;
    this.#answer = answer;
    this.#ctx = ctx;
  }

  kept(sequence: number): void {
    this.#answer.answer({ sequence });
  }

  refused(error: unknown): void {
    failed(this.#state, error, this.#ctx);
    this.#answer.fail(error);
  }
}

function appendOne(state: State, entry: OneRecord, ctx: Context): { readonly sequence: number } {
  const answer = ctx.openAnswer<{ readonly sequence: number }>();
  const { recordId, timeMs, bytes, more } = entry;
  const put =
    more === undefined
      ? { id: recordId, timeMs, payload: bytes, lane: null, subject: "" }
      : putOf({ ...more, recordId, timeMs, bytes });
  state.outbox.keep(put, new Appending(state, answer, ctx));
  return answer.pending;
}

/** Does something with the outbox; that the disk has no room is seen there too. */
async function told<T>(state: State, work: Promise<T>, ctx: Context): Promise<T> {
  try {
    return await work;
  } catch (error) {
    failed(state, error, ctx);
    throw error;
  }
}

/** Old records go now and then; a failure to remove them must not fail an append. */
async function tidy(state: State, ctx: Context): Promise<void> {
  if (state.tidying || state.degraded) return;
  state.tidying = true;
  try {
    const before = state.wal.status.bytes;
    await state.outbox.tidy();
    const removed = before - state.wal.status.bytes;
    if (removed > 0) ctx.metrics.count("wal.bytes_compacted_total", {}, removed);
    measure(state, ctx);
  } catch (error) {
    if (!EsperError.is(error) || error.row.fatal) throw error;
    if (error.code === "WAL_FULL") return failed(state, error, ctx);
    ctx.emit("wal.prune_failed", "WARNING", { code: error.code, why: error.message });
  } finally {
    state.tidying = false;
  }
}

function measure(state: State, ctx: Context): void {
  const { lanes, fill, deadLetters } = state.outbox.status;
  ctx.metrics.gauge("wal.outbox.fill", fill);
  ctx.metrics.gauge("wal.outbox.dead_letters", deadLetters);
  for (const [lane, { records }] of Object.entries(lanes)) {
    ctx.metrics.gauge("wal.outbox.records", records, { lane });
  }
}

async function open(ctx: Context): Promise<State> {
  const { directory, runId, strict, retentionHours, lanes } = ctx.config;
  const own = runId === undefined ? {} : { logId: logIdOf(`${runId}/wal`) };
  const files = ctx.resource(walFiles, () => systemFiles);
  let state: State | null = null;
  const onFlushed = (flush: Flush): void => {
    if (state !== null) wrote(state, flush, ctx);
  };
  const where = { files, directory, clock: ctx.clock, salvage: !strict, onFlushed, ...own };
  const wal = await Wal.open(where);
  announceRecovery(wal, ctx);
  try {
    const retention = { keepMs: retentionHours * HOUR_MS };
    const outbox = await Outbox.open(wal, { clock: ctx.clock, lanes, retention });
    state = { wal, outbox, degraded: false, tidying: false };
    return state;
  } catch (error) {
    await wal.close();
    throw error;
  }
}

/** Writes the write-ahead log; a record it has confirmed survives a crash. */
export const walWriter = defineActor(import.meta.url, WalProtocol, {
  config: configSchema,
  // A slow disk slows down who writes; nothing is refused before a sender has waited its time.
  mailbox: { capacity: 1_024, overflow: "wait" },

  async setup(ctx): Promise<State> {
    const state = await open(ctx);
    await tidy(state, ctx);
    ctx.every(TIDY_EVERY_MS, () => {
      tidy(state, ctx).catch((error: unknown) => crash(error, ctx));
    });
    return state;
  },

  receive: {
    // The next message is looked at while this one is written, so that both share a flush.
    append: (state, { records }, ctx) => ctx.answerLater(append(state, records, ctx)),

    appendOne: (state, entry, ctx) => appendOne(state, entry, ctx),

    next(state, { limit, lanes }) {
      const records = state.outbox
        .next(limit, lanes)
        .map(({ id: recordId, lane, subject, timeMs, payload: bytes, attempts }) => {
          return { recordId, lane, subject, timeMs, bytes, attempts };
        });
      const abandoned = state.outbox.takeGivenUp().map(({ id: recordId, lane, why }) => {
        return { recordId, lane, why };
      });
      return { records, abandoned };
    },

    acknowledge(state, { ids }, ctx) {
      const done = told(state, state.outbox.acknowledge(ids), ctx);
      return ctx.answerLater(done.then((acknowledged) => ({ acknowledged })));
    },

    fail(state, { recordId, why, never = false }, ctx) {
      return ctx.answerLater(told(state, state.outbox.fail(recordId, why, { never }), ctx));
    },

    notes: (state, { prefix }) => state.outbox.notes(prefix),

    status(state) {
      const { records, bytes, flushes, recovered, tornBytes } = state.wal.status;
      const { degraded, outbox } = state;
      return { records, bytes, flushes, recovered, tornBytes, degraded, outbox: outbox.status };
    },
  },

  stop: (state) => state.wal.close(),
});
