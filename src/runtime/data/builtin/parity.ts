/** Parity of eight bits, all 256 cases: one flipped bit always changes the answer. */
import type { Dataset } from "../../../protocols/dataset.ts";
import { assemblePoints, type LabelledPoint } from "./assemble.ts";

const BITS = 8;

function makeCase(bits: number): LabelledPoint {
  const values = Array.from({ length: BITS }, (_, at) => ((bits >> at) & 1 ? 1 : -1));
  return { values, label: values.filter((value) => value > 0).length % 2 };
}

/** Inputs are -1 and 1. The cases are the same for every seed. */
export function makeParity(): Dataset {
  const cases = Array.from({ length: 2 ** BITS }, (_, bits) => makeCase(bits));
  return assemblePoints({
    name: "parity",
    columns: Array.from({ length: BITS }, (_, at) => `bit${at + 1}`),
    targetName: "parity",
    classes: ["even", "odd"],
    train: cases,
    validation: cases,
    test: null,
    standardise: false,
    notes: [
      "validation is the training set: parity asks whether all 256 cases can be represented, " +
        "not whether they generalise; there is no test part",
    ],
  });
}
