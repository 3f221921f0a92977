import { describe, expect, it } from "vitest";
import type { Checkpoint } from "../../../src/runtime/durable/checkpoint.ts";
import { diffCheckpoints } from "../../../src/runtime/durable/checkpoint-diff.ts";
import { sample } from "../../fixtures/checkpoints.ts";

const only = (arrays: Checkpoint["arrays"], meta: Checkpoint["meta"] = {}): Checkpoint => {
  return { meta, arrays };
};

describe("the difference of two checkpoints", () => {
  it("is nothing between equal ones, NaN included", () => {
    expect(diffCheckpoints(sample(), sample())).toEqual({ identical: true, arrays: [], meta: [] });
  });

  it("names arrays that came, went, grew or changed their type", () => {
    const left = only({ a: Float32Array.of(1), b: Float32Array.of(1), d: Float32Array.of(1) });
    const right = only({ b: Float32Array.of(1, 2), c: Float32Array.of(1), d: Int32Array.of(1) });
    const { arrays, identical } = diffCheckpoints(left, right);
    expect(identical).toBe(false);
    expect(arrays).toMatchObject([
      { name: "a", change: "removed", right: null, different: null },
      { name: "b", change: "resized", left: { length: 1 }, right: { length: 2 } },
      { name: "c", change: "added", left: null, right: { type: "f32", length: 1 } },
      { name: "d", change: "retyped", left: { type: "f32" }, right: { type: "i32" } },
    ]);
  });

  it("says how far the numbers are apart, and where", () => {
    const left = Float64Array.of(1, 100, 0, -4, Number.NaN);
    const right = Float64Array.of(1, 90, 0.5, 4, 1);
    expect(diffCheckpoints(only({ w: left }), only({ w: right })).arrays).toEqual([
      {
        ...{ name: "w", change: "changed", different: 4, first: 1, notFinite: 1 },
        ...{ left: { type: "f64", length: 5 }, right: { type: "f64", length: 5 } },
        ...{ maxAbsolute: 10, maxAbsoluteAt: 1, maxRelative: 2, maxRelativeAt: 3 },
      },
    ]);
    const zero = diffCheckpoints(only({ w: Float32Array.of(0) }), only({ w: Float32Array.of(-0) }));
    expect(zero.arrays).toMatchObject([{ different: 1, maxAbsolute: 0, maxRelative: 0 }]);
  });

  it("names metadata by its path", () => {
    const left = { a: { list: [1, { x: 1 }], gone: null }, same: "s", "odd key": 1 };
    const right = { a: { list: [1, { x: 2 }, 3] }, same: "s", "odd key": [1], fresh: true };
    expect(diffCheckpoints(only({}, left), only({}, right)).meta).toEqual([
      { path: "a.list[1].x", change: "changed", left: 1, right: 2 },
      { path: "a.list[2]", change: "added", right: 3 },
      { path: "a.gone", change: "removed", left: null },
      { path: '["odd key"]', change: "changed", left: 1, right: [1] },
      { path: "fresh", change: "added", right: true },
    ]);
  });

  it("is the other way round from the other side", () => {
    const there = diffCheckpoints(sample(1), sample(2));
    const back = diffCheckpoints(sample(2), sample(1));
    expect(there.arrays.map(({ name }) => name)).toEqual(["host/b"]);
    expect(back.arrays[0]?.maxAbsolute).toBe(there.arrays[0]?.maxAbsolute);
    expect(back.meta.map(({ left, right }) => [right, left])).toEqual(
      there.meta.map(({ left, right }) => [left, right]),
    );
  });
});
