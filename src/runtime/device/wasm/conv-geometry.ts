/** Shapes and paddings of a two-dimensional convolution over [batch, height, width, channels]. */
import type { NamedAttrMap, Tf } from "../engine-types.ts";

/** A shape [batch, height, width, channels], or of a filter. */
export type Four = [number, number, number, number];
/** Extents, strides, dilations and paddings of one convolution. */
export type ConvGeometry = ReturnType<Tf["backend_util"]["computeConv2DInfo"]>;

/** @throws Error for anything but a plain NHWC shape: our layers make no other. */
export function asFour(shape: readonly number[] | undefined): Four {
  const [n, h, w, c, ...rest] = shape ?? [];
  if (n === undefined || h === undefined || w === undefined || c === undefined || rest.length > 0) {
    throw new Error(`a convolution needs four dimensions, not [${shape}]`);
  }
  return [n, h, w, c];
}

interface ConvAttrs {
  readonly strides: number | [number, number];
  readonly dilations?: number | [number, number];
  readonly pad: "same" | "valid" | number;
  readonly dataFormat?: string;
  readonly dimRoundingMode?: "floor" | "round" | "ceil";
}

/** @throws Error for the NCHW layout, which no kernel of the wasm backend has. */
export function geometryOf(
  tf: Tf,
  attrs: NamedAttrMap,
  inputShape: readonly number[] | undefined,
  filterShape: readonly number[] | undefined,
  depthwise: boolean,
): ConvGeometry {
  const given = attrs as { [Key in keyof ConvAttrs]: ConvAttrs[Key] };
  if (given.dataFormat !== undefined && given.dataFormat !== "NHWC") {
    throw new Error(`convolution gradients exist for NHWC only, not for ${given.dataFormat}`);
  }
  return tf.backend_util.computeConv2DInfo(
    asFour(inputShape),
    asFour(filterShape),
    given.strides,
    given.dilations ?? 1,
    given.pad,
    given.dimRoundingMode,
    depthwise,
  );
}
