/**
 * Applies stored column encodings to rows of a table: a number becomes (value - mean) / scale, a
 * category one of its places set to 1. The same code serves training and a finished model; it never
 * refits. Missing numbers become the training mean, which is 0 after scaling.
 */
import type { ColumnEncoding } from "../../../protocols/dataset.ts";
import { didYouMean } from "../../cli/suggest.ts";
import { invalidData, listed, quoted } from "../refuse.ts";
import { MISSING_CATEGORY, readNumber, readText } from "./cells.ts";
import type { Table } from "./parse.ts";

/** Missing cells that were filled in, by column name. */
export type FilledCounts = Map<string, number>;

/** Writes one row's features into `features`, whose length is `encodedWidth`. */
export type RowEncoder = (row: number, features: Float32Array) => void;

/** Features per row. */
export function encodedWidth(columns: readonly ColumnEncoding[]): number {
  return columns.reduce((sum, column) => sum + widthOf(column), 0);
}

function widthOf(column: ColumnEncoding): number {
  return column.kind === "numeric" ? 1 : column.values.length;
}

/**
 * An encoder for the rows of this table; it counts what it fills into `filled`.
 * @throws {DATA_INVALID} when a column is absent; the encoder itself throws it, with line, column
 * and value, for a cell that the encoding cannot take.
 */
export function createRowEncoder(
  table: Table,
  columns: readonly ColumnEncoding[],
  filled: FilledCounts,
): RowEncoder {
  const plans = columns.map((column) => ({ index: findColumn(table, column.name), column }));
  const places = columns.map((column) =>
    column.kind === "categorical" ? new Map(column.values.map((value, at) => [value, at])) : null,
  );
  return (row, features) => {
    let offset = 0;
    features.fill(0);
    for (const [at, { index, column }] of plans.entries()) {
      const cell: Cell = { table, row, column: column.name };
      const text = readText(table.rows[row]?.[index] ?? "");
      if (text === null) filled.set(column.name, (filled.get(column.name) ?? 0) + 1);
      if (column.kind === "numeric") features[offset] = encodeNumber(cell, column, text);
      else features[offset + findCategory(cell, places[at] ?? new Map(), text)] = 1;
      offset += widthOf(column);
    }
  };
}

/** The place of a column. @throws {DATA_INVALID} naming the nearest column and all of them. */
export function findColumn(table: Table, name: string): number {
  const index = table.header.indexOf(name);
  if (index >= 0) return index;
  throw invalidData(
    table.path,
    `there is no column ${quoted(name)}${didYouMean(name, table.header)}; the columns are ` +
      listed(table.header),
    { column: name, columns: table.header.slice(0, 64) },
  );
}

interface Cell {
  readonly table: Table;
  readonly row: number;
  readonly column: string;
}

/** A refusal of one cell, with its line and column. */
export function refuseCell(cell: Cell, value: string, why: string) {
  const line = cell.table.lines[cell.row] ?? 0;
  return invalidData(
    cell.table.path,
    `line ${line}, column ${quoted(cell.column)}: ${quoted(value)} ${why}`,
    { line, column: cell.column, value: value.slice(0, 200) },
  );
}

/** (value - mean) / scale as a 32-bit float. @throws {DATA_INVALID} for text and overflow. */
export function encodeNumber(
  cell: Cell,
  column: { readonly mean: number; readonly scale: number },
  text: string | null,
): number {
  if (text === null) return 0;
  const value = readNumber(text);
  if (value === null) {
    throw refuseCell(cell, text, "is not a finite number; the column is numeric");
  }
  const scaled = Math.fround((value - column.mean) / column.scale);
  if (Number.isFinite(scaled)) return scaled;
  throw refuseCell(cell, text, "is too far from the training values to be represented");
}

function findCategory(
  cell: Cell,
  places: ReadonlyMap<string, number>,
  text: string | null,
): number {
  const fallback = places.get(MISSING_CATEGORY);
  const place = places.get(text ?? MISSING_CATEGORY) ?? fallback;
  if (place !== undefined) return place;
  throw refuseCell(
    cell,
    text ?? "",
    `was not among the values in training; allowed: ${listed([...places.keys()])}`,
  );
}
