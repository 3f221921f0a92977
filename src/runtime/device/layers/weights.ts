/** How fresh weights are drawn. */
import type { Activation, WeightInit } from "../../../protocols/leyline/modules.ts";
import type { Random } from "../../random.ts";

/** Standard deviation of the normal distribution that `init` stands for. */
export function spreadOf(init: WeightInit, fanIn: number): number {
  if (typeof init === "object") return init.normal;
  switch (init) {
    case "lecun":
      return Math.sqrt(1 / fanIn);
    case "he":
      return Math.sqrt(2 / fanIn);
    case "zero":
      return 0;
  }
}

/** "he" before activations that cut one side off (He et al. 2015), else "lecun". */
export function defaultInit(activation: Activation): WeightInit {
  return activation === "relu" || activation === "silu" || activation === "gelu" ? "he" : "lecun";
}

/** `size` weights N(0, spread^2). Draws nothing when all are zero. */
export function drawWeights(
  init: WeightInit,
  fanIn: number,
  size: number,
  random: Random,
): Float32Array {
  const spread = spreadOf(init, fanIn);
  if (spread === 0) return new Float32Array(size);
  return Float32Array.from({ length: size }, () => spread * random.normal());
}
