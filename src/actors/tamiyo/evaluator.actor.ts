/**
 * Tamiyo (controller): turns a state packet into a signed command or into "hold", and answers only
 * after the decision's field report is on disk. It keeps no state a decision depends on.
 */
import { z } from "zod";
import { WalProtocol } from "../../protocols/actors/durable.ts";
import {
  type BlueprintListing,
  TamiyoProtocol,
  UrzaProtocol,
} from "../../protocols/actors/growth.ts";
import { encodeCommand, encodeFieldReport } from "../../protocols/leyline/codec.ts";
import type { FieldReport } from "../../protocols/leyline/command.ts";
import { BLEND_MODES } from "../../protocols/leyline/enums.ts";
import { signFrame } from "../../protocols/leyline/signing.ts";
import type { SystemStatePacket } from "../../protocols/leyline/state.ts";
import { type ActorContext, defineActor } from "../../runtime/actor.ts";
import type { CancellationToken } from "../../runtime/token.ts";
import { decide, type PolicyDecision } from "./policy.ts";
import { decisionId, fieldReport, germinateCommand, outcomeReports } from "./records.ts";
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

/** Returns when every report is on disk; the writer groups them into one flush. */
async function persist(
  reports: readonly FieldReport[],
  token: CancellationToken,
  ctx: Context,
): Promise<void> {
  const records = reports.map((report) => ({
    recordId: report.reportId,
    timeMs: report.issuedAtMs,
    bytes: encodeFieldReport(report),
  }));
  const deadline = { deadlineMs: DEPENDENCY_DEADLINE_MS, onRestart: "retry", token } as const;
  await ctx.ref(WalProtocol).call("append", { records }, deadline);
}

/** Decides when and what to grow, from the state packets of the trainer alone. */
export const tamiyo = defineActor(import.meta.url, TamiyoProtocol, {
  config: configSchema,
  mailbox: { capacity: 64 },

  setup: () => ({ catalogue: null as readonly BlueprintListing[] | null }),

  receive: {
    async decide(state, { packet }, ctx, { token }) {
      state.catalogue ??= await ctx
        .ref(UrzaProtocol)
        .call("catalogue", null, { deadlineMs: DEPENDENCY_DEADLINE_MS, onRestart: "retry" });
      ctx.guard.ensurePresent(
        packet.hostSites.length > 0,
        { subsystem: "tamiyo", dependencyType: "host_sites", identifier: packet.trainingRunId },
        "the state packet names no host site where a seed could grow",
      );
      const decision = evaluate(packet, state.catalogue, ctx);
      const issuedAtMs = Math.round(ctx.clock.nowMs());
      const command =
        decision.action === "germinate"
          ? germinateCommand(packet, decision, {
              issuedAtMs,
              deadlineMs: COMMAND_DEADLINE_MS,
              blendMode: ctx.config.blendMode,
            })
          : null;
      const report = fieldReport(packet, decision, command, issuedAtMs);
      await persist([report, ...outcomeReports(packet, issuedAtMs)], token, ctx);
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
