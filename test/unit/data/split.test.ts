import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { splitRows } from "../../../src/runtime/data/split.ts";

const GROUPS = fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 2, maxLength: 200 });
const OPTIONS = fc.record({
  validationShare: fc.double({ min: 0.01, max: 0.99, noNaN: true }),
  seed: fc.nat(),
});

describe("splitting rows", () => {
  it("puts every row in exactly one part", () => {
    fc.assert(
      fc.property(GROUPS, OPTIONS, (groups, options) => {
        const { train, validation } = splitRows(groups, options);
        const all = [...train, ...validation].sort((left, right) => left - right);
        expect(all).toEqual([...groups.keys()]);
      }),
    );
  });

  it("gives both parts every group of two or more, near the share asked for", () => {
    fc.assert(
      fc.property(GROUPS, OPTIONS, (groups, options) => {
        const { validation } = splitRows(groups, options);
        for (const group of new Set(groups)) {
          const size = groups.filter((member) => member === group).length;
          const held = validation.filter((row) => groups[row] === group).length;
          if (size === 1) expect(held).toBe(0);
          else {
            expect(held).toBeGreaterThanOrEqual(1);
            expect(held).toBeLessThan(size);
            expect(Math.abs(held - size * options.validationShare)).toBeLessThanOrEqual(1);
          }
        }
      }),
    );
  });

  it("is the same for the same seed and mixes the groups", () => {
    const groups = Array.from({ length: 100 }, (_, row) => (row < 50 ? 0 : 1));
    const options = { validationShare: 0.2, seed: 3 };
    const split = splitRows(groups, options);
    expect(splitRows(groups, options)).toEqual(split);
    expect(splitRows(groups, { ...options, seed: 4 })).not.toEqual(split);
    const early = split.train.slice(0, 40).filter((row) => row < 50).length;
    expect(early).toBeGreaterThan(5);
    expect(early).toBeLessThan(35);
  });
});
