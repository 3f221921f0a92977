import { describe, expect, it } from "vitest";
import type { Dataset } from "../../../src/protocols/dataset.ts";
import { digestDataset } from "../../../src/runtime/data/digest.ts";
import { loadText } from "./support.ts";

function load(): Promise<Dataset> {
  const rows = Array.from({ length: 20 }, (_, row) => `${row},${row % 2 ? "yes" : "no"}`);
  return loadText(["a,y", ...rows].join("\n"));
}

describe("the digest of a data set", () => {
  it("changes with every single value of every part", async () => {
    const data = await load();
    const test = { count: 1, x: Float32Array.of(1), y: Float32Array.of(0) };
    const whole = { ...data, test };
    const seen = new Set([digestDataset(whole)]);
    const arrays = [data.train, data.validation, test].flatMap(({ x, y }) => [x, y]);
    for (const values of arrays) {
      values[0]! += 1;
      seen.add(digestDataset(whole));
    }
    expect(seen.size).toBe(1 + arrays.length);
  });

  it("changes with the shape, the task and the encodings", async () => {
    const data = await load();
    const variants: Dataset[] = [
      data,
      { ...data, inputShape: [1, 1, 1] },
      { ...data, task: "regression" },
      { ...data, input: { kind: "grid", mean: 0, scale: 1 } },
      { ...data, target: { kind: "classes", name: "y", classes: ["yes", "no"] } },
    ];
    expect(new Set(variants.map(digestDataset)).size).toBe(variants.length);
  });

  it("does not depend on names, notes or where the file lies", async () => {
    const data = await load();
    const moved = { ...data, name: "other", report: { ...data.report, source: "elsewhere" } };
    expect(digestDataset(moved)).toBe(data.digest);
  });
});
