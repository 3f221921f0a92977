/** The rows as a person reads them: what was promised, what was measured, what the sides did. */
import { type Bound, type Figure, middle, type Row } from "./row.ts";

const MILLION = 1e6;
const THOUSAND = 1e3;

/** Three digits and a unit a person can compare: 13.6 M, 253 k, 1.09. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return "-";
  if (value >= MILLION) return `${(value / MILLION).toPrecision(3)} M`;
  if (value >= THOUSAND) return `${(value / THOUSAND).toPrecision(3)} k`;
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

/** A ratio below a half is told as its reciprocal. */
const ratio = (value: number): string =>
  value < 0.5 ? `1/${short(1 / value)}` : `${short(value)}x`;

function amount(value: number, unit: string): string {
  if (unit === "x") return ratio(value);
  return unit === "us" && value >= THOUSAND
    ? `${short(value / THOUSAND)} ms`
    : `${short(value)} ${unit}`;
}

function promise(bound: Bound | null, unit: string): string {
  if (bound === null) return "";
  if ("atLeast" in bound) return `>= ${amount(bound.atLeast, unit)}`;
  return `<= ${amount(bound.atMost, unit)}`;
}

function figure(one: Figure): string {
  const value = `${one.name} ${amount(middle(one), one.unit)}`;
  if (one.percentiles === undefined || one.unit !== "us") return value;
  return `${value} (p99 ${amount(one.percentiles.p99, "us")})`;
}

function verdict(row: Row): string {
  if (row.note.startsWith("SKIPPED")) return "SKIPPED";
  if (row.kept === null) return "";
  return row.kept ? "kept" : "BROKEN";
}

const HEAD = ["", "what", "measured", "promised", "ours", "peer"];

const cells = (row: Row): string[] => [
  verdict(row),
  row.claim,
  Number.isNaN(row.measured) ? "-" : amount(row.measured, row.unit),
  promise(row.bound, row.unit),
  figure(row.ours),
  row.peer === null ? row.note : figure(row.peer),
];

/** Lines of equal columns under one head. */
export function renderTable(rows: readonly Row[]): string[] {
  const lines = [HEAD, ...rows.map(cells)];
  const widths = HEAD.map((_, column) =>
    Math.max(...lines.map((line) => line[column]?.length ?? 0)),
  );
  return lines.map((line) =>
    line
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}
