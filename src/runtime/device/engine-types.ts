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
  /** Null when values live on another device, from which they can only be awaited. */
  readonly hostMemory: HostMemory | null;
  /** Tensors that are alive now. */
  memory(): EngineMemory;
  /**
   * Must be asked whenever values came from a device: it computes after the call that ordered it,
   * and reports late.
   * @throws {ENGINE_UNSUPPORTED} once the device has refused anything or was lost.
   */
  checkDevice(): void;
  /**
   * Gives the thread's claim on this engine back; the last one closes a device that would keep the
   * process alive, and its tensors with it. Idempotent.
   */
  dispose(): void;
}

/** What a backend gives after it has been started in this thread. */
export interface StartedBackend {
  readonly tf: Tf;
  /** The name under which TensorFlow.js knows the backend. */
  readonly backendName: string;
  readonly description: string;
  readonly hostMemory: HostMemory | null;
  /** What the device refused, or how it was lost, in its words; null as long as all is well. */
  readonly deviceFault?: () => string | null;
  /** Closes the device, where there is one that must be closed; the backend is then gone. */
  readonly close?: () => void;
}

/**
 * A copy of the tensor's values as they are now: what happens to the tensor afterwards does not
 * show. Where values are in this process's memory the copy is made before this returns.
 */
export async function readValues(engine: Engine, tensor: Tensor): Promise<Float32Array> {
  const { hostMemory } = engine;
  if (hostMemory !== null) return hostMemory.view(tensor).slice();
  const values = Float32Array.from(await tensor.data());
  engine.checkDevice();
  return values;
}

/** Runs `work` and frees every tensor it made and did not keep, whatever it returns. */
export function scoped<T>(tf: Tf, work: () => T): T {
  const engine = tf.engine();
  engine.startScope();
  try {
    return work();
  } finally {
    engine.endScope();
  }
}

/** How many numbers a tensor of this shape holds. */
export function sizeOf(shape: Shape): number {
  return shape.reduce((size, extent) => size * extent, 1);
}
