/** What one cell of a table says: nothing, a number, or text. Spaces around it do not count. */

const MISSING: ReadonlySet<string> = new Set(["", "NA", "NaN", "nan", "null", "NULL", "?"]);

/** For messages. */
export const MISSING_WORDS = 'empty, "NA", "NaN", "null" or "?"';

/** The value that stands for a missing cell of a categorical column. */
export const MISSING_CATEGORY = "(missing)";

/** Decimal notation only: hexadecimal and words such as Infinity are text. */
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;

/** The cell without the spaces around it, or null when it stands for a missing value. */
export function readText(cell: string): string | null {
  const text = cell.trim();
  return MISSING.has(text) ? null : text;
}

/** A finite number, or null when the text is not one. */
export function readNumber(text: string): number | null {
  if (!NUMBER.test(text)) return null;
  const value = Number(text);
  return Number.isFinite(value) ? value : null;
}
