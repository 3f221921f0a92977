/** Parity of N bits, all 2^N cases: one flipped bit always changes the answer. */
import type { Dataset } from "../../../protocols/dataset.ts";
import { assemblePoints, type LabelledPoint } from "./assemble.ts";

function makeCase(pattern: number, bits: number): LabelledPoint {
  const values = Array.from({ length: bits }, (_, at) => ((pattern >> at) & 1 ? 1 : -1));
  return { values, label: values.filter((value) => value > 0).length % 2 };
}

/** Inputs are -1 and 1. The cases are the same for every seed. */
export function makeParity(name: string, bits: number): Dataset {
  const cases = Array.from({ length: 2 ** bits }, (_, pattern) => makeCase(pattern, bits));
  return assemblePoints({
    name,
    columns: Array.from({ length: bits }, (_, at) => `bit${at + 1}`),
    targetName: "parity",
    classes: ["even", "odd"],
    train: cases,
    validation: cases,
    test: null,
    standardise: false,
    notes: [
      `validation is the training set: parity asks whether all ${2 ** bits} cases fit, ` +
        "not whether they generalise; there is no test part",
    ],
  });
}
