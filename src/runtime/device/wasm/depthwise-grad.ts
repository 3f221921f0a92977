/** Both gradients of a depthwise convolution, which the wasm backend lacks. */
import type { Tf } from "../engine-types.ts";
import { type ConvGeometry, geometryOf } from "./conv-geometry.ts";
import { floats, input, type Kernel, type TrainingKernel, zeros } from "./kernel.ts";

/**
 * Where one tap meets one output position: the first input channel, the first weight of the tap and
 * the first output channel. The channels behind them lie side by side.
 */
type Visit = (inputStart: number, filterStart: number, outputStart: number) => void;

/** Visits the taps of one output position that lie inside the input. */
function visitTaps(
  geometry: ConvGeometry,
  sample: number,
  position: number,
  outputStart: number,
  visit: Visit,
): void {
  const { filterHeight, filterWidth, inHeight, inWidth, inChannels, padInfo } = geometry;
  const outRow = Math.floor(position / geometry.outWidth);
  const outColumn = position % geometry.outWidth;
  const firstRow = outRow * geometry.strideHeight - padInfo.top;
  const firstColumn = outColumn * geometry.strideWidth - padInfo.left;
  for (let tapRow = 0; tapRow < filterHeight; tapRow++) {
    const row = firstRow + tapRow * geometry.dilationHeight;
    if (row < 0 || row >= inHeight) continue;
    for (let tapColumn = 0; tapColumn < filterWidth; tapColumn++) {
      const column = firstColumn + tapColumn * geometry.dilationWidth;
      if (column < 0 || column >= inWidth) continue;
      const inputStart = ((sample * inHeight + row) * inWidth + column) * inChannels;
      visit(inputStart, (tapRow * filterWidth + tapColumn) * geometry.outChannels, outputStart);
    }
  }
}

/** Visits every meeting of a tap with an output position, in memory order of the output. */
function visitAll(geometry: ConvGeometry, visit: Visit): void {
  const { batchSize, outHeight, outWidth, outChannels } = geometry;
  const positions = outHeight * outWidth;
  for (let sample = 0; sample < batchSize; sample++) {
    for (let position = 0; position < positions; position++) {
      const outputStart = (sample * positions + position) * outChannels;
      visitTaps(geometry, sample, position, outputStart, visit);
    }
  }
}

/** dW[tap] = sum of x * dy over all products in which the tap took part. */
function byFilter(tf: Tf): Kernel {
  return (call) => {
    const { backend, attrs } = call;
    const x = input(call, "x");
    const filterShape = attrs["filterShape"] as number[];
    const geometry = geometryOf(tf, attrs, x.shape, filterShape, true);
    const out = zeros(backend, filterShape);
    const values = floats(backend, x);
    const dy = floats(backend, input(call, "dy"));
    const sums = floats(backend, out);
    const { outChannels } = geometry;
    const multiplier = outChannels / geometry.inChannels;
    visitAll(geometry, (inputStart, filterStart, outputStart) => {
      for (let channel = 0; channel < outChannels; channel++) {
        const value = values[inputStart + Math.floor(channel / multiplier)] as number;
        const tap = filterStart + channel;
        sums[tap] = (sums[tap] as number) + value * (dy[outputStart + channel] as number);
      }
    });
    return out;
  };
}

/** dx[from] = sum of W * dy over all products in which the input took part. */
function byInput(tf: Tf): Kernel {
  return (call) => {
    const { backend, attrs } = call;
    const filter = input(call, "filter");
    const inputShape = attrs["inputShape"] as number[];
    const geometry = geometryOf(tf, attrs, inputShape, filter.shape, true);
    const out = zeros(backend, inputShape);
    const weights = floats(backend, filter);
    const dy = floats(backend, input(call, "dy"));
    const sums = floats(backend, out);
    const { outChannels } = geometry;
    const multiplier = outChannels / geometry.inChannels;
    visitAll(geometry, (inputStart, filterStart, outputStart) => {
      for (let channel = 0; channel < outChannels; channel++) {
        const to = inputStart + Math.floor(channel / multiplier);
        const weight = weights[filterStart + channel] as number;
        sums[to] = (sums[to] as number) + weight * (dy[outputStart + channel] as number);
      }
    });
    return out;
  };
}

/** dW of a depthwise convolution. */
export const depthwiseFilterGrad: TrainingKernel = {
  name: "DepthwiseConv2dNativeBackpropFilter",
  build: (_stock, tf) => byFilter(tf),
};

/** dx of a depthwise convolution. */
export const depthwiseInputGrad: TrainingKernel = {
  name: "DepthwiseConv2dNativeBackpropInput",
  build: (_stock, tf) => byInput(tf),
};
