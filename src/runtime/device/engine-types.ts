/**
 * What the rest of the device code sees of a tensor engine. Types only: whoever imports this file
 * loads no tensor library.
 */
import type { Tensor, Variable } from "@tensorflow/tfjs";
import type { EngineKind } from "./engine-kind.ts";

export type {
  GradSaveFunc,
  NamedAttrMap,
  NamedTensorInfoMap,
  Tensor,
  Tensor4D,
  TensorInfo,
  Variable,
} from "@tensorflow/tfjs";

/** The whole TensorFlow.js namespace. */
export type Tf = typeof import("@tensorflow/tfjs");

/** Shape without the batch dimension. */
export type Shape = readonly number[];

/** Direct access to tensor values, for engines that keep them in this process's memory. */
export interface HostMemory {
  /**
   * The tensor's own values, not a copy. Every allocation on the engine may move the memory, so a
   * view is only good until the next tensor is made.
   */
  view(tensor: Tensor): Float32Array;
  /** Gives the variable a buffer of its own if another live tensor shares it. May allocate. */
  own(variable: Variable): void;
  /** Must follow every write through a view: drops what the engine derived from the old values. */
  written(variable: Variable): void;
}

/** Live tensors of the whole engine, and their bytes. */
export interface EngineMemory {
  readonly tensors: number;
  readonly bytes: number;
}

/** An open tensor engine. All tensors of a thread live in one engine. */
export interface Engine {
  readonly kind: EngineKind;
  readonly tf: Tf;
  /** One line for people: which engine this is and what it runs on. */
  readonly description: string;
  /** Null when values live on another device. */
  readonly hostMemory: HostMemory | null;
  /** False when values can only be fetched asynchronously; training needs synchronous reads. */
  readonly synchronousReads: boolean;
  memory(): EngineMemory;
  /** Gives the thread's claim on this engine back. Idempotent; disposes no tensor. */
  dispose(): void;
}

/** What a backend gives after it has been started in this thread. */
export interface StartedBackend {
  readonly tf: Tf;
  /** The name under which TensorFlow.js knows the backend. */
  readonly backendName: string;
  readonly description: string;
  readonly hostMemory: HostMemory | null;
  readonly synchronousReads: boolean;
}

/** A copy of the tensor's values. */
export function readValues(engine: Engine, tensor: Tensor): Float32Array {
  const { hostMemory } = engine;
  if (hostMemory !== null) return hostMemory.view(tensor).slice();
  return Float32Array.from(tensor.dataSync());
}

/** How many numbers a tensor of this shape holds. */
export function sizeOf(shape: Shape): number {
  return shape.reduce((size, extent) => size * extent, 1);
}
