/** Convolutions with stride 1 that keep height and width, on maps [height, width, channels]. */
import type { LayerSpec } from "../../../protocols/leyline/modules.ts";
import type { Tensor, Tensor4D } from "../engine-types.ts";
import { activate } from "./activation.ts";
import type { Forward, LayerSite } from "./layer.ts";
import { defaultInit, drawWeights } from "./weights.ts";

/** Every output channel sees every input channel. */
export function buildConv2d(
  spec: Extract<LayerSpec, { kind: "conv2d" }>,
  site: LayerSite,
): Forward {
  const { tf, random } = site;
  const { filters, kernel: extent, activation } = spec;
  const channels = site.inputShape.at(-1) ?? 0;
  const fanIn = extent * extent * channels;
  const init = spec.init ?? defaultInit(activation);
  const weights = drawWeights(init, fanIn, fanIn * filters, random);
  const kernel = site.parameter("kernel", [extent, extent, channels, filters], weights);
  const bias = site.parameter("bias", [filters], new Float32Array(filters));
  const finish = activate(tf, activation);
  return (x: Tensor) => {
    const convolved = tf.conv2d(x as Tensor4D, kernel as Tensor as Tensor4D, 1, "same");
    return finish(tf.add(convolved, bias));
  };
}

/** Every channel has a filter of its own. */
export function buildDepthwise(
  spec: Extract<LayerSpec, { kind: "depthwise" }>,
  site: LayerSite,
): Forward {
  const { tf, random } = site;
  const { kernel: extent, activation } = spec;
  const channels = site.inputShape.at(-1) ?? 0;
  // A filter sees one channel only, however many there are.
  const fanIn = extent * extent;
  const weights = drawWeights(defaultInit(activation), fanIn, fanIn * channels, random);
  const kernel = site.parameter("kernel", [extent, extent, channels, 1], weights);
  const bias = site.parameter("bias", [channels], new Float32Array(channels));
  const finish = activate(tf, activation);
  return (x: Tensor) => {
    const convolved = tf.depthwiseConv2d(x as Tensor4D, kernel as Tensor as Tensor4D, 1, "same");
    return finish(tf.add(convolved, bias));
  };
}
