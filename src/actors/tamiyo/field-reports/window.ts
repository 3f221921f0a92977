/**
 * What became of one command: an observation window adds up the decisions that follow it and is
 * judged when it has seen enough of them. Pure; a window travels as bytes, so that a restart goes
 * on where it stopped.
 */
import { z } from "zod";
import type { FieldReport } from "../../../protocols/leyline/command.ts";

/** One decision as a window sees it. */
export interface Observation {
  readonly runId: string;
  readonly incarnation: number;
  readonly step: number;
  readonly lossDelta: number;
  readonly hookLatencyMs: number | null;
  readonly reason: string;
  /** The decision was made under a condition that condemns whatever caused it. */
  readonly critical: boolean;
}

const windowSchema = z.strictObject({
  commandId: z.string().min(1).max(256),
  runId: z.string().min(1).max(256),
  seedId: z.string().max(256),
  blueprintId: z.string().max(64),
  policyVersion: z.string().max(64),
  incarnation: z.int().positive(),
  startStep: z.int().nonnegative(),
  /** The newest step that was counted: a step that is repeated after a rewind counts once. */
  lastStep: z.int().nonnegative(),
  target: z.int().positive(),
  collected: z.int().nonnegative(),
  lossDeltaTotal: z.number(),
  /** Null until there was an observation. */
  lossDeltaMin: z.number().nullable(),
  lossDeltaMax: z.number().nullable(),
  hookLatencyTotalMs: z.number(),
  hookLatencies: z.int().nonnegative(),
  lastReason: z.string().max(1_024),
  critical: z.boolean(),
});

/** The effect of one command so far. */
export type ObservationWindow = Readonly<z.infer<typeof windowSchema>>;

/** Why a window ends. */
export type WindowEnd = "complete" | "run ended" | "rewound" | "too many windows";

/** Begins to watch a command; the decision that issued it tells nothing about its effect. */
export function openWindow(
  report: FieldReport,
  first: Observation,
  target: number,
): ObservationWindow {
  return {
    commandId: report.commandId,
    runId: first.runId,
    seedId: report.seedId,
    blueprintId: report.blueprintId,
    policyVersion: report.tamiyoPolicyVersion,
    incarnation: first.incarnation,
    startStep: first.step,
    lastStep: first.step,
    target,
    collected: 0,
    lossDeltaTotal: 0,
    lossDeltaMin: null,
    lossDeltaMax: null,
    hookLatencyTotalMs: 0,
    hookLatencies: 0,
    lastReason: first.reason,
    critical: false,
  };
}

/** The window with one more observation; the same object when it counts for nothing. */
export function observe(window: ObservationWindow, seen: Observation): ObservationWindow {
  if (seen.runId !== window.runId || seen.step <= window.lastStep) return window;
  const { lossDelta, hookLatencyMs } = seen;
  const measured = Number.isFinite(lossDelta) ? lossDelta : 0;
  const min = window.lossDeltaMin ?? measured;
  const max = window.lossDeltaMax ?? measured;
  return {
    ...window,
    incarnation: Math.max(window.incarnation, seen.incarnation),
    lastStep: seen.step,
    collected: window.collected + 1,
    lossDeltaTotal: window.lossDeltaTotal + measured,
    lossDeltaMin: Math.min(min, measured),
    lossDeltaMax: Math.max(max, measured),
    hookLatencyTotalMs: window.hookLatencyTotalMs + (hookLatencyMs ?? 0),
    hookLatencies: window.hookLatencies + (hookLatencyMs === null ? 0 : 1),
    lastReason: seen.reason,
    critical: window.critical || seen.critical || !Number.isFinite(lossDelta),
  };
}

/** A command that was taken back by a rewind has no effect to be judged. */
function outcomeOf(window: ObservationWindow, end: WindowEnd): FieldReport["outcome"] {
  if (end === "rewound" || window.collected === 0) return "ABORTED";
  if (window.critical || window.lossDeltaTotal > 0) return "REGRESSION";
  return window.lossDeltaTotal < 0 ? "SUCCESS" : "NEUTRAL";
}

/** The report that closes a window. Its id is the command's own, so it can only exist once. */
export function closingReport(
  window: ObservationWindow,
  end: WindowEnd,
  issuedAtMs: number,
): FieldReport {
  const { hookLatencies, hookLatencyTotalMs, lossDeltaMin, lossDeltaMax } = window;
  const seen = `${window.collected} of ${window.target} observations`;
  return {
    version: 1,
    reportId: `fr-synth-${window.commandId}-${window.startStep}+${window.target}`,
    commandId: window.commandId,
    trainingRunId: window.runId,
    seedId: window.seedId,
    blueprintId: window.blueprintId,
    outcome: outcomeOf(window, end),
    metrics: {
      loss_delta_total: window.lossDeltaTotal,
      ...(lossDeltaMin === null ? {} : { loss_delta_min: lossDeltaMin }),
      ...(lossDeltaMax === null ? {} : { loss_delta_max: lossDeltaMax }),
      ...(hookLatencies === 0 ? {} : { avg_hook_latency_ms: hookLatencyTotalMs / hookLatencies }),
    },
    observationWindowEpochs: window.collected,
    issuedAtMs,
    tamiyoPolicyVersion: window.policyVersion,
    notes: end === "complete" ? window.lastReason : `${end} after ${seen}; ${window.lastReason}`,
  };
}

/** A window as a note of the log. */
export function encodeWindow(window: ObservationWindow): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(window));
}

/** The inverse of `encodeWindow`; null when the bytes are no window. */
export function decodeWindow(bytes: Uint8Array): ObservationWindow | null {
  try {
    const parsed = windowSchema.safeParse(JSON.parse(new TextDecoder().decode(bytes)));
    return parsed.success ? parsed.data : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
