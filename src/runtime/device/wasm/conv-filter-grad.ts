/**
 * Gradient of a convolution by its filter, which the wasm backend lacks. It is itself a
 * convolution: batch plays the part of the channels, channels the part of the batch, and the
 * stride becomes the dilation.
 */
import type { NamedAttrMap, TensorInfo } from "../engine-types.ts";
import { type ConvGeometry, geometryOf } from "./conv-geometry.ts";
import { input, type StockKernel, type TrainingKernel, type WasmBackend } from "./kernel.ts";

interface Trailing {
  readonly bottom: number;
  readonly right: number;
}

/** Rows and columns behind the input that windows reach; negative where some are never reached. */
function trailing(geometry: ConvGeometry): Trailing {
  const { outHeight, outWidth, strideHeight, strideWidth, filterHeight, filterWidth } = geometry;
  const { top, left } = geometry.padInfo;
  return {
    bottom: (outHeight - 1) * strideHeight + filterHeight - geometry.inHeight - top,
    right: (outWidth - 1) * strideWidth + filterWidth - geometry.inWidth - left,
  };
}

/** Collects the intermediate tensors of one call, so that all of them are freed. */
class Scratch {
  readonly #backend: WasmBackend;
  readonly #made: TensorInfo[] = [];

  constructor(backend: WasmBackend) {
    this.#backend = backend;
  }

  run(kernel: StockKernel, inputs: Record<string, TensorInfo>, attrs: NamedAttrMap): TensorInfo {
    const out = kernel(this.#backend, inputs, attrs);
    this.#made.push(out);
    return out;
  }

  free(): void {
    for (const info of this.#made) this.#backend.disposeData(info.dataId);
  }
}

/** dW of a convolution, any stride; [rows, columns, inputs, outputs]. */
export const convFilterGrad: TrainingKernel = {
  name: "Conv2DBackpropFilter",
  build(stock, tf) {
    const transpose = stock("Transpose");
    const slice = stock("Slice");
    const convolve = stock("Conv2D");
    return (call) => {
      const { backend, attrs } = call;
      const x = input(call, "x");
      const dy = input(call, "dy");
      const geometry = geometryOf(tf, attrs, x.shape, attrs["filterShape"] as number[], false);
      const { bottom, right } = trailing(geometry);
      const { inChannels, inHeight, inWidth, batchSize, padInfo } = geometry;
      const scratch = new Scratch(backend);
      let source = scratch.run(transpose, { x }, { perm: [3, 1, 2, 0] });
      if (bottom < 0 || right < 0) {
        const size = [inChannels, inHeight + Math.min(bottom, 0), inWidth + Math.min(right, 0)];
        source = scratch.run(
          slice,
          { x: source },
          { begin: [0, 0, 0, 0], size: [...size, batchSize] },
        );
      }
      const filter = scratch.run(transpose, { x: dy }, { perm: [1, 2, 0, 3] });
      const pad = [
        [0, 0],
        [padInfo.top, Math.max(bottom, 0)],
        [padInfo.left, Math.max(right, 0)],
        [0, 0],
      ];
      const dilations = [geometry.strideHeight, geometry.strideWidth];
      const turned = scratch.run(
        convolve,
        { x: source, filter },
        { strides: [1, 1], dilations, dataFormat: "NHWC", pad },
      );
      const gradient = transpose(backend, { x: turned }, { perm: [1, 2, 0, 3] });
      scratch.free();
      return gradient;
    };
  },
};
