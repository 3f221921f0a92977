import { describe, expect, it } from "vitest";
import { readHistory } from "../../../src/runtime/cli/report/history.ts";
import { stageBands } from "../../../src/runtime/cli/report/seed-lanes.ts";
import { fateOf } from "../../../src/runtime/cli/report/tables.ts";
import { fakeRows } from "./fake-run.ts";

describe("reading rows", () => {
  const history = readHistory(fakeRows());

  it("finds every curve and every seed", () => {
    expect(history.curves.stepLoss).toHaveLength(600);
    expect(history.curves.validationScore).toHaveLength(60);
    expect(history.lastStep).toBe(2_400);
    expect(history.seeds.map(({ seedId, siteId }) => [seedId, siteId])).toEqual([
      ["seed-1", "hidden1"],
      ["seed-2", "hidden1"],
      ["seed-3", "hidden2"],
    ]);
    expect(history.unknownRows).toBe(0);
  });

  it("knows how each seed ended, also after it was taken apart", () => {
    expect(history.seeds.map(fateOf)).toEqual(["culled", "fossilized", "fossilized"]);
  });

  it("knows when a seed was in which stage, the last one until the end", () => {
    const [culled, kept] = history.seeds.map((seed) => stageBands(seed, history.lastStep));
    expect(culled).toEqual([
      { stage: "GERMINATED", start: 400, end: 401 },
      { stage: "TRAINING", start: 401, end: 620 },
      { stage: "CULLED", start: 620, end: 621 },
      { stage: "EMBARGOED", start: 621, end: 749 },
      { stage: "RESETTING", start: 749, end: 750 },
    ]);
    expect(kept?.at(-1)).toEqual({ stage: "FOSSILIZED", start: 1_232, end: 2_400 });
  });
});

describe("rows that are not as expected", () => {
  it("are gaps, not crashes", () => {
    const rows = [
      { kind: "step", step: 1, training_loss: 0.5 },
      { kind: "step", step: 2, training_loss: null, seeds: "none" },
      { kind: "step", step: 3, training_loss: "high", seeds: [null, 7, { seed_id: 5 }] },
      { kind: "step", step: 4, seeds: [{ seed_id: "s", stage: "NO SUCH", alpha: "x" }] },
      { kind: "seed", step: 5 },
      { kind: "seed", step: 6, seed_id: "t", to: 9, gate: { gate: "G9" }, alpha: null },
      { kind: "novelty", step: 7 },
      { step: 8 },
    ];
    const history = readHistory(rows);
    expect(history.curves.stepLoss.map(({ y }) => y)).toEqual([0.5, null, null]);
    expect(history.seeds.map(({ seedId }) => seedId)).toEqual(["s", "t"]);
    expect(history.seeds[1]?.moves).toEqual([
      { step: 6, from: "UNKNOWN", to: "UNKNOWN", reason: "", gate: null },
    ]);
    expect(history.unknownRows).toBe(2);
    expect(history.rows).toBe(8);
  });

  it("are put in order where a resumed run wrote them in pieces", () => {
    const rows = [30, 10, 20].map((step) => ({ kind: "step", step, training_loss: step }));
    expect(readHistory(rows).curves.stepLoss.map(({ x }) => x)).toEqual([10, 20, 30]);
  });

  it("still tell a seed's stages when its moves are missing", () => {
    const stages = ["TRAINING", "TRAINING", "BLENDING", "FOSSILIZED"];
    const rows = stages.map((stage, index) => ({
      kind: "step",
      step: index * 10,
      seeds: [{ seed_id: "s", stage, alpha: index / 3 }],
    }));
    const [seed] = readHistory(rows).seeds;
    expect(seed?.moves.map(({ step, to }) => [step, to])).toEqual([
      [0, "TRAINING"],
      [20, "BLENDING"],
      [30, "FOSSILIZED"],
    ]);
    expect(seed?.alpha.map(({ y }) => y)).toEqual([0, 1 / 3, 2 / 3, 1]);
  });

  it("prefer recorded moves to what a late step row still shows", () => {
    const rows = [
      { kind: "seed", step: 10, seed_id: "s", from: "TRAINING", to: "BLENDING", alpha: 0 },
      { kind: "step", step: 10, seeds: [{ seed_id: "s", stage: "TRAINING", alpha: 0.5 }] },
    ];
    const [seed] = readHistory(rows).seeds;
    expect(seed?.moves.map(({ to }) => to)).toEqual(["BLENDING"]);
    expect(seed?.alpha).toEqual([{ x: 10, y: 0 }]);
  });
});
