/** Says in one line how raw values became inputs and targets, for whoever reads the start. */
import type { Dataset } from "../../protocols/dataset.ts";

type Encodings = Pick<Dataset, "input" | "target">;

function inputNote({ input }: Encodings): string {
  if (input.kind === "grid") {
    const [mean, scale] = [input.mean, input.scale].map((value) => value.toPrecision(3));
    return `inputs are (pixel - ${mean}) / ${scale}`;
  }
  const numeric = input.columns.filter((column) => column.kind === "numeric").length;
  const categorical = input.columns.length - numeric;
  const parts = [`${numeric} numeric columns standardised by the training rows`];
  if (categorical > 0) parts.push(`${categorical} categorical columns as one input per value`);
  return parts.join(", ");
}

function targetNote({ target }: Encodings): string {
  if (target.kind === "classes") return "";
  const [mean, scale] = [target.mean, target.scale].map((value) => value.toPrecision(4));
  return `; target is (value - ${mean}) / ${scale}`;
}

/** For example `7 numeric columns standardised by the training rows; target is (value - 4) / 2`. */
export function normalisationNote(dataset: Encodings): string {
  return `${inputNote(dataset)}${targetNote(dataset)}`;
}
