/**
 * Turns column profiles into encodings. Mean and scale come from training rows alone, so nothing
 * of the validation rows reaches the model. Columns that cannot carry information are left out.
 */
import type { ColumnEncoding } from "../../../protocols/dataset.ts";
import { invalidData, quoted } from "../refuse.ts";
import { isConstant, type Moments, measureMoments } from "../statistics.ts";
import { readNumber, readText } from "./cells.ts";
import type { Table } from "./parse.ts";
import { type ColumnProfile, profileColumn } from "./profile.ts";

/** The encodings of the feature columns, in the order of the file. */
export interface FittedColumns {
  readonly encodings: readonly ColumnEncoding[];
  /** What a person should know: columns left out, unusual columns. */
  readonly notes: readonly string[];
}

/** A numeric column's values in the given rows, without the missing ones. */
export function* numbersIn(
  table: Table,
  index: number,
  rows: readonly number[],
): Generator<number> {
  for (const row of rows) {
    const text = readText(table.rows[row]?.[index] ?? "");
    const value = text === null ? null : readNumber(text);
    if (value !== null) yield value;
  }
}

/**
 * Mean and standard deviation of a column.
 * @throws {DATA_INVALID} when they are beyond what a number holds.
 */
export function momentsOf(table: Table, index: number, rows: readonly number[]): Moments {
  const moments = measureMoments(numbersIn(table, index, rows));
  if (Number.isFinite(moments.mean) && Number.isFinite(moments.deviation)) return moments;
  throw invalidData(
    table.path,
    `column ${quoted(table.header[index] ?? "")} holds numbers too large to standardise; ` +
      "scale them down",
  );
}

/**
 * Fits every column but the target.
 * @throws {DATA_INVALID} when no column is left, or one cannot be used.
 */
export function fitColumns(
  table: Table,
  targetIndex: number,
  rows: readonly number[],
  trainRows: readonly number[],
): FittedColumns {
  const encodings: ColumnEncoding[] = [];
  const notes: string[] = [];
  for (const index of table.header.keys()) {
    if (index === targetIndex) continue;
    const profile = profileColumn(table, index, rows);
    const encoding = fitColumn(table, profile, trainRows);
    if (encoding === null) {
      notes.push(`column ${quoted(profile.name)} left out: ${whyUseless(profile)}`);
      continue;
    }
    encodings.push(encoding);
    if (profile.kind === "categorical" && profile.numbers > 0) {
      notes.push(
        `column ${quoted(profile.name)} mixes ${profile.numbers} numbers with text: every ` +
          "different value is a category",
      );
    }
  }
  if (encodings.length > 0) return { encodings, notes };
  throw invalidData(
    table.path,
    `no feature column is left beside the target; ${notes.join("; ")}: add a column that varies`,
    { notes },
  );
}

function whyUseless(profile: ColumnProfile): string {
  return profile.kind === "empty"
    ? "every value is missing"
    : "it has the same value in every training row";
}

function fitColumn(
  table: Table,
  profile: ColumnProfile,
  trainRows: readonly number[],
): ColumnEncoding | null {
  const { name, index } = profile;
  if (profile.kind === "empty") return null;
  if (profile.kind === "categorical") {
    if (!variesIn(table, index, trainRows)) return null;
    return { kind: "categorical", name, values: profile.values };
  }
  const moments = momentsOf(table, index, trainRows);
  if (moments.count === 0 || isConstant(moments)) return null;
  return { kind: "numeric", name, mean: moments.mean, scale: moments.deviation };
}

function variesIn(table: Table, index: number, rows: readonly number[]): boolean {
  const first = readText(table.rows[rows[0] ?? 0]?.[index] ?? "");
  return rows.some((row) => readText(table.rows[row]?.[index] ?? "") !== first);
}
