import { describe, expect, it } from "vitest";
import { linePath, stepPath } from "../../../src/runtime/cli/report/chart.ts";
import {
  extent,
  linearScale,
  logScale,
  wantsLogarithm,
} from "../../../src/runtime/cli/report/scale.ts";

const options = { range: [0, 100], tickCount: 5, widen: true } as const;

describe("a linear scale", () => {
  it("widens to round ticks without the dust of binary fractions", () => {
    const scale = linearScale([0.11, 0.58], options);
    expect(scale.ticks).toEqual([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]);
    expect([scale.at(0.1), scale.at(0.6)].map((at) => Math.round(at))).toEqual([0, 100]);
  });

  it("can turn upside down, as screens do", () => {
    const scale = linearScale([0, 10], { ...options, range: [200, 0] });
    expect([scale.at(0), scale.at(5), scale.at(10)]).toEqual([200, 100, 0]);
  });

  it("has room for a curve that never changes", () => {
    const scale = linearScale([3, 3], options);
    expect(scale.low).toBeLessThan(3);
    expect(scale.high).toBeGreaterThan(3);
    expect(Number.isFinite(scale.at(3))).toBe(true);
    expect(linearScale([0, 0], options).high).toBeGreaterThan(0);
  });

  it("does not invent half steps", () => {
    const scale = linearScale([0, 2], { ...options, widen: false, smallestStep: 1 });
    expect(scale.ticks).toEqual([0, 1, 2]);
  });
});

describe("a logarithmic scale", () => {
  it("gives each power of ten the same room", () => {
    const scale = logScale([0.01, 10], { ...options, widen: false });
    expect([0.01, 0.1, 1, 10].map((value) => Math.round(scale.at(value)))).toEqual([
      0, 33, 67, 100,
    ]);
    expect(scale.ticks).toEqual([0.01, 0.1, 1, 10]);
  });

  it("adds ticks between few powers of ten and leaves some out of many", () => {
    expect(logScale([0.04, 0.3], { ...options, widen: false }).ticks).toEqual([0.05, 0.1, 0.2]);
    const wide = logScale([1e-12, 1e6], options).ticks;
    expect(wide.length).toBeLessThanOrEqual(7);
    expect(wide.length).toBeGreaterThanOrEqual(4);
  });

  it("puts zero on the lower edge instead of nowhere", () => {
    expect(logScale([0.1, 1], options).at(0)).toBe(0);
  });

  it("is used only where it shows more", () => {
    expect(wantsLogarithm([0.01, 1])).toBe(true);
    expect(wantsLogarithm([0.1, 1])).toBe(false);
    expect(wantsLogarithm([0, 100])).toBe(false);
  });
});

describe("paths", () => {
  const unit = linearScale([0, 10], { range: [0, 10], tickCount: 5, widen: false });

  it("are interrupted by a missing value, and a lonely value stays visible", () => {
    const points = [1, 2, null, 4, null].map((y, x) => ({ x, y }));
    expect(linePath(points, unit, unit)).toBe("M0 1h0L1 2M3 4h0");
  });

  it("hold a value until the next one in steps, with corners only at changes", () => {
    const points = [5, 5, 5, 8, 8].map((y, x) => ({ x, y }));
    expect(stepPath(points, unit, unit)).toBe("M0 5H3V8H4V8");
  });
});

it("finds the extent of what is known", () => {
  expect(extent([null, 3, Number.NaN, -1, Number.POSITIVE_INFINITY])).toEqual([-1, 3]);
  expect(extent([null])).toBeNull();
});
