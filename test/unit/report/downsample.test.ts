import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { downsample, type Point } from "../../../src/runtime/cli/report/downsample.ts";

const value = fc.option(fc.double({ noNaN: true, min: -1e6, max: 1e6 }), { freq: 10 });
const curve = fc
  .array(value, { minLength: 2, maxLength: 400 })
  .map((values): Point[] => values.map((y, x) => ({ x, y })));

describe("downsampling", () => {
  it("leaves short curves alone", () => {
    const points = [1, 2, 3].map((y, x) => ({ x, y }));
    expect(downsample(points, 8)).toBe(points);
  });

  it("keeps order, ends, the greatest and the smallest value, and any gap", () => {
    fc.assert(
      fc.property(curve, fc.integer({ min: 8, max: 60 }), (points, limit) => {
        const kept = downsample(points, limit);
        const known = (list: readonly Point[]): number[] =>
          list.flatMap(({ y }) => (y === null ? [] : [y]));
        expect(kept.length).toBeLessThanOrEqual(Math.max(limit, 2));
        expect(kept.every((point, index) => point.x > (kept[index - 1]?.x ?? -1))).toBe(true);
        expect([kept[0], kept.at(-1)]).toEqual([points[0], points.at(-1)]);
        expect(Math.max(...known(kept))).toBe(Math.max(...known(points)));
        expect(Math.min(...known(kept))).toBe(Math.min(...known(points)));
        const gaps = (list: readonly Point[]): boolean => list.some(({ y }) => y === null);
        expect(gaps(kept)).toBe(gaps(points));
      }),
    );
  });

  it("keeps a single spike among a hundred thousand points", () => {
    const points = Array.from({ length: 100_000 }, (_, x) => ({ x, y: x === 77_777 ? 9 : 1 }));
    const kept = downsample(points, 1_500);
    expect(kept.length).toBeLessThanOrEqual(1_500);
    expect(kept.filter(({ y }) => y === 9)).toEqual([{ x: 77_777, y: 9 }]);
  });
});
