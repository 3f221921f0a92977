/**
 * Layer normalisation over the last axis with a learned gain and offset (Ba et al. 2016). For a
 * map it works on the channels of each position.
 */
import type { LayerSpec } from "../../../protocols/leyline/modules.ts";
import type { GradSaveFunc, Tensor, Tf } from "../engine-types.ts";
import type { Forward, LayerSite } from "./layer.ts";

/** n = (x - mean) / sqrt(variance + epsilon); dx = (dy - mean(dy) - n mean(dy n)) / deviation. */
function normalise(tf: Tf, epsilon: number): Forward {
  const normalised = tf.customGrad((...given) => {
    const x = given[0] as Tensor;
    const save = given[1] as GradSaveFunc;
    const centred = tf.sub(x, tf.mean(x, -1, true));
    const variance = tf.mean(tf.square(centred), -1, true);
    const inverse = tf.rsqrt(tf.add(variance, epsilon));
    const n = tf.mul(centred, inverse);
    save([n, inverse]);
    return {
      value: n,
      gradFunc(dy, saved) {
        const [out, scale] = saved as [Tensor, Tensor];
        const alongOut = tf.mul(out, tf.mean(tf.mul(dy, out), -1, true));
        const rest = tf.sub(tf.sub(dy, tf.mean(dy, -1, true)), alongOut);
        return tf.mul(rest, scale);
      },
    };
  });
  return (x) => normalised(x);
}

/** The `layerNorm` layer; gain starts at 1, offset at 0. */
export function buildLayerNorm(
  spec: Extract<LayerSpec, { kind: "layerNorm" }>,
  site: LayerSite,
): Forward {
  const { tf } = site;
  const width = site.inputShape.at(-1) ?? 0;
  const gain = site.parameter("gain", [width], new Float32Array(width).fill(1));
  const offset = site.parameter("offset", [width], new Float32Array(width));
  const center = normalise(tf, spec.epsilon);
  return (x) => tf.add(tf.mul(center(x), gain), offset);
}
