/** Builds the command and the field report of one decision. Ids never repeat: see `decisionId`. */
import type { AdaptationCommand, FieldReport } from "../../protocols/leyline/command.ts";
import { commandId } from "../../protocols/leyline/command-id.ts";
import type { BlendModeName } from "../../protocols/leyline/enums.ts";
import type { SystemStatePacket } from "../../protocols/leyline/state.ts";
import type { PolicyDecision } from "./policy.ts";

export const POLICY_VERSION = "plateau-1";

/**
 * Run, incarnation and step: the same decision asked twice has the same id, and a resumed or
 * rewound run (a new incarnation) never repeats one.
 */
export function decisionId(packet: SystemStatePacket): string {
  const { trainingRunId: runId, incarnation, globalStep: counter } = packet;
  return commandId({ runId, incarnation, counter });
}

export function germinateCommand(
  packet: SystemStatePacket,
  decision: Extract<PolicyDecision, { action: "germinate" }>,
  context: {
    readonly issuedAtMs: number;
    readonly deadlineMs: number;
    readonly blendMode: BlendModeName;
  },
): AdaptationCommand {
  const { candidate } = decision;
  return {
    version: 1,
    commandId: decisionId(packet),
    commandType: "SEED",
    targetSeedId: `seed-${packet.seedStates.length + 1}`,
    executionDeadlineMs: context.deadlineMs,
    issuedAtMs: context.issuedAtMs,
    issuedBy: "tamiyo",
    audience: packet.trainingRunId,
    seedOperation: { operation: "GERMINATE", blueprintId: candidate.blueprintId, parameters: {} },
    annotations: {
      policy_version: POLICY_VERSION,
      risk_reason: decision.reason,
      training_run_id: packet.trainingRunId,
      mesh_host_layers: JSON.stringify([candidate.siteId]),
      blend_mode: context.blendMode,
      selected_blueprint: candidate.blueprintId,
      selected_score: candidate.score.toFixed(6),
    },
  };
}

/** Measured by the trainer one step before; reported when it was. */
const LATENCIES = ["tamiyo_latency_ms", "hook_latency_ms"] as const;

/** The report on one decision. */
export function fieldReport(
  packet: SystemStatePacket,
  decision: PolicyDecision,
  command: AdaptationCommand | null,
  issuedAtMs: number,
): FieldReport {
  const measured: Record<string, number> = {
    loss_delta: packet.trainingMetrics["loss_delta"] ?? 0,
    training_loss: packet.trainingLoss,
    validation_loss: packet.validationLoss,
    global_step: packet.globalStep,
    ...(decision.lossDrop === null ? {} : { loss_drop: decision.lossDrop }),
    ...(decision.action === "germinate" ? { selected_score: decision.candidate.score } : {}),
  };
  for (const name of LATENCIES) {
    const latencyMs = packet.trainingMetrics[name];
    if (latencyMs !== undefined) measured[name] = latencyMs;
  }
  return {
    version: 1,
    reportId: `report/${decisionId(packet)}`,
    commandId: command?.commandId ?? "",
    trainingRunId: packet.trainingRunId,
    seedId: command?.targetSeedId ?? "",
    blueprintId: command?.seedOperation?.blueprintId ?? "",
    // A decision has no outcome yet; the seed it germinates is reported when it settles.
    outcome: "NEUTRAL",
    metrics: Object.fromEntries(
      Object.entries(measured).filter(([, value]) => Number.isFinite(value)),
    ),
    observationWindowEpochs: 1,
    issuedAtMs,
    tamiyoPolicyVersion: POLICY_VERSION,
    notes: decision.reason,
  };
}

/** The report on a decision that could not be made. */
export function failureReport(
  packet: SystemStatePacket,
  why: string,
  issuedAtMs: number,
): FieldReport {
  return {
    version: 1,
    reportId: `failed/${decisionId(packet)}`,
    commandId: "",
    trainingRunId: packet.trainingRunId,
    seedId: "",
    blueprintId: "",
    outcome: "ABORTED",
    metrics: { global_step: packet.globalStep },
    observationWindowEpochs: 1,
    issuedAtMs,
    tamiyoPolicyVersion: POLICY_VERSION,
    notes: why,
  };
}

/**
 * Reports on every settled seed. They are offered with each decision and kept once, because their
 * ids never change: a decision that was missed loses none of them.
 */
export function outcomeReports(packet: SystemStatePacket, issuedAtMs: number): FieldReport[] {
  return packet.seedStates
    .filter((seed) => seed.settledAtStep !== null)
    .map((seed) => ({
      version: 1,
      reportId: `outcome/${packet.trainingRunId}/${seed.seedId}/${seed.settledAtStep}`,
      commandId: "",
      trainingRunId: packet.trainingRunId,
      seedId: seed.seedId,
      blueprintId: seed.blueprintId,
      outcome: seed.stage === "FOSSILIZED" ? "SUCCESS" : "REGRESSION",
      metrics: { gain: seed.gain ?? 0, parameters: seed.parameters, age_steps: seed.ageSteps },
      observationWindowEpochs: 1,
      issuedAtMs,
      tamiyoPolicyVersion: POLICY_VERSION,
      notes: seed.reason,
    }));
}
