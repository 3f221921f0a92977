/**
 * Predictions as CSV: the rows as they were read, then the predicted class with its probabilities,
 * or the predicted value in the target's own unit. Images have no rows to repeat, only a number.
 */
import type { TargetEncoding } from "../../protocols/dataset.ts";

export interface RawTable {
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

const PROBABILITY_DIGITS = 6;
const VALUE_DIGITS = 7;

/** RFC 4180: quoted only when it must be. */
function csvField(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function predictionHeader(target: TargetEncoding): string[] {
  const name = `predicted_${target.name}`;
  if (target.kind === "number") return [name];
  return [name, ...target.classes.map((label) => `probability_${label}`)];
}

function predictionFields(target: TargetEncoding, values: Float32Array, row: number): string[] {
  if (target.kind === "number") {
    const inUnits = (values[row] ?? Number.NaN) * target.scale + target.mean;
    return [String(Number(inUnits.toPrecision(VALUE_DIGITS)))];
  }
  const { classes } = target;
  const shares = values.subarray(row * classes.length, (row + 1) * classes.length);
  const best = shares.indexOf(Math.max(...shares));
  return [classes[best] ?? "", ...Array.from(shares, (share) => share.toFixed(PROBABILITY_DIGITS))];
}

/** `values` is [count, classes] probabilities or [count] scaled values. */
export function formatPredictions(
  target: TargetEncoding,
  values: Float32Array,
  raw: RawTable | null,
  count: number,
): string {
  const lines = [[...(raw?.header ?? ["row"]), ...predictionHeader(target)]];
  for (let row = 0; row < count; row++) {
    const given = raw === null ? [String(row + 1)] : (raw.rows[row] ?? []);
    lines.push([...given, ...predictionFields(target, values, row)]);
  }
  return `${lines.map((fields) => fields.map(csvField).join(",")).join("\n")}\n`;
}
