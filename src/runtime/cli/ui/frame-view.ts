/** The live frame's text for a width: a pure picture of the live state, from 60 columns up. */
import type { SeedStageName } from "../../../protocols/leyline/enums.ts";
import {
  formatCount,
  formatDuration,
  formatLoss,
  formatScore,
  NOT_AVAILABLE,
  plural,
} from "./format.ts";
import { stagePaint } from "./lines.ts";
import { type LiveSeed, type LiveState, secondsLeft, shareDone } from "./live-state.ts";
import type { Palette } from "./palette.ts";
import { displayWidth, padEnd, truncate } from "./width.ts";

/** Stages in which a seed is on its way and can still be culled. */
const GROWING: ReadonlySet<SeedStageName> = new Set([
  "GERMINATED",
  "TRAINING",
  "BLENDING",
  "SHADOWING",
  "PROBATIONARY",
]);

const LABEL_COLUMNS = 10;
const STAGE_COLUMNS = 12;
const MIN_SPARK_COLUMNS = 8;
const MAX_SPARK_COLUMNS = 48;
const SPARKS = "▁▂▃▄▅▆▇█";

/** The frame's lines, none wider than `columns`; before the first step it only says so. */
export function frameLines(
  state: LiveState,
  palette: Palette,
  nowMs: number,
  columns: number,
  maxLines: number,
): string[] {
  const head = ["", progressLine(state, palette, nowMs, columns)];
  if (state.progress === null && state.epoch === null) return head.slice(0, maxLines);
  const lines = [
    ...head,
    lossLine(state, palette, columns),
    scoreLine(state, palette, columns),
    speedLine(state, palette),
  ];
  const growing = [...state.seeds.values()].filter((seed) => GROWING.has(seed.stage));
  const room = Math.max(0, maxLines - lines.length);
  const step = state.progress?.step ?? state.epoch?.point.step ?? 0;
  const shown = growing.length > room ? growing.slice(0, Math.max(0, room - 1)) : growing;
  const rows = shown.map((seed) => seedRow(seed, step, palette, columns));
  const hidden = growing.length - shown.length;
  if (hidden > 0) rows.push(palette.faint(`  and ${plural(hidden, "more seed")}`));
  return [...lines, ...rows].slice(0, maxLines);
}

/** `filled` of `columns` cells, in eighths; `share` beyond 0..1 is held there. */
export function bar(share: number, columns: number): string {
  const held = Number.isFinite(share) ? Math.min(1, Math.max(0, share)) : 0;
  const eighths = Math.round(held * columns * 8);
  const full = Math.floor(eighths / 8);
  const partial = eighths % 8 === 0 ? "" : (" ▏▎▍▌▋▊▉"[eighths % 8] ?? "");
  return `${"█".repeat(full)}${partial}${"░".repeat(columns - full - (partial === "" ? 0 : 1))}`;
}

/** A value at a step; steps ascend. */
interface Sample {
  readonly step: number;
  readonly value: number;
}

/** A small plot of the whole run, lowest to highest: each column is the mean over its steps. */
export function spark(samples: readonly Sample[], columns: number): string {
  const known = samples.filter(({ value }) => Number.isFinite(value));
  const first = known[0];
  const last = known.at(-1);
  if (first === undefined || last === undefined || first.step >= last.step) return "";
  const width = Math.min(columns, known.length);
  const sums = new Float64Array(width);
  const counts = new Uint32Array(width);
  for (const { step, value } of known) {
    const column = Math.round(((step - first.step) / (last.step - first.step)) * (width - 1));
    sums[column] = (sums[column] ?? 0) + value;
    counts[column] = (counts[column] ?? 0) + 1;
  }
  const means = [...sums].map((sum, column) => sum / (counts[column] ?? 0));
  const present = means.filter((mean) => !Number.isNaN(mean));
  const low = Math.min(...present);
  const span = Math.max(...present) - low;
  // Means of equal values differ by the dust of binary fractions, which is not a curve.
  const flat = span <= 1e-9 * Math.abs(low);
  const level = (mean: number): number => (flat ? 0 : Math.round(((mean - low) / span) * 7));
  return means.map((mean) => (Number.isNaN(mean) ? " " : SPARKS[level(mean)])).join("");
}

function progressLine(state: LiveState, palette: Palette, nowMs: number, columns: number): string {
  const { progress, epoch, epochs, since } = state;
  if (progress === null && epoch === null) return palette.faint("starting ...");
  const number = progress?.epoch ?? epoch?.point.epoch ?? 0;
  const step = progress?.step ?? epoch?.point.step ?? 0;
  const left = secondsLeft(state, nowMs);
  const elapsed = since === null ? "" : formatDuration((nowMs - since.atMs) / 1_000, 0);
  const hedge = columns < 80 ? "" : "at most ";
  const remaining = left === null ? "" : `, ${hedge}${formatDuration(left, 0)} left`;
  const count = `${formatCount(number)}/${formatCount(epochs)}`;
  const before = `${palette.label(padEnd("epoch", LABEL_COLUMNS))}${count} `;
  const after = `  step ${formatCount(step)}  ${palette.faint(`${elapsed}${remaining}`)}`;
  const room = columns - displayWidth(before) - displayWidth(after);
  return `${before}${palette.good(bar(shareDone(state), Math.max(6, Math.min(60, room))))}${after}`;
}

function lossLine(state: LiveState, palette: Palette, columns: number): string {
  const point = state.epoch?.point;
  const now = state.progress === null ? "" : ` (now ${formatLoss(state.progress.trainingLoss)})`;
  return measureLine(
    "loss",
    point === undefined ? NOT_AVAILABLE : formatLoss(point.trainingLoss),
    now,
    point === undefined ? NOT_AVAILABLE : formatLoss(point.validationLoss),
    state.history.map(({ step, validationLoss }) => ({ step, value: validationLoss })),
    palette,
    columns,
  );
}

function scoreLine(state: LiveState, palette: Palette, columns: number): string {
  const point = state.epoch?.point;
  const score = (value: number | undefined): string =>
    formatScore(state.scoreName, value ?? Number.NaN);
  return measureLine(
    state.scoreName,
    score(point?.trainingScore),
    "",
    score(point?.validationScore),
    state.history.map(({ step, validationScore }) => ({ step, value: validationScore })),
    palette,
    columns,
  );
}

function measureLine(
  label: string,
  training: string,
  note: string,
  validation: string,
  history: readonly Sample[],
  palette: Palette,
  columns: number,
): string {
  const first = padEnd(`training ${palette.training(training)}${palette.faint(note)}`, 28);
  const second = padEnd(`validation ${palette.validation(validation)}`, 18);
  const line = `${palette.label(padEnd(label, LABEL_COLUMNS))}${first}  ${second}`;
  const room = Math.min(MAX_SPARK_COLUMNS, columns - displayWidth(line) - 2);
  const plot = room < MIN_SPARK_COLUMNS ? "" : spark(history, room);
  return plot === "" ? line.trimEnd() : `${line}  ${palette.validation(plot)}`;
}

function speedLine(state: LiveState, palette: Palette): string {
  const { epoch, hostParameters, totalParameters, restarts, seeds } = state;
  const speed = epoch === null ? NOT_AVAILABLE : formatCount(epoch.samplesPerSecond);
  const grown = totalParameters === hostParameters ? "" : ` -> ${formatCount(totalParameters)}`;
  const count = (stage: SeedStageName): number =>
    [...seeds.values()].filter((seed) => seed.stage === stage).length;
  const kept = count("FOSSILIZED");
  return [
    `${palette.label(padEnd("speed", LABEL_COLUMNS))}${speed} samples/s`,
    `${formatCount(hostParameters)}${grown} parameters`,
    ...(kept > 0 ? [`${plural(kept, "seed")} kept`] : []),
    ...(restarts > 0 ? [palette.warn(plural(restarts, "restart"))] : []),
  ].join("   ");
}

/** Name, stage and how far the seed is blended in; its age where there is room. */
function seedRow(seed: LiveSeed, step: number, palette: Palette, columns: number): string {
  const age = `  ${formatCount(Math.max(0, step - seed.germinatedAtStep))} steps old`;
  const tail = `  alpha ${seed.alpha.toFixed(2)}${columns >= 90 ? age : ""}`;
  const barColumns = Math.max(6, Math.min(24, Math.floor(columns / 6)));
  const fixed = 2 + 2 + STAGE_COLUMNS + 2 + barColumns + displayWidth(tail);
  const nameColumns = Math.max(8, Math.min(48, columns - fixed));
  const name = truncate(`${seed.seedId} ${seed.name} at ${seed.siteId}`, nameColumns);
  const paint = stagePaint(seed.stage, palette);
  return (
    `  ${padEnd(name, nameColumns)}  ${paint(padEnd(seed.stage, STAGE_COLUMNS))}  ` +
    `${paint(bar(seed.alpha, barColumns))}${tail}`
  );
}
