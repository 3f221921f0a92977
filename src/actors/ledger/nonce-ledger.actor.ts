/**
 * The nonce ledger: judges every command id once. "fresh" is answered only after the claim is on
 * disk, so neither a restart nor kill -9 makes a used id fresh again. When it cannot promise that,
 * it refuses: a full ledger or a full disk lets no command pass, until there is room again.
 */
import { z } from "zod";
import { LedgerProtocol } from "../../protocols/actors/durable.ts";
import { EsperError } from "../../protocols/errors.ts";
import { parseCommandId } from "../../protocols/leyline/command-id.ts";
import { type ActorContext, defineActor } from "../../runtime/actor.ts";
import { systemFiles } from "../../runtime/durable/files.ts";
import { NonceLedger } from "./nonce-ledger.ts";
import { FUTURE_SKEW_MS } from "./nonce-window.ts";

const configSchema = z
  .strictObject({
    directory: z.string().min(1),
    /** Commands of other runs are refused. */
    runId: z.string().min(1),
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

const MAX_ID_LENGTH = 256;
const MAX_ATTEMPT_LENGTH = 64;
/** Expired entries leave without any command, in slices between which claims have their turn. */
const TIDY_PERIOD_MS = 1_000;
const TIDY_PAUSE_MS = 2;
const TIDY_SLICE = 2_048;

interface State {
  readonly ledger: NonceLedger;
  reportedEvictions: number;
  tidying: boolean;
}

function report(state: State, ctx: Context): void {
  const { size, evictionsTotal } = state.ledger;
  ctx.metrics.gauge("kasmina.nonce_ledger.size", size);
  const evicted = evictionsTotal - state.reportedEvictions;
  if (evicted > 0) ctx.metrics.count("kasmina.nonce_ledger.evictions_total", {}, evicted);
  state.reportedEvictions = evictionsTotal;
}

function tidy(state: State, ctx: Context): void {
  state.tidying = state.ledger.expire(TIDY_SLICE);
  report(state, ctx);
  if (state.tidying) ctx.after(TIDY_PAUSE_MS, () => tidy(state, ctx));
}

/** @throws {COMMAND_MISSING_ID} @throws {COMMAND_INVALID} */
function checkId(commandId: string, attempt: string, runId: string): void {
  if (commandId.length === 0) {
    throw new EsperError("COMMAND_MISSING_ID", "the command has no id: give it a new one", {});
  }
  const length = Math.max(commandId.length, attempt.length);
  if (commandId.length > MAX_ID_LENGTH || attempt.length > MAX_ATTEMPT_LENGTH) {
    throw new EsperError(
      "COMMAND_INVALID",
      `a command id of ${commandId.length} characters or an attempt of ${attempt.length} is ` +
        `longer than the ${MAX_ID_LENGTH} and ${MAX_ATTEMPT_LENGTH} allowed`,
      { length, allowed: MAX_ID_LENGTH },
    );
  }
  if (parseCommandId(commandId)?.runId === runId) return;
  const expected = `${runId}/<incarnation>/<counter>`;
  throw new EsperError(
    "COMMAND_INVALID",
    `command ${commandId} is not of this run: expected ${expected}`,
    { commandId, expected },
  );
}

/** Remembers every accepted command id on disk, so that none is obeyed twice. */
export const nonceLedger = defineActor(import.meta.url, LedgerProtocol, {
  config: configSchema,

  async setup(ctx): Promise<State> {
    const { strict, ...limits } = ctx.config;
    const ledger = await NonceLedger.open({
      ...limits,
      files: systemFiles,
      clock: ctx.clock,
      salvage: !strict,
      tell: (name, level, attributes) => ctx.emit(name, level, attributes),
    });
    const state = { ledger, reportedEvictions: 0, tidying: false };
    ctx.metrics.gauge("kasmina.nonce_ledger.ttl_seconds", limits.ttlMs / 1_000);
    report(state, ctx);
    ctx.every(TIDY_PERIOD_MS, () => {
      if (!state.tidying) tidy(state, ctx);
    });
    return state;
  },

  receive: {
    claim(state, { commandId, issuedAtMs, attempt = "" }, ctx) {
      checkId(commandId, attempt, ctx.config.runId);
      const verdict = state.ledger
        .claim({ commandId, issuedAtMs, attempt })
        .finally(() => report(state, ctx));
      return ctx.answerLater(verdict);
    },

    status(state, _payload, ctx) {
      const { ledger } = state;
      ledger.expire(TIDY_SLICE);
      const { size, evictionsTotal, logBytes, failure } = ledger;
      const { capacity } = ctx.config;
      return { size, capacity, evictionsTotal, logBytes, failure: failure?.code ?? null };
    },
  },

  stop: ({ ledger }) => ledger.close(),
});
