/**
 * Kasmina (grower): verifies every command, fetches the blueprint's artifact and executes it on the
 * network of its thread. A refused command changes nothing and is CRITICAL telemetry first.
 */
import { randomBytes } from "node:crypto";
import { z } from "zod";
import { LedgerProtocol } from "../../protocols/actors/durable.ts";
import {
  KasminaProtocol,
  type KernelArtifact,
  type RunIdentity,
  type SeedTransition,
  UrzaProtocol,
} from "../../protocols/actors/growth.ts";
import { EsperError, invariant } from "../../protocols/errors.ts";
import { moduleChecksum } from "../../protocols/leyline/artifact.ts";
import type { AdaptationCommand, SignedCommand } from "../../protocols/leyline/command.ts";
import { BLEND_MODES, type BlendModeName } from "../../protocols/leyline/enums.ts";
import { type ActorContext, defineActor } from "../../runtime/actor.ts";
import { deviceSlot } from "../../runtime/device/device-slot.ts";
import type { CancellationToken } from "../../runtime/token.ts";
import { requestedSite } from "./annotations.ts";
import { SeedManager } from "./seed-manager.ts";
import { growthSettingsSchema } from "./settings.ts";
import { openCommand, rejectionReason, requireFresh } from "./verify.ts";

const configSchema = z.strictObject({
  secret: z.string(),
  growth: growthSettingsSchema,
  hostGradient: z.enum(["through", "detached"]).default("through"),
});
type Context = ActorContext<z.infer<typeof configSchema>, typeof KasminaProtocol.messages>;

interface State {
  identity: RunIdentity | null;
  manager: SeedManager | null;
}

const DEPENDENCY_DEADLINE_MS = 1_500;
const ATTEMPT_BYTES = 8;

/** What everybody who watches must see of a refused command. */
function reject(error: unknown, commandId: string, ctx: Context): void {
  const reason = rejectionReason(error);
  const level = EsperError.is(error) ? error.row.level : "ERROR";
  ctx.emit("command_rejected", level, { reason, command_id: commandId });
  ctx.metrics.count("kasmina.command_verifier.rejections_total", { reason });
}

/** Never given twice, also by another process: whoever knows it is given the same answer again. */
const newAttempt = (): string => randomBytes(ATTEMPT_BYTES).toString("hex");

/** Authentic, fresh and never seen before; the claim is on disk when this returns. */
async function verified(
  signed: SignedCommand,
  identity: RunIdentity,
  ctx: Context,
): Promise<AdaptationCommand> {
  const startedMs = ctx.clock.monotonicMs();
  let commandId = "";
  try {
    const command = openCommand(signed, ctx.config.secret, identity);
    commandId = command.commandId;
    const verdict = await ctx
      .ref(LedgerProtocol)
      .call(
        "claim",
        { commandId, issuedAtMs: command.issuedAtMs, attempt: newAttempt() },
        { deadlineMs: DEPENDENCY_DEADLINE_MS, onRestart: "retry" },
      );
    requireFresh(command, verdict);
    ctx.metrics.count("kasmina.command_verifier.accepted_total");
    return command;
  } catch (error) {
    reject(error, commandId, ctx);
    throw error;
  } finally {
    const elapsedMs = ctx.clock.monotonicMs() - startedMs;
    ctx.metrics.observe("kasmina.command_verifier.validation_latency_ms", elapsedMs);
  }
}

async function fetchArtifact(
  command: AdaptationCommand,
  site: ReturnType<typeof requestedSite>,
  ctx: Context,
): Promise<KernelArtifact> {
  const blueprintId = command.seedOperation?.blueprintId ?? "";
  const parameters = command.seedOperation?.parameters ?? {};
  const artifact = await ctx
    .ref(UrzaProtocol)
    .call(
      "fetch",
      { blueprintId, site, parameters },
      { deadlineMs: DEPENDENCY_DEADLINE_MS, onRestart: "retry" },
    );
  const checksum = moduleChecksum(artifact.module);
  if (checksum === artifact.checksum) return artifact;
  ctx.emit("gate_failure", "CRITICAL", { reason: "checksum_mismatch", blueprint_id: blueprintId });
  throw new EsperError("BLUEPRINT_REFUSED", `the artifact of ${blueprintId} is damaged`, {
    blueprintId,
    expected: artifact.checksum,
    found: checksum,
  });
}

function blendMode(command: AdaptationCommand): BlendModeName {
  const given = command.annotations["blend_mode"] ?? "RESIDUAL";
  const mode = BLEND_MODES.find((name) => name === given);
  if (mode !== undefined) return mode;
  throw new EsperError("BLEND_INVALID", `unknown blend mode ${given}`, {
    given,
    allowed: BLEND_MODES,
  });
}

/** @throws {COMMAND_INVALID} naming what is missing or not supported. */
function requireSeedCommand(command: AdaptationCommand, ctx: Context): "GERMINATE" | "CULL" {
  const operation = command.seedOperation?.operation;
  const context = {
    subsystem: "kasmina",
    dependencyType: "seed_id",
    identifier: command.targetSeedId,
    commandId: command.commandId,
  };
  ctx.guard.ensurePresent(command.targetSeedId.trim(), context, "missing_seed_id");
  if (command.commandType === "SEED" && (operation === "GERMINATE" || operation === "CULL")) {
    return operation;
  }
  ctx.emit("unsupported_command", "WARNING", { command_type: command.commandType });
  throw new EsperError(
    "COMMAND_INVALID",
    `${command.commandType} ${operation ?? ""} is not supported; ` +
      "allowed: SEED GERMINATE, SEED CULL",
    { commandType: command.commandType, operation: operation ?? "" },
  );
}

/** Carries out a verified command; when it throws, nothing has changed. */
async function execute(
  command: AdaptationCommand,
  manager: SeedManager,
  step: number,
  token: CancellationToken,
  ctx: Context,
): Promise<readonly SeedTransition[]> {
  const operation = requireSeedCommand(command, ctx);
  if (operation === "CULL") return manager.cull(command.targetSeedId, step);
  const slot = ctx.resource(deviceSlot, () => {
    throw new EsperError("PREFLIGHT_FAILED", "no network is on this thread's device");
  });
  const site = requestedSite(command, slot.network?.sites ?? [], ctx.guard);
  const mode = blendMode(command);
  const artifact = await fetchArtifact(command, site, ctx);
  token.throwIfCancelled();
  return manager.germinate({
    seedId: command.targetSeedId,
    commandId: command.commandId,
    blueprintName: artifact.blueprintName,
    artifact,
    mode,
    hostGradient: ctx.config.hostGradient,
    step,
  });
}

function publish(
  transitions: readonly SeedTransition[],
  { incarnation }: RunIdentity,
  ctx: Context,
): void {
  for (const move of transitions) {
    const attributes = {
      seed_id: move.seedId,
      site_id: move.siteId,
      blueprint_id: move.blueprintId,
      incarnation,
      step: move.step,
      from: move.from,
      to: move.to,
      alpha: move.alpha,
      reason: move.reason,
    };
    if (move.gate !== null) {
      const { gate, passed, numbers } = move.gate;
      const verdict = { gate, passed, seed_id: move.seedId, reason: move.reason, ...numbers };
      ctx.emit("gate_event", passed ? "INFO" : "WARNING", verdict);
      if (!passed) ctx.emit("gate_failure", "CRITICAL", verdict);
    }
    ctx.emit("seed_stage", "INFO", attributes);
    ctx.metrics.count("kasmina.seed.transitions_total", { to: move.to });
  }
}

function attached(state: State): { identity: RunIdentity; manager: SeedManager } {
  invariant(state.manager !== null && state.identity !== null, "a network is attached first");
  return { identity: state.identity, manager: state.manager };
}

export const kasmina = defineActor(import.meta.url, KasminaProtocol, {
  config: configSchema,
  mailbox: { capacity: 256 },

  setup: (): State => ({ identity: null, manager: null }),

  receive: {
    attach(state, { identity, snapshot }, ctx) {
      const slot = ctx.resource(deviceSlot, () => {
        throw new EsperError("PREFLIGHT_FAILED", "no network is on this thread's device");
      });
      invariant(slot.network !== null && slot.validation !== null, "the trainer filled the slot");
      const { growth } = ctx.config;
      state.identity = identity;
      state.manager = new SeedManager(
        slot.network,
        slot.validation,
        growth,
        identity.seed,
        snapshot,
      );
      return null;
    },

    async apply(state, { command: signed, step }, ctx, { token }) {
      const { identity, manager } = attached(state);
      const command = await verified(signed, identity, ctx);
      try {
        token.throwIfCancelled();
        const transitions = await execute(command, manager, step, token, ctx);
        publish(transitions, identity, ctx);
        return { transitions };
      } catch (error) {
        reject(error, command.commandId, ctx);
        throw error;
      }
    },

    async advance(state, evidence, ctx) {
      const { identity, manager } = attached(state);
      const transitions = await manager.advance(evidence);
      publish(transitions, identity, ctx);
      return { transitions, busy: manager.busy };
    },

    states(state, { step }) {
      const { manager } = attached(state);
      return { seeds: manager.states(step), snapshot: manager.snapshot() };
    },
  },
});
