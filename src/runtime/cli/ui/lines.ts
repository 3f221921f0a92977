/**
 * The lines that stay: one for every epoch (off a terminal), every notable move of a seed, every
 * restart and every notice. Each function returns one line without its newline.
 */
import type { SeedTransition } from "../../../protocols/actors/growth.ts";
import type { TelemetryLevelName } from "../../../protocols/errors.ts";
import type { SeedStageName } from "../../../protocols/leyline/enums.ts";
import type { RunEvent } from "../../../protocols/run.ts";
import { formatCount, formatLoss, formatNumber, formatScore, plural, toWords } from "./format.ts";
import { gateName, gateVerdict } from "./gate-text.ts";
import type { Palette } from "./palette.ts";
import { padEnd, padStart } from "./width.ts";

/** Accuracy for classes, R2 for numbers. */
export type ScoreName = "accuracy" | "R2";
type EpochEvent = Extract<RunEvent, { kind: "epoch" }>;
type RestartEvent = Extract<RunEvent, { kind: "restart" }>;

/** Moves a person wants to see; the others are for the log. */
const NOTABLE: ReadonlySet<SeedStageName> = new Set([
  "GERMINATED",
  "BLENDING",
  "FOSSILIZED",
  "CULLED",
]);

/** Reasons that say no more than the move itself. */
const EMPTY_REASONS: ReadonlySet<string> = new Set(["", "passed", "time", "germinated"]);

/** Whether a move gets a line of its own. */
export function isNotable(move: SeedTransition): boolean {
  return NOTABLE.has(move.to);
}

/** e.g. `  + seed-3 gated_feedforward at hidden1  TRAINING -> BLENDING  gate G2 stability ...`. */
export function seedLine(move: SeedTransition, palette: Palette): string {
  const { seedId, blueprintName, siteId, from, to } = move;
  const paint = stagePaint(to, palette);
  const mark = to === "CULLED" ? "-" : to === "FOSSILIZED" ? "*" : "+";
  const parts = [
    `  ${paint(mark)} ${palette.title(seedId)} ${blueprintName} at ${siteId}`,
    `${from} -> ${paint(to)}`,
    ...(to === "GERMINATED" ? [plural(move.parameters, "parameter")] : []),
    ...verdict(move),
    palette.faint(`step ${formatCount(move.step)}`),
  ];
  return parts.join("  ");
}

function verdict({ gate, to, reason }: SeedTransition): string[] {
  const why = EMPTY_REASONS.has(reason) || reason === gate?.reason ? [] : [toReason(reason)];
  if (gate === null) return why;
  const overruled = !gate.passed && to !== "CULLED";
  const note = overruled ? [`(${gateName(gate.gate)} is not enforced in this run)`] : [];
  return [gateVerdict(gate), ...note, ...why];
}

/** A code like `cull_command` as words; a sentence stays as it is. */
const toReason = (reason: string): string =>
  `because: ${reason.includes(" ") ? reason : toWords(reason)}`;

/** The colour of a stage: good when it stays, bad when it goes, otherwise on its way. */
export function stagePaint(stage: SeedStageName, palette: Palette): (text: string) => string {
  if (stage === "FOSSILIZED") return palette.good;
  return stage === "CULLED" ? palette.bad : palette.warn;
}

/** One aligned line of an epoch, about 100 columns wide. */
export function epochLine(
  event: EpochEvent,
  epochs: number,
  scoreName: ScoreName,
  palette: Palette,
): string {
  const { point, samplesPerSecond, totalParameters, seeds } = event;
  const total = formatCount(epochs);
  const score = (value: number): string => padStart(formatScore(scoreName, value), 7);
  const loss = (value: number): string => padStart(formatLoss(value), 6);
  const living = seeds.filter((seed) => seed.settledAtStep === null).length;
  const fields = [
    `epoch ${padStart(formatCount(point.epoch), total.length)}/${total}`,
    `loss ${loss(point.trainingLoss)} (val ${loss(point.validationLoss)})`,
    `${scoreName} ${score(point.trainingScore)} (val ${score(point.validationScore)})`,
    padEnd(plural(totalParameters, "parameter"), 16),
    `${formatCount(samplesPerSecond)}/s`,
    ...(living > 0 ? [`${plural(living, "seed")} growing`] : []),
  ];
  return fields.join("  ").replace(/^epoch/, palette.label("epoch"));
}

/** An actor was started again, how often so far, and why. */
export function restartLine({ actor, starts, reason }: RestartEvent, palette: Palette): string {
  const why = reason === "" ? "" : `: ${reason}`;
  return `  ${palette.warn("!")} ${actor} was restarted (start ${formatNumber(starts)})${why}`;
}

/** A message of the run; everything above INFO names its level. */
export function noticeLine(level: TelemetryLevelName, message: string, palette: Palette): string {
  if (level === "INFO") return `  ${palette.label("i")} ${message}`;
  const paint = level === "WARNING" ? palette.warn : palette.bad;
  return `  ${paint(`! ${level.toLowerCase()}`)}: ${message}`;
}
