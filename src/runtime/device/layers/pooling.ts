/** Layers without parameters that make maps smaller. */
import type { LayerSpec } from "../../../protocols/leyline/modules.ts";
import { sizeOf, type Tensor4D } from "../engine-types.ts";
import type { Forward, LayerSite } from "./layer.ts";

/** The largest of each `size` x `size` block; rows and columns left over are dropped. */
export function buildMaxPool(
  spec: Extract<LayerSpec, { kind: "maxPool" }>,
  site: LayerSite,
): Forward {
  const { tf } = site;
  return (x) => tf.maxPool(x as Tensor4D, spec.size, spec.size, "valid");
}

/** Mean over height and width. */
export function buildGlobalAverage(site: LayerSite): Forward {
  const { tf } = site;
  return (x) => tf.mean(x, [1, 2]);
}

/** Everything in one vector, row-major. */
export function buildFlatten(site: LayerSite): Forward {
  const { tf } = site;
  const width = sizeOf(site.inputShape);
  return (x) => tf.reshape(x, [-1, width]);
}
