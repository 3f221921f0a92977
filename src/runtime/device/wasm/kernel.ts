/**
 * What our training kernels know of the wasm backend. `heap` views are taken anew for every use,
 * because the heap moves when it grows.
 */
import type { NamedAttrMap, TensorInfo, Tf } from "../engine-types.ts";

/** The name under which the library knows the backend. */
export const WASM_BACKEND = "wasm";

type DataId = TensorInfo["dataId"];

/** The part of the backend's surface that our kernels use; pinned with the package's version. */
export interface WasmBackend {
  readonly wasm: {
    readonly tfjs: {
      registerTensor(id: number, size: number, memoryOffset: number): void;
      disposeData(id: number): void;
    };
  };
  readonly dataIdMap: {
    get(dataId: DataId): { readonly id: number; readonly memoryOffset: number };
  };
  makeOutput(shape: readonly number[], dtype: TensorInfo["dtype"]): TensorInfo;
  typedArrayFromHeap(info: TensorInfo): Float32Array | Int32Array | Uint8Array;
  disposeData(dataId: DataId): boolean;
  incRef(dataId: DataId): void;
  refCount(dataId: DataId): number;
}

/** What the library calls a kernel with. */
export interface KernelCall {
  readonly inputs: Readonly<Record<string, TensorInfo>>;
  readonly backend: WasmBackend;
  readonly attrs: NamedAttrMap;
}

/** One operation on the backend; makes a new tensor. */
export type Kernel = (call: KernelCall) => TensorInfo;

/** A kernel as the package ships it, looked up before ours replaces it. */
export type StockKernel = (
  backend: WasmBackend,
  inputs: Readonly<Record<string, TensorInfo>>,
  attrs: NamedAttrMap,
) => TensorInfo;

/** Finds a stock kernel. @throws Error when the package does not have it. */
export type StockLookup = (name: string) => StockKernel;

/** One kernel of ours: its name in TensorFlow.js and how it is made from the stock kernels. */
export interface TrainingKernel {
  readonly name: string;
  build(stock: StockLookup, tf: Tf): Kernel;
}

/** The float values of a tensor, in place. */
export function floats(backend: WasmBackend, info: TensorInfo): Float32Array {
  return backend.typedArrayFromHeap(info) as Float32Array;
}

/** A fresh float tensor of zeros. */
export function zeros(backend: WasmBackend, shape: readonly number[]): TensorInfo {
  const out = backend.makeOutput(shape, "float32");
  floats(backend, out).fill(0);
  return out;
}

/** The named input of the call. @throws Error when the library left it out. */
export function input(call: KernelCall, name: string): TensorInfo {
  const found = call.inputs[name];
  if (found === undefined) throw new Error(`the kernel was called without its input ${name}`);
  return found;
}
