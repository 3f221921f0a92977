/**
 * Puts our training kernels in place of, or beside, the stock kernels of the wasm backend. Must
 * run before the backend starts, so that setup functions of replaced kernels still run.
 */
import type { Tf } from "../engine-types.ts";
import { convFilterGrad } from "./conv-filter-grad.ts";
import { convInputGrad } from "./conv-input-grad.ts";
import { depthwiseFilterGrad, depthwiseInputGrad } from "./depthwise-grad.ts";
import { identity } from "./identity.ts";
import { type KernelCall, type StockLookup, type TrainingKernel, WASM_BACKEND } from "./kernel.ts";
import { matMul } from "./mat-mul.ts";
import { maxPoolGrad } from "./max-pool-grad.ts";
import { segmentSum } from "./segment-sum.ts";

const TRAINING_KERNELS: readonly TrainingKernel[] = [
  matMul,
  convInputGrad,
  convFilterGrad,
  maxPoolGrad,
  identity,
  segmentSum,
  depthwiseFilterGrad,
  depthwiseInputGrad,
];

function stockLookup(tf: Tf): StockLookup {
  return (name) => {
    const config = tf.getKernel(name, WASM_BACKEND);
    if (config === undefined) throw new Error(`the wasm backend has no kernel ${name}`);
    return (backend, inputs, attrs) => {
      const made = config.kernelFunc({ inputs: { ...inputs }, backend, attrs });
      const [first] = Array.isArray(made) ? made : [made];
      if (first === undefined) throw new Error(`kernel ${name} gave no tensor`);
      return first;
    };
  };
}

/** Registers every training kernel; call once a thread, before the backend starts. */
export function registerTrainingKernels(tf: Tf): void {
  const stock = stockLookup(tf);
  for (const { name, build } of TRAINING_KERNELS) {
    const run = build(stock, tf);
    const replaced = tf.getKernel(name, WASM_BACKEND);
    if (replaced !== undefined) tf.unregisterKernel(name, WASM_BACKEND);
    tf.registerKernel({
      ...replaced,
      kernelName: name,
      backendName: WASM_BACKEND,
      kernelFunc: (call) => run(call as KernelCall),
    });
  }
}
