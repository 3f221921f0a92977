/**
 * Tamiyo (controller): turns a state packet into a signed command or into "hold", and answers only
 * after the decision's field report is on disk: without a log there are no commands. It keeps no
 * state a decision depends on.
 */
import { z } from "zod";
import { FieldReportsProtocol } from "../../protocols/actors/durable.ts";
import {
  type BlueprintListing,
  TamiyoProtocol,
  UrzaProtocol,
} from "../../protocols/actors/growth.ts";
import { EsperError } from "../../protocols/errors.ts";
import { encodeCommand, encodeFieldReport } from "../../protocols/leyline/codec.ts";
import type { FieldReport } from "../../protocols/leyline/command.ts";
import { BLEND_MODES } from "../../protocols/leyline/enums.ts";
import { signFrame } from "../../protocols/leyline/signing.ts";
import type { SystemStatePacket } from "../../protocols/leyline/state.ts";
import { type ActorContext, defineActor } from "../../runtime/actor.ts";
import type { CancellationToken } from "../../runtime/token.ts";
import { decide, type PolicyDecision } from "./policy.ts";
import {
  decisionId,
  failureReport,
  fieldReport,
  germinateCommand,
  outcomeReports,
} from "./records.ts";
import { policySettingsSchema } from "./settings.ts";

const configSchema = z.strictObject({
  secret: z.string(),
  policy: policySettingsSchema,
  /** Budget of one policy evaluation in milliseconds; 0 turns the check off. */
  stepTimeoutMs: z.number().nonnegative(),
  blendMode: z.enum(BLEND_MODES),
});
type Config = z.infer<typeof configSchema>;
type Context = ActorContext<Config, typeof TamiyoProtocol.messages>;

const COMMAND_DEADLINE_MS = 2_000;
const DEPENDENCY_DEADLINE_MS = 1_500;

/** Runs the policy and reports when it took longer than its budget. */
function evaluate(
  packet: SystemStatePacket,
  catalogue: readonly BlueprintListing[],
  ctx: Context,
): PolicyDecision {
  const startedMs = ctx.clock.monotonicMs();
  const decision = decide(packet, catalogue, ctx.config.policy);
  const elapsedMs = ctx.clock.monotonicMs() - startedMs;
  ctx.metrics.observe("tamiyo.inference.latency_ms", elapsedMs);
  const budgetMs = ctx.config.stepTimeoutMs;
  if (budgetMs > 0 && elapsedMs > budgetMs) {
    ctx.emit("timeout_inference", "WARNING", {
      packet_id: packet.packetId,
      elapsed_ms: elapsedMs,
      budget_ms: budgetMs,
    });
  }
  return decision;
}

/** What the decision was made under condemns the commands that led to it. */
const CRITICAL_REASONS: ReadonlySet<string> = new Set(["loss_not_finite", "loss_spike"]);
/** Ends of seeds that are known to be on disk; one that was forgotten is only offered again. */
const CONFIRMED_MAX = 1_024;

interface State {
  catalogue: readonly BlueprintListing[] | null;
  readonly confirmed: Set<string>;
}

interface Reporting {
  readonly packet: SystemStatePacket;
  readonly token: CancellationToken;
  readonly ctx: Context;
}

async function record(
  report: FieldReport,
  about: { readonly decision: boolean; readonly critical: boolean },
  { packet, token, ctx }: Reporting,
): Promise<void> {
  const deadline = { deadlineMs: DEPENDENCY_DEADLINE_MS, onRestart: "retry", token } as const;
  const { incarnation } = packet;
  const message = { report: encodeFieldReport(report), incarnation, ...about };
  await ctx.ref(FieldReportsProtocol).call("record", message, deadline);
}

/** Returns when every report is on disk. All are sent before the first is waited for. */
async function persist(state: State, report: FieldReport, reporting: Reporting): Promise<void> {
  const { confirmed } = state;
  const critical = CRITICAL_REASONS.has(report.notes);
  const outcomes = outcomeReports(reporting.packet, report.issuedAtMs).filter(
    ({ reportId }) => !confirmed.has(reportId),
  );
  await Promise.all([
    record(report, { decision: true, critical }, reporting),
    ...outcomes.map((outcome) => record(outcome, { decision: false, critical: false }, reporting)),
  ]);
  if (confirmed.size + outcomes.length > CONFIRMED_MAX) confirmed.clear();
  for (const { reportId } of outcomes) confirmed.add(reportId);
}

/** A decision that failed is reported too; that its report fails as well must not hide why. */
async function reportFailure(error: unknown, reporting: Reporting): Promise<void> {
  if (!EsperError.is(error) || error.code === "CANCELLED") return;
  const { packet, ctx } = reporting;
  const report = failureReport(packet, error.code, Math.round(ctx.clock.nowMs()));
  try {
    await record(report, { decision: false, critical: false }, reporting);
  } catch (second) {
    if (!EsperError.is(second)) throw second;
    ctx.log.warn({ code: second.code }, `a failed decision is not reported: ${second.message}`);
  }
}

/** The command to send, or null, and the report about it. */
function conclude(packet: SystemStatePacket, decision: PolicyDecision, ctx: Context) {
  const issuedAtMs = Math.round(ctx.clock.nowMs());
  const { blendMode } = ctx.config;
  const command =
    decision.action === "germinate"
      ? germinateCommand(packet, decision, {
          issuedAtMs,
          deadlineMs: COMMAND_DEADLINE_MS,
          blendMode,
        })
      : null;
  return { command, report: fieldReport(packet, decision, command, issuedAtMs) };
}

async function consider(state: State, packet: SystemStatePacket, ctx: Context) {
  state.catalogue ??= await ctx
    .ref(UrzaProtocol)
    .call("catalogue", null, { deadlineMs: DEPENDENCY_DEADLINE_MS, onRestart: "retry" });
  ctx.guard.ensurePresent(
    packet.hostSites.length > 0,
    { subsystem: "tamiyo", dependencyType: "host_sites", identifier: packet.trainingRunId },
    "the state packet names no host site where a seed could grow",
  );
  return evaluate(packet, state.catalogue, ctx);
}

/** Decides when and what to grow, from the state packets of the trainer alone. */
export const tamiyo = defineActor(import.meta.url, TamiyoProtocol, {
  config: configSchema,
  mailbox: { capacity: 64 },

  setup: (): State => ({ catalogue: null, confirmed: new Set() }),

  receive: {
    async decide(state, { packet }, ctx, { token }) {
      const reporting = { packet, token, ctx };
      const decision = await consider(state, packet, ctx).catch(async (error: unknown) => {
        await reportFailure(error, reporting);
        throw error;
      });
      const { command, report } = conclude(packet, decision, ctx);
      await persist(state, report, reporting);
      ctx.metrics.count("tamiyo.decisions_total", { action: decision.action });
      ctx.log.debug({ decision: decisionId(packet), reason: decision.reason }, decision.action);
      return {
        packetId: packet.packetId,
        command: command === null ? null : signFrame(ctx.config.secret, encodeCommand(command)),
        reason: decision.reason,
      };
    },
  },
});
