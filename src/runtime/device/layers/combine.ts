/** Layers that combine the outputs of modules inside them. */
import { invariant } from "../../../protocols/errors.ts";
import type { LayerSpec } from "../../../protocols/leyline/modules.ts";
import type { Forward, LayerSite } from "./layer.ts";

/** x * gate(x); a gate with one value per channel holds for every position of the map. */
export function buildGate(spec: Extract<LayerSpec, { kind: "gate" }>, site: LayerSite): Forward {
  const { tf } = site;
  const gate = site.inner("gate", spec.gate);
  const channels = site.inputShape.at(-1) ?? 0;
  return (x) => {
    const open = gate(x);
    const perChannel = open.rank < x.rank;
    return tf.mul(x, perChannel ? tf.reshape(open, [-1, 1, 1, channels]) : open);
  };
}

/** The branches' outputs side by side on the last axis. */
export function buildConcat(
  spec: Extract<LayerSpec, { kind: "concat" }>,
  site: LayerSite,
): Forward {
  const { tf } = site;
  const branches = spec.branches.map((branch, index) => site.inner(`branch${index}`, branch));
  const [only] = branches;
  invariant(only !== undefined, "shape inference refuses a concat without branches");
  if (branches.length === 1) return only;
  return (x) =>
    tf.concat(
      branches.map((branch) => branch(x)),
      -1,
    );
}

/** left(x) * right(x), elementwise. */
export function buildProduct(
  spec: Extract<LayerSpec, { kind: "product" }>,
  site: LayerSite,
): Forward {
  const { tf } = site;
  const left = site.inner("left", spec.left);
  const right = site.inner("right", spec.right);
  return (x) => tf.mul(left(x), right(x));
}

/** x + body(x). */
export function buildResidual(
  spec: Extract<LayerSpec, { kind: "residual" }>,
  site: LayerSite,
): Forward {
  const { tf } = site;
  const body = site.inner("body", spec.body);
  return (x) => tf.add(x, body(x));
}
