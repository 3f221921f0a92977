/** Both gradients of a depthwise convolution, which the wasm backend lacks. */
import type { Tf } from "../engine-types.ts";
import { type ConvGeometry, geometryOf } from "./conv-geometry.ts";
import { floats, input, type Kernel, type TrainingKernel, zeros } from "./kernel.ts";

/** Indices of one product of the forward pass. */
type Visit = (inputIndex: number, filterIndex: number, outputIndex: number) => void;

/** Visits the taps of one output position that lie inside the input. */
function visitTaps(
  geometry: ConvGeometry,
  position: { readonly sample: number; readonly row: number; readonly column: number },
  visit: (inputStart: number, filterStart: number) => void,
): void {
  const { filterHeight, filterWidth, inHeight, inWidth, inChannels, padInfo } = geometry;
  const firstRow = position.row * geometry.strideHeight - padInfo.top;
  const firstColumn = position.column * geometry.strideWidth - padInfo.left;
  for (let tapRow = 0; tapRow < filterHeight; tapRow++) {
    const row = firstRow + tapRow * geometry.dilationHeight;
    if (row < 0 || row >= inHeight) continue;
    for (let tapColumn = 0; tapColumn < filterWidth; tapColumn++) {
      const column = firstColumn + tapColumn * geometry.dilationWidth;
      if (column < 0 || column >= inWidth) continue;
      const inputStart = ((position.sample * inHeight + row) * inWidth + column) * inChannels;
      visit(inputStart, (tapRow * filterWidth + tapColumn) * geometry.outChannels);
    }
  }
}

/** Visits every product input x filter -> output; an input channel feeds `multiplier` outputs. */
function visitProducts(geometry: ConvGeometry, visit: Visit): void {
  const { batchSize, outHeight, outWidth, outChannels, inChannels } = geometry;
  const multiplier = outChannels / inChannels;
  let outputStart = 0;
  for (let sample = 0; sample < batchSize; sample++) {
    for (let row = 0; row < outHeight; row++) {
      for (let column = 0; column < outWidth; column++, outputStart += outChannels) {
        visitTaps(geometry, { sample, row, column }, (inputStart, filterStart) => {
          for (let channel = 0; channel < outChannels; channel++) {
            const from = inputStart + Math.floor(channel / multiplier);
            visit(from, filterStart + channel, outputStart + channel);
          }
        });
      }
    }
  }
}

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
    visitProducts(geometry, (from, tap, to) => {
      sums[tap] = (sums[tap] as number) + (values[from] as number) * (dy[to] as number);
    });
    return out;
  };
}

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
    visitProducts(geometry, (from, tap, to) => {
      sums[from] = (sums[from] as number) + (weights[tap] as number) * (dy[to] as number);
    });
    return out;
  };
}

export const depthwiseFilterGrad: TrainingKernel = {
  name: "DepthwiseConv2dNativeBackpropFilter",
  build: (_stock, tf) => byFilter(tf),
};

export const depthwiseInputGrad: TrainingKernel = {
  name: "DepthwiseConv2dNativeBackpropInput",
  build: (_stock, tf) => byInput(tf),
};
