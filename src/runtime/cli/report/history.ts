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

/** A seed's life: its moves and its alpha, by ascending step. */
export interface SeedHistory {
  readonly seedId: string;
  readonly siteId: string;
  readonly blueprintName: string;
  readonly parameters: number | null;
  readonly moves: readonly Move[];
  readonly alpha: readonly Point[];
}

/** A seed's history while it is being read. */
interface Draft {
  readonly seedId: string;
  siteId: string;
  blueprintName: string;
  parameters: number | null;
  readonly moves: Move[];
  /** Moves as the step rows let them be guessed: used only where no move was recorded. */
  readonly sightings: Move[];
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

/** The curves that rows can hold. */
export type CurveName = keyof typeof CURVES;

/** Everything the report knows from the rows. */
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

/** Reads all rows; never throws because of what they hold. */
export function readHistory(rows: readonly MetricRow[]): RunHistory {
  const ordered = inOrder(rows.filter((row) => toNumber(row.step) !== null));
  const seeds = new Map<string, Draft>();
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
    seeds: [...seeds.values()].map(({ sightings, ...seed }) =>
      seed.moves.length === 0 ? { ...seed, moves: sightings } : seed,
    ),
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
  const names = Object.keys(CURVES) as CurveName[];
  const empty = names.map((name) => [name, [] as Point[]]);
  const curves = Object.fromEntries(empty) as Record<CurveName, Point[]>;
  const ofKind = (kind: string): CurveName[] => names.filter((name) => CURVES[name][0] === kind);
  const byKind = new Map<unknown, CurveName[]>(
    ["step", "epoch"].map((kind) => [kind, ofKind(kind)]),
  );
  for (const row of rows) {
    for (const name of byKind.get(row["kind"]) ?? []) {
      const value = row[CURVES[name][1]];
      // An absent field is no measurement; `null` is one that was not a finite number.
      if (value !== undefined) curves[name].push({ x: row.step, y: toNumber(value) });
    }
  }
  return curves;
}

function seedOf(seeds: Map<string, Draft>, seedId: string): Draft {
  const known = seeds.get(seedId);
  if (known !== undefined) return known;
  const empty = { moves: [], sightings: [], alpha: [] };
  const seed: Draft = { seedId, siteId: "", blueprintName: "", parameters: null, ...empty };
  seeds.set(seedId, seed);
  return seed;
}

function addMove(seeds: Map<string, Draft>, row: MetricRow): void {
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

function addAlphas(seeds: Map<string, Draft>, row: MetricRow): void {
  const listed = row["seeds"];
  if (!Array.isArray(listed)) return;
  for (const item of listed) {
    const entry = toRecord(item);
    const seedId = toText(entry["seed_id"]);
    if (seedId === "") continue;
    const seed = seedOf(seeds, seedId);
    // A move of the same step already told the alpha after it.
    if (seed.alpha.at(-1)?.x !== row.step) {
      seed.alpha.push({ x: row.step, y: toNumber(entry["alpha"]) });
    }
    addSighting(seed, row.step, toStage(entry["stage"]));
  }
}

/** A stage that a step row shows, kept where it differs from the one before. */
function addSighting(seed: Draft, step: number, to: SeedStageName): void {
  const from = seed.sightings.at(-1)?.to ?? "UNKNOWN";
  if (to === "UNKNOWN" || to === from) return;
  seed.sightings.push({ step, from, to, reason: "", gate: null });
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

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  value !== null && typeof value === "object";

function toRecord(value: unknown): Readonly<Record<string, unknown>> {
  return isRecord(value) ? value : {};
}
