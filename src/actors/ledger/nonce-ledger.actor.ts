/**
 * The nonce ledger: judges every command id once. "fresh" is answered only after the claim is on
 * disk, so neither a restart nor kill -9 makes a used id fresh again. When it cannot promise that,
 * it refuses: a full ledger or a full disk lets no command pass.
 */
import { z } from "zod";
import { LedgerProtocol } from "../../protocols/actors/durable.ts";
import { EsperError } from "../../protocols/errors.ts";
import { type ActorContext, defineActor } from "../../runtime/actor.ts";
import { systemFiles } from "../../runtime/durable/files.ts";
import { Wal } from "../../runtime/durable/wal.ts";
import { decodeClaim, encodeClaim } from "./claim-record.ts";
import { FUTURE_SKEW_MS, NonceWindow } from "./nonce-window.ts";

const configSchema = z
  .strictObject({
    directory: z.string().min(1),
    /** Live entries at most; one is live for `ttlMs`. */
    capacity: z.int().min(64).max(1_048_576),
    freshnessMs: z.int().positive(),
    ttlMs: z.int().positive(),
    /** False: a damaged log is salvaged, and everything issued before now is stale. */
    strict: z.boolean().default(true),
  })
  .refine((config) => config.ttlMs >= config.freshnessMs + FUTURE_SKEW_MS, {
    path: ["ttlMs"],
    message: `must be at least freshnessMs + ${FUTURE_SKEW_MS}, or a replay could pass`,
  });
type Config = z.infer<typeof configSchema>;
type Context = ActorContext<Config, typeof LedgerProtocol.messages>;

/** Small, so that expired claims leave the disk soon: whole segments are removed. */
const SEGMENT_BYTES = 131_072;
const MAX_ID_LENGTH = 256;

interface State {
  readonly wal: Wal;
  readonly window: NonceWindow;
  reportedEvictions: number;
}

async function load(wal: Wal, ctx: Context): Promise<NonceWindow> {
  const window = new NonceWindow(ctx.config);
  for await (const { timeMs, payload } of wal.read()) {
    const { floorMs, ...claim } = decodeClaim(payload);
    window.raiseFloor(floorMs);
    window.add({ ...claim, claimedAtMs: timeMs });
  }
  const nowMs = ctx.clock.nowMs();
  // Nobody knows which ids were lost, so none issued until now may pass.
  if (wal.status.salvage !== null) window.raiseFloor(nowMs);
  window.expire(nowMs);
  return window;
}

function measure(state: State, ctx: Context): void {
  const { size, evictionsTotal } = state.window;
  ctx.metrics.gauge("kasmina.nonce_ledger.size", size);
  const evicted = evictionsTotal - state.reportedEvictions;
  if (evicted > 0) ctx.metrics.count("kasmina.nonce_ledger.evictions_total", {}, evicted);
  state.reportedEvictions = evictionsTotal;
}

function checkId(commandId: string): void {
  if (commandId.length === 0) {
    throw new EsperError("COMMAND_MISSING_ID", "the command has no id: give it a new one", {});
  }
  if (commandId.length > MAX_ID_LENGTH) {
    throw new EsperError(
      "COMMAND_INVALID",
      `a command id of ${commandId.length} characters is longer than the ${MAX_ID_LENGTH} allowed`,
      { length: commandId.length, allowed: MAX_ID_LENGTH },
    );
  }
}

function full(ctx: Context, size: number): EsperError {
  const { capacity, ttlMs } = ctx.config;
  ctx.emit("nonce_ledger_full", "CRITICAL", { size, capacity });
  return new EsperError(
    "LEDGER_FULL",
    `the nonce ledger holds ${size} live entries of ${capacity} allowed: ` +
      `entries live ${ttlMs} ms; wait, or raise KERNEL_NONCE_CACHE_SIZE`,
    { size, capacity, ttlMs },
  );
}

/** Makes the claim durable; on failure the id stays unused. */
async function record(state: State, commandId: string, issuedAtMs: number, nowMs: number) {
  const { wal, window } = state;
  window.add({ commandId, issuedAtMs, claimedAtMs: nowMs });
  try {
    const payload = encodeClaim({ commandId, issuedAtMs, floorMs: window.floorMs });
    await wal.append({ timeMs: nowMs, payload });
  } catch (error) {
    window.withdraw(commandId);
    throw error;
  }
}

/** Right after an append: the newest record carries the floor of everything that is removed. */
async function compact(state: State, nowMs: number, ctx: Context): Promise<void> {
  try {
    await state.wal.prune(nowMs - ctx.config.ttlMs);
  } catch (error) {
    if (!EsperError.is(error)) throw error;
    ctx.emit("nonce_ledger_prune_failed", "WARNING", { code: error.code, why: error.message });
  }
}

/** Remembers every accepted command id on disk, so that none is obeyed twice. */
export const nonceLedger = defineActor(import.meta.url, LedgerProtocol, {
  config: configSchema,

  async setup(ctx): Promise<State> {
    const { directory, strict, ttlMs } = ctx.config;
    const options = { files: systemFiles, directory, segmentBytes: SEGMENT_BYTES };
    const wal = await Wal.open({ ...options, salvage: !strict });
    const window = await load(wal, ctx).catch(async (error: unknown) => {
      await wal.close();
      throw error;
    });
    const state = { wal, window, reportedEvictions: 0 };
    const { salvage } = wal.status;
    if (salvage !== null) {
      const { file, offset, why, keptRecords } = salvage;
      ctx.emit("nonce_ledger_salvaged", "CRITICAL", { file, offset, why, kept: keptRecords });
    }
    ctx.metrics.gauge("kasmina.nonce_ledger.ttl_seconds", ttlMs / 1_000);
    measure(state, ctx);
    return state;
  },

  receive: {
    async claim(state, { commandId, issuedAtMs }, ctx) {
      checkId(commandId);
      const nowMs = ctx.clock.nowMs();
      const verdict = state.window.judge(commandId, issuedAtMs, nowMs);
      if (verdict === "full") throw full(ctx, state.window.size);
      if (verdict === "fresh") {
        await record(state, commandId, issuedAtMs, nowMs);
        await compact(state, nowMs, ctx);
      }
      measure(state, ctx);
      return verdict;
    },

    status(state, _payload, ctx) {
      state.window.expire(ctx.clock.nowMs());
      const { size, evictionsTotal } = state.window;
      return { size, capacity: ctx.config.capacity, evictionsTotal };
    },
  },

  stop: (state) => state.wal.close(),
});
