import { describe, expect, it } from "vitest";
import { EsperError } from "../../../src/protocols/errors.ts";
import type { BlendModeName } from "../../../src/protocols/leyline/enums.ts";
import {
  type BlendOptions,
  blend,
  checkBlend,
  detached,
} from "../../../src/runtime/device/blend.ts";
import type { Tensor } from "../../../src/runtime/device/engine-types.ts";
import { onEngine } from "./support.ts";

const blended = (alpha: number, options: BlendOptions) =>
  onEngine("wasm", ({ tf }) =>
    tf.tidy(() => {
      const [h, s] = [tf.tensor2d([[1, 2, 3]]), tf.tensor2d([[4, 0, -2]])];
      return [...blend(tf, h, s, alpha, options).dataSync()];
    }),
  );

const refusal = (mode: BlendModeName, alphaVec?: number[]): unknown => {
  try {
    checkBlend("seed-1", { mode, alphaVec }, [4, 4, 3]);
  } catch (error) {
    return error;
  }
  return null;
};

describe("blending", () => {
  it("gives the known values of every mode", async () => {
    expect(await blended(0.25, { mode: "CONVEX" })).toEqual([1.75, 1.5, 1.75]);
    expect(await blended(0.25, { mode: "RESIDUAL" })).toEqual([2, 2, 2.5]);
    const channel = await blended(0.5, { mode: "CHANNEL", alphaVec: [0.2, 0.6, 1] });
    [1.3, 1.4, 0.5].forEach((value, index) => {
      expect(channel[index]).toBeCloseTo(value, 6);
    });
  });

  it("is the seed alone at alpha 1, and host plus seed for RESIDUAL", async () => {
    expect(await blended(1, { mode: "CONVEX" })).toEqual([4, 0, -2]);
    expect(await blended(1, { mode: "RESIDUAL" })).toEqual([5, 2, 1]);
  });

  it("refuses modes and vectors that cannot be used", () => {
    const refused: readonly (readonly [BlendModeName, number[]?])[] = [
      ["CONFIDENCE"],
      ["CHANNEL"],
      ["CHANNEL", [1, 1]],
      ["CHANNEL", [0, 1, 1.5]],
      ["CONVEX", [1, 1, 1]],
    ];
    for (const [mode, alphaVec] of refused) {
      expect(EsperError.is(refusal(mode, alphaVec), "BLEND_INVALID"), `${mode} ${alphaVec}`).toBe(
        true,
      );
    }
    expect(refusal("CHANNEL", [0, 0.5, 1])).toBeNull();
    expect(refusal("CONVEX")).toBeNull();
  });

  it("cuts the gradient of a detached activation and keeps its values", () =>
    onEngine("wasm", ({ tf }) => {
      const x = tf.tensor1d([1, 2]);
      const f = (given: Tensor) => tf.sum(tf.add(given, tf.mul(detached(tf, given), 5)));
      const { value, grad } = tf.valueAndGrad(f)(x);
      expect(value.dataSync()[0]).toBe(18);
      expect([...grad.dataSync()]).toEqual([1, 1]);
    }));
});
