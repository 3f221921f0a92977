/** Fully connected layer: activation(x W + b), [width] to [units]. */
import type { LayerSpec } from "../../../protocols/leyline/modules.ts";
import { sizeOf, type Tensor } from "../engine-types.ts";
import { activate } from "./activation.ts";
import type { Forward, LayerSite } from "./layer.ts";
import { defaultInit, drawWeights } from "./weights.ts";

/** The `dense` layer; weights drawn by `init`, biases zero. */
export function buildDense(spec: Extract<LayerSpec, { kind: "dense" }>, site: LayerSite): Forward {
  const { tf, random } = site;
  const { units, activation } = spec;
  const fanIn = sizeOf(site.inputShape);
  const init = spec.init ?? defaultInit(activation);
  // Drawn in this order for every layer, so that a stream always gives the same network.
  const weights = drawWeights(init, fanIn, fanIn * units, random);
  const kernel = site.parameter("kernel", [fanIn, units], weights);
  const bias = site.parameter("bias", [units], new Float32Array(units));
  const finish = activate(tf, activation);
  return (x: Tensor) => finish(tf.add(tf.matMul(x, kernel), bias));
}
