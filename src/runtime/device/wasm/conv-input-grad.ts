/**
 * Gradient of a convolution by its input: for stride 1 it is a convolution of the output's
 * gradient with the filter turned by 180 degrees and its channel axes swapped, which runs on the
 * fast path. Other strides keep the stock kernel.
 */
import { geometryOf } from "./conv-geometry.ts";
import { input, type TrainingKernel } from "./kernel.ts";

/** dx of a convolution. */
export const convInputGrad: TrainingKernel = {
  name: "Conv2DBackpropInput",
  build(stock, tf) {
    const original = stock("Conv2DBackpropInput");
    const transpose = stock("Transpose");
    const reverse = stock("Reverse");
    const convolve = stock("Conv2D");
    return (call) => {
      const { backend, attrs } = call;
      const dy = input(call, "dy");
      const filter = input(call, "filter");
      const inputShape = attrs["inputShape"] as number[];
      const geometry = geometryOf(tf, attrs, inputShape, filter.shape, false);
      if (geometry.strideHeight !== 1 || geometry.strideWidth !== 1) {
        return original(backend, { dy, filter }, attrs);
      }
      const swapped = transpose(backend, { x: filter }, { perm: [0, 1, 3, 2] });
      const turned = reverse(backend, { x: swapped }, { dims: [0, 1] });
      const { top, bottom, left, right } = geometry.padInfo;
      const reachY = geometry.filterHeight - 1;
      const reachX = geometry.filterWidth - 1;
      const pad = [
        [0, 0],
        [reachY - top, reachY - bottom],
        [reachX - left, reachX - right],
        [0, 0],
      ];
      const dx = convolve(
        backend,
        { x: dy, filter: turned },
        { strides: [1, 1], dilations: [1, 1], dataFormat: "NHWC", pad },
      );
      backend.disposeData(swapped.dataId);
      backend.disposeData(turned.dataId);
      return dx;
    };
  },
};
