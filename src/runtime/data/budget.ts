/**
 * The memory budget of a data set. Sizes are checked before memory is taken, so a file that does
 * not fit is refused and never half read.
 */
import { EsperError } from "../../protocols/errors.ts";

const MIB = 1_048_576;

/** Bytes as MiB for people: one decimal, more for what is smaller than that. */
export function formatMib(bytes: number): string {
  return `${bytes < MIB ? (bytes / MIB).toPrecision(2) : (bytes / MIB).toFixed(1)} MiB`;
}

/** @throws {DATA_TOO_LARGE} when `neededBytes` is beyond `budgetBytes`; `what` needs them. */
export function assertWithinBudget(
  path: string,
  what: string,
  neededBytes: number,
  budgetBytes: number,
): void {
  if (neededBytes <= budgetBytes) return;
  throw tooLarge(path, `${what} takes ${formatMib(neededBytes)}`, neededBytes, budgetBytes);
}

/** The DATA_TOO_LARGE error; `neededBytes` is null when only known to be beyond the budget. */
export function tooLarge(
  path: string,
  what: string,
  neededBytes: number | null,
  budgetBytes: number,
): EsperError {
  return new EsperError(
    "DATA_TOO_LARGE",
    `${path}: ${what}, the memory budget for data is ${formatMib(budgetBytes)}: ` +
      "use fewer rows or columns",
    { path, neededBytes, budgetBytes },
  );
}
