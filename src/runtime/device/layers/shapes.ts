/**
 * Shape inference: what a layer or module makes of an input shape. Pure, so that a graft is
 * checked completely before any memory is taken. Shapes are without the batch dimension: [width]
 * is a vector, [height, width, channels] a map.
 */
import { EsperError } from "../../../protocols/errors.ts";
import type { LayerSpec, ModuleSpec } from "../../../protocols/leyline/modules.ts";
import type { Shape } from "../engine-types.ts";

const show = (shape: Shape): string => `[${shape.join(", ")}]`;

/** True when both shapes have the same extents. */
export function sameShape(left: Shape, right: Shape): boolean {
  return left.length === right.length && left.every((extent, axis) => extent === right[axis]);
}

/** @throws {GRAFT_SHAPE} always. */
export function refuseShape(path: string, given: Shape, needed: string): never {
  throw new EsperError(
    "GRAFT_SHAPE",
    `${path}: the shape is ${show(given)}, needed is ${needed}; change the layers before it`,
    { path, given, needed },
  );
}

/** The path of a layer inside its module, for names and messages. */
export function layerPath(modulePath: string, index: number, layer: LayerSpec): string {
  const own = `${index}.${layer.kind}`;
  return modulePath === "" ? own : `${modulePath}/${own}`;
}

function mapShape(path: string, shape: Shape): readonly [number, number, number] {
  const [height, width, channels] = shape;
  if (shape.length !== 3 || !height || !width || !channels) {
    return refuseShape(path, shape, "a map [height, width, channels]");
  }
  return [height, width, channels];
}

function requireCount(path: string, shape: Shape, name: string, value: number): number {
  if (Number.isInteger(value) && value > 0) return value;
  return refuseShape(path, shape, `a whole ${name} above 0, not ${value}`);
}

/** `conv2d` and `depthwise` keep height and width; an even filter has no middle. */
function convolved(path: string, shape: Shape, kernel: number, channels: number | null): Shape {
  const [height, width, given] = mapShape(path, shape);
  requireCount(path, shape, "kernel", kernel);
  return [height, width, channels ?? given];
}

function pooled(path: string, shape: Shape, size: number): Shape {
  const [height, width, channels] = mapShape(path, shape);
  requireCount(path, shape, "size", size);
  const out = [Math.floor(height / size), Math.floor(width / size), channels];
  if (out.includes(0)) return refuseShape(path, shape, `a map of at least ${size}x${size}`);
  return out;
}

function gated(path: string, shape: Shape, gate: ModuleSpec): Shape {
  const out = moduleOutputShape(gate, shape, `${path}.gate`);
  const perChannel = shape.length === 3 && sameShape(out, shape.slice(-1));
  if (sameShape(out, shape) || perChannel) return shape;
  return refuseShape(`${path}.gate`, out, `${show(shape)} or one value per channel`);
}

function concatenated(path: string, shape: Shape, branches: readonly ModuleSpec[]): Shape {
  const shapes = branches.map((branch, index) =>
    moduleOutputShape(branch, shape, `${path}.branch${index}`),
  );
  const [first] = shapes;
  if (first === undefined) return refuseShape(path, shape, "at least one branch");
  const leading = first.slice(0, -1);
  shapes.forEach((other, index) => {
    if (sameShape(other.slice(0, -1), leading) && other.length === first.length) return;
    const needed = `${show([...leading])} before the last axis, as in branch 0`;
    refuseShape(`${path}.branch${index}`, other, needed);
  });
  return [...leading, shapes.reduce((sum, other) => sum + (other.at(-1) ?? 0), 0)];
}

/**
 * The layer's output shape.
 * @throws {GRAFT_SHAPE} naming the layer's path, the given and the needed shape.
 */
export function layerOutputShape(layer: LayerSpec, shape: Shape, path: string): Shape {
  switch (layer.kind) {
    case "dense":
      if (shape.length !== 1) return refuseShape(path, shape, "a vector [width]");
      return [requireCount(path, shape, "number of units", layer.units)];
    case "conv2d":
      requireCount(path, shape, "number of filters", layer.filters);
      return convolved(path, shape, layer.kernel, layer.filters);
    case "depthwise":
      return convolved(path, shape, layer.kernel, null);
    case "activation":
    case "layerNorm":
      return shape;
    case "maxPool":
      return pooled(path, shape, layer.size);
    case "flatten":
      return [shape.reduce((size, extent) => size * extent, 1)];
    case "globalAverage":
      return [mapShape(path, shape)[2]];
    case "gate":
      return gated(path, shape, layer.gate);
    case "concat":
      return concatenated(path, shape, layer.branches);
    case "product": {
      const left = moduleOutputShape(layer.left, shape, `${path}.left`);
      const right = moduleOutputShape(layer.right, shape, `${path}.right`);
      if (!sameShape(left, right))
        refuseShape(`${path}.right`, right, `${show(left)}, as on the left`);
      return left;
    }
    case "residual": {
      const out = moduleOutputShape(layer.body, shape, `${path}.body`);
      if (!sameShape(out, shape)) refuseShape(`${path}.body`, out, `${show(shape)}, as its input`);
      return shape;
    }
  }
}

/**
 * The module's output shape; a module without layers keeps its input.
 * @throws {GRAFT_SHAPE}
 */
export function moduleOutputShape(module: ModuleSpec, shape: Shape, path: string): Shape {
  return module.layers.reduce(
    (current, layer, index) => layerOutputShape(layer, current, layerPath(path, index, layer)),
    shape,
  );
}
