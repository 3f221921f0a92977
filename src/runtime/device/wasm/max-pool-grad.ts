/**
 * Gradient of max pooling. The stock kernel starts each window from the smallest positive float
 * and so drops the gradient of every window whose maximum is not positive. Here the first maximum
 * of a window wins, as in the forward pass of every backend.
 */
import { asFour } from "./conv-geometry.ts";
import { floats, input, type TrainingKernel, zeros } from "./kernel.ts";

/** The part of a pooling window that lies inside the input; ends are exclusive. */
interface Window {
  readonly firstRow: number;
  readonly endRow: number;
  readonly firstColumn: number;
  readonly endColumn: number;
}

/** One sample of the input. */
interface Plane {
  /** Index of the plane's first value. */
  readonly start: number;
  readonly width: number;
  readonly channels: number;
}

/** Index of the first largest value of one channel inside the window. */
function argMax(x: Float32Array, plane: Plane, window: Window, channel: number): number {
  let best = Number.NEGATIVE_INFINITY;
  let at = -1;
  for (let row = window.firstRow; row < window.endRow; row++) {
    const rowStart = plane.start + row * plane.width * plane.channels + channel;
    for (let column = window.firstColumn; column < window.endColumn; column++) {
      const index = rowStart + column * plane.channels;
      const value = x[index] as number;
      if (value > best) {
        best = value;
        at = index;
      }
    }
  }
  return at;
}

type PoolGeometry = ReturnType<
  import("../engine-types.ts").Tf["backend_util"]["computePool2DInfo"]
>;

/** Rows or columns of the input that output position `out` covers. */
function span(out: number, stride: number, before: number, reach: number, extent: number) {
  const first = out * stride - before;
  return { first: Math.max(0, first), end: Math.min(extent, first + reach) };
}

/** Adds every output gradient to the input position that won its window. */
function scatter(
  geometry: PoolGeometry,
  x: Float32Array,
  dy: Float32Array,
  dx: Float32Array,
): void {
  const { batchSize, inHeight, inWidth, inChannels, outHeight, outWidth } = geometry;
  const { strideHeight, strideWidth, effectiveFilterHeight, effectiveFilterWidth } = geometry;
  const { top, left } = geometry.padInfo;
  let from = 0;
  for (let sample = 0; sample < batchSize; sample++) {
    const start = sample * inHeight * inWidth * inChannels;
    const plane: Plane = { start, width: inWidth, channels: inChannels };
    for (let outRow = 0; outRow < outHeight; outRow++) {
      const rows = span(outRow, strideHeight, top, effectiveFilterHeight, inHeight);
      for (let outColumn = 0; outColumn < outWidth; outColumn++) {
        const columns = span(outColumn, strideWidth, left, effectiveFilterWidth, inWidth);
        const window: Window = {
          firstRow: rows.first,
          endRow: rows.end,
          firstColumn: columns.first,
          endColumn: columns.end,
        };
        for (let channel = 0; channel < inChannels; channel++, from++) {
          const at = argMax(x, plane, window, channel);
          if (at >= 0) dx[at] = (dx[at] as number) + (dy[from] as number);
        }
      }
    }
  }
}

/** dx of max pooling, any window, stride and padding. */
export const maxPoolGrad: TrainingKernel = {
  name: "MaxPoolGrad",
  build(_stock, tf) {
    return (call) => {
      const { backend } = call;
      const x = input(call, "input");
      const dy = input(call, "dy");
      const attrs = call.attrs as {
        filterSize: number | [number, number];
        strides: number | [number, number];
        pad: "same" | "valid" | number;
        dimRoundingMode: "floor" | "round" | "ceil";
      };
      const geometry = tf.backend_util.computePool2DInfo(
        asFour(x.shape),
        attrs.filterSize,
        attrs.strides,
        1,
        attrs.pad,
        attrs.dimRoundingMode,
      );
      const dx = zeros(backend, x.shape);
      scatter(geometry, floats(backend, x), floats(backend, dy), floats(backend, dx));
      return dx;
    };
  },
};
