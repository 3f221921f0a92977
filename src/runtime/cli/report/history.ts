/**
 * The rows of `metrics.jsonl` as curves and lives. Rows come from a file, so nothing about them is
 * taken for granted: a field that is missing or of another type is a gap, an unknown kind of row
 * is counted and left out.
 */
import type { MetricRow } from "../../../protocols/actors/durable.ts";
import type { GateResult } from "../../../protocols/actors/growth.ts";
import type { SeedGateName, SeedStageName } from "../../../protocols/leyline/enums.ts";
import { SeedGate, SeedStage } from "../../../protocols/leyline/enums.ts";
import type { Point } from "./downsample.ts";

/** One move of a seed, as far as the row told. */
export interface Move {
  readonly step: number;
  readonly from: SeedStageName;
  readonly to: SeedStageName;
  readonly reason: string;
  readonly gate: GateResult | null;
}

export interface SeedHistory {
  readonly seedId: string;
  siteId: string;
  blueprintName: string;
  parameters: number | null;
  readonly moves: Move[];
  readonly alpha: Point[];
}

const CURVES = {
  stepLoss: ["step", "training_loss"],
  gradientNorm: ["step", "gradient_norm"],
  learningRate: ["step", "learning_rate"],
  stepParameters: ["step", "total_parameters"],
  trainingLoss: ["epoch", "training_loss"],
  validationLoss: ["epoch", "validation_loss"],
  trainingScore: ["epoch", "training_score"],
  validationScore: ["epoch", "validation_score"],
  epochParameters: ["epoch", "total_parameters"],
  samplesPerSecond: ["epoch", "samples_per_second_wall"],
} as const satisfies Record<string, readonly [kind: string, field: string]>;

export type CurveName = keyof typeof CURVES;

export interface RunHistory {
  readonly curves: Readonly<Record<CurveName, readonly Point[]>>;
  readonly seeds: readonly SeedHistory[];
  /** Steps at which the controller's answer came too late. */
  readonly missedDecisions: readonly number[];
  readonly lastStep: number;
  readonly rows: number;
  /** Rows of a kind that this report does not know. */
  readonly unknownRows: number;
}

export function readHistory(rows: readonly MetricRow[]): RunHistory {
  const ordered = inOrder(rows.filter((row) => toNumber(row.step) !== null));
  const seeds = new Map<string, SeedHistory>();
  const missedDecisions: number[] = [];
  let unknownRows = rows.length - ordered.length;
  for (const row of ordered) {
    if (row["kind"] === "seed") addMove(seeds, row);
    else if (row["kind"] === "step") addAlphas(seeds, row);
    else if (row["kind"] === "decision_miss") missedDecisions.push(row.step);
    else if (row["kind"] !== "epoch") unknownRows += 1;
  }
  return {
    curves: readCurves(ordered),
    seeds: [...seeds.values()],
    missedDecisions,
    lastStep: ordered.at(-1)?.step ?? 0,
    rows: rows.length,
    unknownRows,
  };
}

/** A run that was resumed may have written its rows in pieces. */
function inOrder(rows: readonly MetricRow[]): readonly MetricRow[] {
  const sorted = rows.every((row, index) => row.step >= (rows[index - 1]?.step ?? row.step));
  return sorted ? rows : [...rows].sort((left, right) => left.step - right.step);
}

function readCurves(rows: readonly MetricRow[]): Readonly<Record<CurveName, Point[]>> {
  const empty = Object.keys(CURVES).map((name) => [name, [] as Point[]]);
  const curves = Object.fromEntries(empty) as Record<CurveName, Point[]>;
  const names = Object.keys(CURVES) as CurveName[];
  for (const row of rows) {
    for (const name of names) {
      const [kind, field] = CURVES[name];
      // An absent field is no measurement; `null` is one that was not a finite number.
      if (row["kind"] !== kind || row[field] === undefined) continue;
      curves[name].push({ x: row.step, y: toNumber(row[field]) });
    }
  }
  return curves;
}

function seedOf(seeds: Map<string, SeedHistory>, seedId: string): SeedHistory {
  const known = seeds.get(seedId);
  if (known !== undefined) return known;
  const seed = { seedId, siteId: "", blueprintName: "", parameters: null, moves: [], alpha: [] };
  seeds.set(seedId, seed);
  return seed;
}

function addMove(seeds: Map<string, SeedHistory>, row: MetricRow): void {
  const seedId = toText(row["seed_id"]);
  if (seedId === "") return;
  const seed = seedOf(seeds, seedId);
  seed.siteId = toText(row["site_id"]) || seed.siteId;
  const blueprint = toText(row["blueprint_name"]) || toText(row["blueprint_id"]);
  seed.blueprintName = blueprint || seed.blueprintName;
  seed.parameters = toNumber(row["parameters"]) ?? seed.parameters;
  const { step } = row;
  const from = toStage(row["from"]);
  const to = toStage(row["to"]);
  seed.moves.push({ step, from, to, reason: toText(row["reason"]), gate: toGate(row["gate"]) });
  const alpha = toNumber(row["alpha"]);
  if (alpha !== null) seed.alpha.push({ x: step, y: alpha });
}

function addAlphas(seeds: Map<string, SeedHistory>, row: MetricRow): void {
  const listed = row["seeds"];
  if (!Array.isArray(listed)) return;
  for (const item of listed) {
    const entry = toRecord(item);
    const seedId = toText(entry["seed_id"]);
    if (seedId === "") continue;
    const seed = seedOf(seeds, seedId);
    seed.alpha.push({ x: row.step, y: toNumber(entry["alpha"]) });
    const stage = toStage(entry["stage"]);
    const before = seed.moves.at(-1)?.to;
    // Moves may be missing from a cut file; the stage seen in a step stands in for them.
    if (stage === "UNKNOWN" || stage === before) continue;
    seed.moves.push({
      step: row.step,
      from: before ?? "UNKNOWN",
      to: stage,
      reason: "",
      gate: null,
    });
  }
}

function toGate(value: unknown): GateResult | null {
  const record = toRecord(value);
  const gate = toText(record["gate"]);
  if (!isGate(gate)) return null;
  const numbers: Record<string, number> = {};
  for (const [name, number] of Object.entries(toRecord(record["numbers"]))) {
    numbers[name] = toNumber(number) ?? Number.NaN;
  }
  return { gate, passed: record["passed"] === true, reason: toText(record["reason"]), numbers };
}

const isGate = (name: string): name is SeedGateName => Object.hasOwn(SeedGate, name);
const isStage = (name: string): name is SeedStageName => Object.hasOwn(SeedStage, name);

const toStage = (value: unknown): SeedStageName =>
  typeof value === "string" && isStage(value) ? value : "UNKNOWN";

const toNumber = (value: unknown): number | null =>
  typeof value === "number" && Number.isFinite(value) ? value : null;

const toText = (value: unknown): string => (typeof value === "string" ? value : "");

function toRecord(value: unknown): Readonly<Record<string, unknown>> {
  return value !== null && typeof value === "object" ? { ...value } : {};
}
