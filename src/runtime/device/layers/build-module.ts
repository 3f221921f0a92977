/**
 * Builds modules from their descriptions. Shapes are checked first and completely, so a module
 * that does not fit takes no memory and leaves no parameter behind.
 */
import type { LayerSpec, ModuleSpec } from "../../../protocols/leyline/modules.ts";
import type { Random } from "../../random.ts";
import type { Shape, Tensor, Tf } from "../engine-types.ts";
import type { ParameterStore } from "../parameters.ts";
import { buildActivation } from "./activation.ts";
import { buildConcat, buildGate, buildProduct, buildResidual } from "./combine.ts";
import { buildConv2d, buildDepthwise } from "./convolution.ts";
import { buildDense } from "./dense.ts";
import type { Forward, LayerSite } from "./layer.ts";
import { buildLayerNorm } from "./layer-norm.ts";
import { buildFlatten, buildGlobalAverage, buildMaxPool } from "./pooling.ts";
import { layerOutputShape, layerPath, moduleOutputShape } from "./shapes.ts";

/** A module with its parameters made. */
export interface BuiltModule {
  readonly outputShape: Shape;
  /** How many numbers the module trains. */
  readonly parameters: number;
  /** One function per layer, in order; sites lie between them. */
  readonly layers: readonly Forward[];
  /** All layers after one another. Runs inside the caller's tidy. */
  forward(x: Tensor): Tensor;
}

/** Where a module's parameters go and its weights come from. */
interface Workshop {
  readonly tf: Tf;
  readonly store: ParameterStore;
  readonly owner: string;
  readonly random: Random;
}

function buildLayer(layer: LayerSpec, site: LayerSite): Forward {
  switch (layer.kind) {
    case "dense":
      return buildDense(layer, site);
    case "conv2d":
      return buildConv2d(layer, site);
    case "depthwise":
      return buildDepthwise(layer, site);
    case "activation":
      return buildActivation(layer, site);
    case "layerNorm":
      return buildLayerNorm(layer, site);
    case "maxPool":
      return buildMaxPool(layer, site);
    case "flatten":
      return buildFlatten(site);
    case "globalAverage":
      return buildGlobalAverage(site);
    case "gate":
      return buildGate(layer, site);
    case "concat":
      return buildConcat(layer, site);
    case "product":
      return buildProduct(layer, site);
    case "residual":
      return buildResidual(layer, site);
  }
}

const chain =
  (layers: readonly Forward[]): Forward =>
  (x) =>
    layers.reduce((current, layer) => layer(current), x);

function buildLayers(
  workshop: Workshop,
  module: ModuleSpec,
  inputShape: Shape,
  path: string,
): readonly Forward[] {
  const { tf, store, owner, random } = workshop;
  let shape = inputShape;
  return module.layers.map((layer, index) => {
    const own = layerPath(path, index, layer);
    const site: LayerSite = {
      tf,
      inputShape: shape,
      random,
      parameter: (name, extents, values) =>
        store.create(owner, `${own}/${name}`, extents, values).variable,
      inner: (name, inside) =>
        chain(buildLayers(workshop, inside, site.inputShape, `${own}.${name}`)),
    };
    shape = layerOutputShape(layer, shape, own);
    return buildLayer(layer, site);
  });
}

/**
 * Builds `spec` for inputs of `inputShape`; its parameters belong to `owner`.
 * @throws {GRAFT_SHAPE} naming the first layer that does not fit; nothing was built then.
 */
export function buildModule(
  tf: Tf,
  store: ParameterStore,
  owner: string,
  spec: ModuleSpec,
  inputShape: Shape,
  random: Random,
): BuiltModule {
  const outputShape = moduleOutputShape(spec, inputShape, "");
  const before = store.count(owner);
  const layers = buildLayers({ tf, store, owner, random }, spec, inputShape, "");
  return {
    outputShape,
    parameters: store.count(owner) - before,
    layers,
    forward: chain(layers),
  };
}
