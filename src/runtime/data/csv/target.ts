/**
 * The column to predict. Numbers make a regression, text makes a classification; there is no third
 * rule. Rows without a target are left out and counted.
 */
import type { TargetEncoding } from "../../../protocols/dataset.ts";
import { invalidData, listed, quoted } from "../refuse.ts";
import { isConstant } from "../statistics.ts";
import { readText } from "./cells.ts";
import { encodeNumber, findColumn, refuseCell } from "./encode.ts";
import { momentsOf } from "./fit.ts";
import type { Table } from "./parse.ts";
import { type ColumnProfile, profileColumn } from "./profile.ts";

/** The target as the file has it, before any scaling. */
export interface TargetColumn {
  readonly index: number;
  readonly name: string;
  readonly kind: "classes" | "number";
  /** Sorted class names; empty for numbers. */
  readonly classes: readonly string[];
  /** Rows that have a target. */
  readonly rows: readonly number[];
  readonly missing: number;
}

/** Rows that have a value in the column, and how many have not. */
export function rowsWithTarget(
  table: Table,
  index: number,
): Pick<TargetColumn, "rows" | "missing"> {
  const rows = [...table.rows.keys()].filter((row) => cellText(table, row, index) !== null);
  return { rows, missing: table.rows.length - rows.length };
}

/** @throws {DATA_INVALID} when the column is absent, empty or the same everywhere. */
export function readTarget(table: Table, name: string): TargetColumn {
  const index = findColumn(table, name);
  const { rows, missing } = rowsWithTarget(table, index);
  const profile = profileColumn(table, index, rows);
  if (profile.kind === "empty") {
    throw invalidData(table.path, `target ${quoted(name)}: every value is missing`);
  }
  refuseConstant(table, profile, rows);
  const kind = profile.kind === "numeric" ? "number" : "classes";
  return { index, name, kind, classes: profile.values, rows, missing };
}

function refuseConstant(table: Table, profile: ColumnProfile, rows: readonly number[]): void {
  const constant =
    profile.kind === "numeric"
      ? isConstant(momentsOf(table, profile.index, rows))
      : profile.values.length === 1;
  if (!constant) return;
  const value = cellText(table, rows[0] ?? 0, profile.index) ?? "";
  throw invalidData(
    table.path,
    `target ${quoted(profile.name)} is ${quoted(value)} in all ${rows.length} rows; ` +
      "there is nothing to learn: add rows with another value or choose another target",
    { column: profile.name, value },
  );
}

/** Class index per entry of `target.rows`; all zero for a numeric target. For the split. */
export function groupsOf(table: Table, target: TargetColumn): number[] {
  const places = new Map(target.classes.map((value, at) => [value, at]));
  return target.rows.map((row) => places.get(cellText(table, row, target.index) ?? "") ?? 0);
}

/** @throws {DATA_INVALID} when all training rows have the same number. */
export function fitTarget(
  table: Table,
  target: TargetColumn,
  trainRows: readonly number[],
): TargetEncoding {
  const { name, classes } = target;
  if (target.kind === "classes") return { kind: "classes", name, classes };
  const moments = momentsOf(table, target.index, trainRows);
  if (isConstant(moments)) {
    throw invalidData(
      table.path,
      `target ${quoted(name)} is the same in all ${trainRows.length} training rows; add rows or ` +
        "choose another seed for the split",
    );
  }
  return { kind: "number", name, mean: moments.mean, scale: moments.deviation };
}

/**
 * Reads targets by a stored encoding: a class index, or (value - mean) / scale.
 * @throws {DATA_INVALID} with the line for a class the model does not know, and for text.
 */
export function createTargetReader(
  table: Table,
  index: number,
  encoding: TargetEncoding,
): (row: number) => number {
  if (encoding.kind === "number") {
    return (row) =>
      encodeNumber({ table, row, column: encoding.name }, encoding, cellText(table, row, index));
  }
  const places = new Map(encoding.classes.map((value, at) => [value, at]));
  return (row) => {
    const text = cellText(table, row, index) ?? "";
    const place = places.get(text);
    if (place !== undefined) return place;
    const why = `is not a class of this model; its classes are ${listed(encoding.classes)}`;
    throw refuseCell({ table, row, column: encoding.name }, text, why);
  };
}

function cellText(table: Table, row: number, index: number): string | null {
  return readText(table.rows[row]?.[index] ?? "");
}
