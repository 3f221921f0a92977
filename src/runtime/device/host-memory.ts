/** Direct views on tensor values for the engines that keep them in this process. */
import { invariant } from "../../protocols/errors.ts";
import type { HostMemory, Tensor, Tf, Variable } from "./engine-types.ts";
import { floats, type WasmBackend } from "./wasm/kernel.ts";

/** Replaces the variable's shared buffer by a copy of its values. */
function copyOnWrite(tf: Tf, variable: Variable, values: Float32Array): void {
  const copy = tf.tensor(values.slice(), variable.shape);
  variable.assign(copy);
  copy.dispose();
}

/** Views on the wasm heap. The heap moves when it grows: take views after the last allocation. */
export function wasmMemory(tf: Tf): HostMemory {
  const backend = tf.backend() as ReturnType<Tf["backend"]> & WasmBackend;
  return {
    view: (tensor) => floats(backend, tensor),
    own(variable) {
      if (backend.refCount(variable.dataId) <= 1) return;
      copyOnWrite(tf, variable, floats(backend, variable));
    },
    written(variable) {
      // Products and convolutions cache a packed form of their weights under the tensor's id.
      // Registering the id again drops that cache and leaves the memory alone.
      const { id, memoryOffset } = backend.dataIdMap.get(variable.dataId);
      backend.wasm.tfjs.disposeData(id);
      backend.wasm.tfjs.registerTensor(id, variable.size, memoryOffset);
    },
  };
}

interface CpuBackend {
  readonly data: { get(dataId: Tensor["dataId"]): { readonly values: unknown } };
  refCount(dataId: Tensor["dataId"]): number;
}

/** Views on the arrays of the plain JavaScript backend. */
export function cpuMemory(tf: Tf): HostMemory {
  const backend = tf.backend() as ReturnType<Tf["backend"]> & CpuBackend;
  const view = (tensor: Tensor): Float32Array => {
    const { values } = backend.data.get(tensor.dataId);
    if (values instanceof Float32Array) return values;
    invariant(Array.isArray(values), "float tensors are held as arrays of numbers");
    return Float32Array.from(values as number[]);
  };
  return {
    view,
    own(variable) {
      const exclusive = backend.refCount(variable.dataId) <= 1;
      const typed = backend.data.get(variable.dataId).values instanceof Float32Array;
      if (!exclusive || !typed) copyOnWrite(tf, variable, view(variable));
    },
    written() {},
  };
}
