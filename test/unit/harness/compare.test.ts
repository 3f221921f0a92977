import { expect, it } from "vitest";
import { comparePolicy } from "../../../harness/growth/compare.ts";
import type { ArmReport } from "../../../harness/growth/report.ts";

function report(arm: string, scores: readonly number[], parameters: number): ArmReport {
  const same = (value: number) => scores.map(() => value);
  return {
    arm,
    description: "",
    scores,
    scoresBeforeGrowth: same(0.5),
    trainingScores: scores,
    parameters: same(parameters),
    steps: same(100),
    wallSeconds: same(1),
    fossilized: same(1),
    culled: same(0),
  };
}

it("says better, worse and no difference by paired intervals", () => {
  const noise = [0.01, -0.01, 0.012, -0.012, 0.009, -0.009];
  const base = noise.map((_, seed) => 0.9 + 0.01 * seed);
  const policy = report("policy", base, 500);
  const weak = report(
    "weak",
    base.map((score) => score - 0.1),
    400,
  );
  const equal = report(
    "equal",
    base.map((score, seed) => score + noise[seed]!),
    900,
  );
  const found = comparePolicy([policy, weak, equal]);
  const verdict = (against: string, measure: string) =>
    found.find((entry) => entry.against === against && entry.measure === measure)?.verdict;
  expect(verdict("weak", "score")).toBe("better");
  expect(verdict("weak", "parameters")).toBe("worse");
  expect(verdict("equal", "score")).toBe("no difference");
  expect(verdict("equal", "parameters")).toBe("better");
  expect(verdict("equal", "steps")).toBe("no difference");
});
