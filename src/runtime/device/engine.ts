/**
 * Opens a tensor engine. A thread has one engine at a time: the library keeps one current backend,
 * and tensors of two backends must not meet. Every engine passes the self-test before it is given
 * out, and none is ever replaced by another without being asked.
 */
import { EsperError } from "../../protocols/errors.ts";
import { startNodeGpu, startWebGpu } from "./engine-gpu.ts";
import type { EngineKind } from "./engine-kind.ts";
import { selectBackend, startCpu, startWasm } from "./engine-local.ts";
import type { Engine, StartedBackend } from "./engine-types.ts";
import { selfTest } from "./self-test.ts";

export type { Engine } from "./engine-types.ts";

/** What a caller may permit when it opens an engine. */
export interface EngineOptions {
  /** Accept a WebGPU adapter that computes on the CPU. */
  readonly allowSoftwareGpu?: boolean;
}

/** Backends already started in this thread; starting twice would register kernels twice. */
const started = new Map<EngineKind, Promise<StartedBackend>>();
const thread: { current: EngineKind | null; holders: number } = { current: null, holders: 0 };

function start(kind: EngineKind, options: EngineOptions): Promise<StartedBackend> {
  switch (kind) {
    case "wasm":
      return startWasm();
    case "cpu":
      return startCpu();
    case "tfjs-node-gpu":
      return startNodeGpu();
    case "webgpu":
      return startWebGpu(options.allowSoftwareGpu ?? false);
  }
}

async function startOnce(kind: EngineKind, options: EngineOptions): Promise<StartedBackend> {
  const known = started.get(kind);
  if (known !== undefined) return known;
  const starting = start(kind, options).then(async (backend) => {
    await selfTest(backend);
    return backend;
  });
  started.set(kind, starting);
  try {
    return await starting;
  } catch (error) {
    started.delete(kind);
    throw error;
  }
}

/** Claims the thread for engines of this kind. @throws {ENGINE_UNSUPPORTED} */
function claim(kind: EngineKind): void {
  if (thread.holders > 0 && thread.current !== kind) {
    throw new EsperError(
      "ENGINE_UNSUPPORTED",
      `this thread already runs the tensor engine ${thread.current}; ` +
        `dispose of it before opening ${kind}, or open ${kind} in another thread`,
      { engine: kind, current: thread.current },
    );
  }
  thread.current = kind;
  thread.holders += 1;
}

/** The last holder closes what must be closed; a wasm heap is kept for the next one. */
function release(kind: EngineKind, backend?: StartedBackend): void {
  thread.holders -= 1;
  if (thread.holders > 0 || backend?.close === undefined) return;
  started.delete(kind);
  backend.close();
}

function checkDevice(kind: EngineKind, backend: StartedBackend): void {
  const fault = backend.deviceFault?.() ?? null;
  if (fault === null) return;
  throw new EsperError(
    "ENGINE_UNSUPPORTED",
    `the device of the tensor engine ${kind} failed: ${fault}; continue with --topology local-cpu`,
    { engine: kind, fault },
  );
}

/**
 * Opens the engine of this kind in this thread.
 * @throws {ENGINE_UNSUPPORTED} when it cannot start, fails its self-test, or another kind is open
 * @throws {DEPENDENCY_MISSING} when an optional package or a GPU is not there
 */
export async function openEngine(kind: EngineKind, options: EngineOptions = {}): Promise<Engine> {
  claim(kind);
  let open = true;
  try {
    const backend = await startOnce(kind, options);
    const { tf, description, hostMemory, backendName } = backend;
    if (tf.getBackend() !== backendName) await selectBackend(tf, backendName);
    return {
      kind,
      tf,
      description,
      hostMemory,
      memory() {
        const { numTensors, numBytes } = tf.memory();
        return { tensors: numTensors, bytes: numBytes };
      },
      checkDevice: () => checkDevice(kind, backend),
      dispose() {
        if (open) release(kind, backend);
        open = false;
      },
    };
  } catch (error) {
    release(kind);
    throw error;
  }
}
