import { expect, it } from "vitest";
import { alphaAt } from "../../../../src/actors/kasmina/alpha-schedule.ts";

const logistic = (value: number) => 1 / (1 + Math.exp(-value));

it("runs from exactly 0 to exactly 1 without ever falling", () => {
  const ramp = Array.from({ length: 21 }, (_, step) => alphaAt(step));
  expect(ramp[0]).toBe(0);
  expect(ramp[20]).toBe(1);
  for (let step = 1; step <= 20; step++) expect(ramp[step]).toBeGreaterThan(ramp[step - 1]!);
});

it("is the reference's curve, rescaled", () => {
  const reference = (step: number) => logistic((step - 10) / 2);
  const scale = reference(20) - reference(0);
  for (const step of [1, 5, 8, 12, 15]) {
    expect(alphaAt(step)).toBeCloseTo((reference(step) - reference(0)) / scale, 12);
  }
  expect(alphaAt(10)).toBeCloseTo(0.5, 12);
});

it("stays within 0 and 1 outside the ramp", () => {
  expect(alphaAt(-3)).toBe(0);
  expect(alphaAt(1_000)).toBe(1);
  expect(alphaAt(0, 0)).toBe(1);
});
