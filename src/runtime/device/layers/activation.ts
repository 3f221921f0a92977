/**
 * Activations. `silu` and `gelu` are both x * sigmoid(k * x) and have a gradient of their own, in
 * four operations instead of the eight that the chain rule would need.
 */
import type { Activation, LayerSpec } from "../../../protocols/leyline/modules.ts";
import type { GradSaveFunc, Tensor, Tf } from "../engine-types.ts";
import type { Forward, LayerSite } from "./layer.ts";

/** gelu(x) is close to x * sigmoid(1.702 x) (Hendrycks and Gimpel 2016, section 2). */
const GELU_SLOPE = 1.702;

/** y = x * sigmoid(k x); with s the sigmoid, dy/dx = s + k * y * (1 - s). */
function swish(tf: Tf, slope: number): Forward {
  const gated = tf.customGrad((...given) => {
    const x = given[0] as Tensor;
    const save = given[1] as GradSaveFunc;
    const s = tf.sigmoid(slope === 1 ? x : tf.mul(x, slope));
    const y = tf.mul(x, s);
    save([s, y]);
    return {
      value: y,
      gradFunc(dy, saved) {
        const [gate, out] = saved as [Tensor, Tensor];
        const rest = tf.sub(out, tf.mul(out, gate));
        return tf.mul(dy, tf.add(gate, slope === 1 ? rest : tf.mul(rest, slope)));
      },
    };
  });
  return (x) => gated(x);
}

/** The activation as a function of tensors. */
export function activate(tf: Tf, activation: Activation): Forward {
  switch (activation) {
    case "relu":
      return (x) => tf.relu(x);
    case "tanh":
      return (x) => tf.tanh(x);
    case "sigmoid":
      return (x) => tf.sigmoid(x);
    case "silu":
      return swish(tf, 1);
    case "gelu":
      return swish(tf, GELU_SLOPE);
    case "linear":
      return (x) => x;
  }
}

/** The `activation` layer. */
export function buildActivation(
  spec: Extract<LayerSpec, { kind: "activation" }>,
  site: LayerSite,
): Forward {
  return activate(site.tf, spec.activation);
}
