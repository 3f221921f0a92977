/** Reads a CSV file when the memory for reading it is there. */
import { assertWithinBudget, formatMib } from "../budget.ts";
import { checkSource, type LoadOptions, readSource } from "../source.ts";
import { parseCsv, type Table } from "./parse.ts";

/**
 * Memory that text, cells and rows take while a table is read, per byte of the file. Measured: 15
 * for 300,000 rows of eight short cells.
 */
const BYTES_PER_FILE_BYTE = 16;

/** @throws {DATA_INVALID} @throws {DATA_TOO_LARGE} before the file is read. */
export async function readTable(path: string, options: LoadOptions): Promise<Table> {
  const size = await checkSource(path, options);
  assertWithinBudget(
    path,
    `reading its ${formatMib(size)} as a table`,
    size * BYTES_PER_FILE_BYTE,
    options.budgetBytes,
  );
  return parseCsv(path, await readSource(path, options));
}
