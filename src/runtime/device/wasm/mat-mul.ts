/**
 * Matrix product. The stock kernel leaves its fast path for transposed operands, which is what
 * both gradients of a product need; transposing first and multiplying then is several times faster.
 */
import type { TensorInfo } from "../engine-types.ts";
import { input, type TrainingKernel } from "./kernel.ts";

/** The permutation that swaps the last two axes. */
function swapLast(rank: number): number[] {
  const axes = Array.from({ length: rank }, (_, axis) => axis);
  return [...axes.slice(0, rank - 2), rank - 1, rank - 2];
}

/** a b, either of them transposed, batched or not. */
export const matMul: TrainingKernel = {
  name: "BatchMatMul",
  build(stock) {
    const multiply = stock("BatchMatMul");
    const transpose = stock("Transpose");
    return (call) => {
      const { backend } = call;
      const { transposeA, transposeB } = call.attrs as {
        transposeA: boolean;
        transposeB: boolean;
      };
      const made: TensorInfo[] = [];
      const straight = (name: string, transposed: boolean): TensorInfo => {
        const x = input(call, name);
        if (!transposed) return x;
        const turned = transpose(backend, { x }, { perm: swapLast(x.shape.length) });
        made.push(turned);
        return turned;
      };
      const inputs = { a: straight("a", transposeA), b: straight("b", transposeB) };
      const out = multiply(backend, inputs, { transposeA: false, transposeB: false });
      for (const info of made) backend.disposeData(info.dataId);
      return out;
    };
  },
};
