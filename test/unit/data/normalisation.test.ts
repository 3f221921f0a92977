import { expect, it } from "vitest";
import { normalisationNote } from "../../../src/runtime/data/normalisation.ts";

const numeric = { kind: "numeric", name: "a", mean: 1, scale: 2 } as const;
const colour = { kind: "categorical", name: "c", values: ["red", "blue"] } as const;
const classes = { kind: "classes", name: "t", classes: ["x", "y"] } as const;

it("says how table columns and a numeric target were scaled", () => {
  const input = { kind: "table", columns: [numeric, numeric, colour] } as const;
  expect(normalisationNote({ input, target: classes })).toBe(
    "2 numeric columns standardised by the training rows, " +
      "1 categorical columns as one input per value",
  );
  const target = { kind: "number", name: "t", mean: 12, scale: 3.5 } as const;
  expect(normalisationNote({ input, target })).toMatch(/; target is \(value - 12.00\) \/ 3.500$/);
});

it("says how pixels were scaled", () => {
  const input = { kind: "grid", mean: 0.25, scale: 0.5 } as const;
  expect(normalisationNote({ input, target: classes })).toBe("inputs are (pixel - 0.250) / 0.500");
});
