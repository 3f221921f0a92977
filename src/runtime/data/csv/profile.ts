/**
 * Decides what each column is, looking at every row and never at the target. A column is numeric
 * when every value is a finite number, and categorical otherwise; a few words among numbers are a
 * mistake in the file and are refused with their line.
 */
import { invalidData, quoted } from "../refuse.ts";
import { MISSING_CATEGORY, MISSING_WORDS, readNumber, readText } from "./cells.ts";
import type { Table } from "./parse.ts";

/** More values than this look like an identifier. */
export const MAX_CATEGORIES = 256;
/** From this share of numbers on, a text in the column is taken as a mistake. */
const MOSTLY_NUMERIC = 0.95;

/** What the rows of one column have in common. */
export interface ColumnProfile {
  readonly name: string;
  readonly index: number;
  /** "empty": not one value is present. */
  readonly kind: "numeric" | "categorical" | "empty";
  readonly missing: number;
  /** Of a categorical column: its values, sorted, with "(missing)" last when a cell is missing. */
  readonly values: readonly string[];
  /** Numbers among the words of a categorical column. */
  readonly numbers: number;
}

/**
 * Looks at the given rows of one column.
 * @throws {DATA_INVALID} for text in a numeric column and for more than 256 categories.
 */
export function profileColumn(table: Table, index: number, rows: readonly number[]): ColumnProfile {
  const name = table.header[index] ?? "";
  const values = new Set<string>();
  let missing = 0;
  let numbers = 0;
  let firstText: { row: number; text: string } | null = null;
  for (const row of rows) {
    const text = readText(table.rows[row]?.[index] ?? "");
    if (text === null) {
      missing++;
      continue;
    }
    if (readNumber(text) !== null) numbers++;
    else firstText ??= { row, text };
    // One value beyond the limit is enough to know; a file of ids must not fill the memory.
    if (values.size <= MAX_CATEGORIES) values.add(text);
  }
  const present = rows.length - missing;
  const base = { name, index, missing };
  if (present === 0) return { ...base, kind: "empty", values: [], numbers };
  if (firstText === null) return { ...base, kind: "numeric", values: [], numbers };
  if (numbers / present >= MOSTLY_NUMERIC) {
    throw refuseText(table, name, firstText, { numbers, present });
  }
  if (values.size > MAX_CATEGORIES) throw refuseCategories(table, name, present);
  return { ...base, kind: "categorical", values: sortedValues(values, missing > 0), numbers };
}

function sortedValues(values: ReadonlySet<string>, withMissing: boolean): string[] {
  const names = [...values].filter((value) => value !== MISSING_CATEGORY).sort();
  const needed = withMissing || values.has(MISSING_CATEGORY);
  return needed ? [...names, MISSING_CATEGORY] : names;
}

function refuseText(
  table: Table,
  column: string,
  found: { readonly row: number; readonly text: string },
  counts: { readonly numbers: number; readonly present: number },
) {
  const line = table.lines[found.row] ?? 0;
  return invalidData(
    table.path,
    `line ${line}, column ${quoted(column)}: ${quoted(found.text)} is not a finite number, but ` +
      `${counts.numbers} of ${counts.present} values of the column are; correct the cell, or ` +
      `leave it ${MISSING_WORDS} to mark it missing`,
    { line, column, value: found.text.slice(0, 200) },
  );
}

function refuseCategories(table: Table, column: string, present: number) {
  return invalidData(
    table.path,
    `column ${quoted(column)} has more than ${MAX_CATEGORIES} different texts in ${present} ` +
      "rows, so it looks like an identifier or free text; remove the column from the file (or, " +
      "when it is the target, choose another)",
    { column, allowed: MAX_CATEGORIES },
  );
}
