/**
 * The write-ahead log of field reports: answers only after a report is on disk, and takes a report
 * that is sent again (its answer got lost) only once. A thin shell over runtime/durable.
 */
import { z } from "zod";
import { type WalEntry, WalProtocol } from "../../protocols/actors/durable.ts";
import { EsperError } from "../../protocols/errors.ts";
import { type ActorContext, defineActor } from "../../runtime/actor.ts";
import { systemFiles } from "../../runtime/durable/files.ts";
import { Wal } from "../../runtime/durable/wal.ts";
import { decodeRecord, encodeRecord } from "./record.ts";

const configSchema = z.strictObject({
  directory: z.string().min(1),
  /** False: a damaged log is salvaged, and what cannot be read is put aside. */
  strict: z.boolean(),
  /** Reports older than this are removed, a whole segment at a time. */
  retentionHours: z.number().positive(),
});
type Config = z.infer<typeof configSchema>;
type Context = ActorContext<Config, typeof WalProtocol.messages>;

const HOUR_MS = 3_600_000;
const PRUNE_EVERY_MS = 60_000;
/** Only a recent report can be sent again; older ids are forgotten. */
const REMEMBERED_IDS = 4_096;

interface State {
  readonly wal: Wal;
  readonly known: Map<string, number>;
  prunedAtMs: number;
}

function remember(known: Map<string, number>, recordId: string, sequence: number): void {
  known.set(recordId, sequence);
  if (known.size <= REMEMBERED_IDS) return;
  const oldest = known.keys().next();
  if (oldest.done !== true) known.delete(oldest.value);
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

/** Old segments go now and then; a failure to remove one must not fail an append. */
async function pruneSometimes(state: State, ctx: Context): Promise<void> {
  const nowMs = ctx.clock.nowMs();
  if (Math.abs(nowMs - state.prunedAtMs) < PRUNE_EVERY_MS) return;
  state.prunedAtMs = nowMs;
  try {
    const removed = await state.wal.prune(nowMs - ctx.config.retentionHours * HOUR_MS);
    if (removed > 0) ctx.metrics.count("wal.segments_pruned_total", {}, removed);
  } catch (error) {
    if (!EsperError.is(error)) throw error;
    ctx.emit("wal.prune_failed", "WARNING", { code: error.code, why: error.message });
  }
}

/** Learns the ids of the newest records again. */
async function recall(state: State): Promise<void> {
  const from = Math.max(1, state.wal.status.lastSequence - REMEMBERED_IDS + 1);
  for await (const { sequence, payload } of state.wal.read(from)) {
    remember(state.known, decodeRecord(payload).recordId, sequence);
  }
}

async function append(state: State, { recordId, timeMs, bytes }: WalEntry): Promise<number> {
  const known = state.known.get(recordId);
  if (known !== undefined) return known;
  const payload = encodeRecord({ recordId, bytes });
  const sequence = await state.wal.append({ timeMs, payload });
  remember(state.known, recordId, sequence);
  return sequence;
}

/** Waits for every record, also after one failed: nothing may be on its way when it replies. */
async function appendAll(state: State, records: readonly WalEntry[]): Promise<readonly number[]> {
  const settled = await Promise.allSettled(records.map((record) => append(state, record)));
  return settled.map((result) => {
    if (result.status === "rejected") throw result.reason;
    return result.value;
  });
}

/** Writes the write-ahead log; a record it has confirmed survives a crash. */
export const walWriter = defineActor(import.meta.url, WalProtocol, {
  config: configSchema,

  async setup(ctx): Promise<State> {
    const { directory, strict } = ctx.config;
    const wal = await Wal.open({ files: systemFiles, directory, salvage: !strict });
    announceRecovery(wal, ctx);
    const state: State = { wal, known: new Map(), prunedAtMs: 0 };
    try {
      await recall(state);
      await pruneSometimes(state, ctx);
    } catch (error) {
      await wal.close();
      throw error;
    }
    return state;
  },

  receive: {
    async append(state, { records }, ctx) {
      const startedMs = ctx.clock.monotonicMs();
      try {
        const sequences = await appendAll(state, records);
        ctx.metrics.observe("wal.append_ms", ctx.clock.monotonicMs() - startedMs);
        ctx.metrics.gauge("wal.bytes", state.wal.status.bytes);
        await pruneSometimes(state, ctx);
        return { sequences };
      } catch (error) {
        if (!EsperError.is(error)) throw error;
        ctx.metrics.count("wal.append_failures_total", { code: error.code });
        ctx.emit("wal.append_failed", error.row.level, { code: error.code, why: error.message });
        throw error;
      }
    },

    status(state) {
      const { records, bytes, recovered, tornBytes } = state.wal.status;
      return { records, bytes, recovered, tornBytes };
    },
  },

  stop: (state) => state.wal.close(),
});
