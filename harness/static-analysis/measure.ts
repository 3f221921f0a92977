/** The figures of a checkout: one row a folder, the functions, and the imports between layers. */
import { posix } from "node:path";
import { type FunctionMeasure, measureFunctions } from "./complexity.ts";
import { type Layer, layerOf, listImports } from "./imports.ts";
import { countLines, type LineCounts } from "./lines.ts";
import { readSources, type SourceUnit } from "./source.ts";

/** What the analysis looks at: the product and its harness, not the tests. */
export const MEASURED = ["src", "actors.config.ts", "harness.ts", "harness"] as const;

/** Totals of the files that lie directly in one folder. */
export interface FolderMeasure {
  readonly folder: string;
  readonly files: number;
  readonly lines: number;
  /** Comment lines over lines that are not blank, 0 to 1. */
  readonly commentShare: number;
  readonly linesMedian: number;
  readonly linesP90: number;
  readonly linesMax: number;
  readonly functions: number;
  readonly complexityMax: number;
}

/** The figures of one checkout. */
export interface Measure {
  readonly folders: readonly FolderMeasure[];
  /** All files together, as one more row. */
  readonly total: FolderMeasure;
  readonly functions: readonly FunctionMeasure[];
  /** How many imports go from one layer to another, keyed "from -> to". */
  readonly edges: ReadonlyMap<`${Layer} -> ${Layer}`, number>;
}

interface FileMeasure {
  readonly folder: string;
  readonly lines: LineCounts;
  readonly functions: readonly FunctionMeasure[];
}

/** Nearest-rank quantile; 0 for an empty list. */
function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

function measureFolder(folder: string, files: readonly FileMeasure[]): FolderMeasure {
  const totals = files.map((file) => file.lines.total);
  const comment = sum(files.map((file) => file.lines.comment));
  const code = sum(files.map((file) => file.lines.code));
  const functions = files.flatMap((file) => file.functions);
  return {
    folder,
    files: files.length,
    lines: sum(totals),
    commentShare: comment / Math.max(1, comment + code),
    linesMedian: quantile(totals, 0.5),
    linesP90: quantile(totals, 0.9),
    linesMax: Math.max(0, ...totals),
    functions: functions.length,
    complexityMax: Math.max(0, ...functions.map((one) => one.complexity)),
  };
}

function countEdges(units: readonly SourceUnit[]): Measure["edges"] {
  const edges = new Map<`${Layer} -> ${Layer}`, number>();
  for (const { from, target, byUrl } of units.flatMap(listImports)) {
    if (byUrl) continue;
    const source = layerOf(from);
    const reached = target === null ? null : layerOf(target);
    if (source === null || reached === null || source === reached) continue;
    const key = `${source} -> ${reached}` as const;
    edges.set(key, (edges.get(key) ?? 0) + 1);
  }
  return new Map([...edges].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Measures parsed files. */
export function measureUnits(units: readonly SourceUnit[]): Measure {
  const byFolder = new Map<string, FileMeasure[]>();
  for (const unit of units) {
    const folder = posix.dirname(unit.path);
    const file = { folder, lines: countLines(unit), functions: measureFunctions(unit) };
    byFolder.set(folder, [...(byFolder.get(folder) ?? []), file]);
  }
  const files = [...byFolder.values()].flat();
  return {
    folders: [...byFolder]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([folder, inside]) => measureFolder(folder, inside)),
    total: measureFolder("all", files),
    functions: files.flatMap((file) => file.functions),
    edges: countEdges(units),
  };
}

/** Measures the checkout at `root`. */
export function measureCheckout(root: string): Measure {
  return measureUnits(readSources(root, MEASURED));
}
