import { readFileSync, statSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { loadDataset } from "../../../src/runtime/data/load.ts";
import { OPTIONS } from "./support.ts";
import { trainedScore } from "./tiny-net.ts";

const FOLDER = new URL("../../../examples/data/", import.meta.url);
const TARGETS = { "orchard.csv": "ripens", "kiln.csv": "strength_mpa" } as const;
const FILES = ["orchard.csv", "kiln.csv"] as const;

function load(name: (typeof FILES)[number]) {
  const file = new URL(name, FOLDER).pathname;
  const request = { kind: "csv", file, target: TARGETS[name], validationShare: 0.2 } as const;
  return loadDataset({ ...request, seed: 42 }, OPTIONS);
}

describe("the example tables", () => {
  it.each(FILES)("%s is what its script writes", async (name) => {
    const script: unknown = await import(new URL("make-examples.mjs", FOLDER).href);
    const { EXAMPLES } = script as { EXAMPLES: Record<string, () => string> };
    const path = new URL(name, FOLDER);
    expect(EXAMPLES[name]?.()).toBe(readFileSync(path, "utf8"));
    expect(statSync(path).size).toBeLessThan(60_000);
  });

  it("orchard.csv is a classification with quoted, categorical and missing cells", async () => {
    const data = await load("orchard.csv");
    expect(data.task).toBe("classification");
    expect(data.input).toMatchObject({
      columns: [
        { name: "east_m" },
        { name: "north_m" },
        { name: "rain_mm" },
        {
          name: "soil",
          values: ["clay, heavy", "clay, light", 'loam "black"', "sand", "(missing)"],
        },
      ],
    });
    expect(data.report.filled["rain_mm"]).toBeGreaterThan(0);
    expect(data.report.filled["soil"]).toBeGreaterThan(0);
    expect(data.report.dropped["missing value in ripens"]).toBeGreaterThan(0);
  });

  it("orchard.csv needs more than a few units", async () => {
    const data = await load("orchard.csv");
    expect(trainedScore(data, 4, 150)).toBeLessThan(0.7);
    expect(trainedScore(data, 16, 500)).toBeGreaterThan(0.85);
  });

  it("kiln.csv is a regression that needs more than a few units", async () => {
    const data = await load("kiln.csv");
    expect(data.task).toBe("regression");
    expect(trainedScore(data, 0, 60)).toBeLessThan(0.2);
    expect(trainedScore(data, 2, 150)).toBeLessThan(0.65);
    expect(trainedScore(data, 32, 250)).toBeGreaterThan(0.75);
  });
});
