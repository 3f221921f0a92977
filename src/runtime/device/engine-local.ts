/** Starts the two engines that need no device: wasm (the CPU engine) and plain JavaScript. */
import { createRequire } from "node:module";
import { dirname, join, sep } from "node:path";
import { EsperError } from "../../protocols/errors.ts";
import type { StartedBackend, Tf } from "./engine-types.ts";
import { cpuMemory, wasmMemory } from "./host-memory.ts";
import { registerTrainingKernels } from "./wasm/register.ts";

/** Loads TensorFlow.js. Production mode first: otherwise it greets on the console. */
export async function loadTf(): Promise<Tf> {
  const tf = await import("@tensorflow/tfjs");
  tf.enableProdMode();
  return tf;
}

/**
 * Makes `name` the thread's backend.
 * @throws {ENGINE_UNSUPPORTED} when it cannot start; the library itself would quietly use another.
 */
export async function selectBackend(tf: Tf, name: string): Promise<void> {
  const started = await tf.setBackend(name);
  await tf.ready();
  if (started && tf.getBackend() === name) return;
  throw new EsperError(
    "ENGINE_UNSUPPORTED",
    `the tensor engine ${name} could not be started; ${tf.getBackend()} was given instead`,
    { engine: name, given: tf.getBackend() },
  );
}

const PROCESS_EVENTS = ["uncaughtException", "unhandledRejection"] as const;

/**
 * Runs `start` and takes back the process-wide listeners that the wasm loader adds: they rethrow
 * every error and would decide over the life of the process. Listeners of others stay.
 */
async function withoutLoaderListeners(start: () => Promise<void>): Promise<void> {
  const emitter: NodeJS.EventEmitter = process;
  const before = PROCESS_EVENTS.map((event) => new Set(emitter.listeners(event)));
  try {
    await start();
  } finally {
    PROCESS_EVENTS.forEach((event, index) => {
      for (const listener of emitter.listeners(event)) {
        const added = before[index]?.has(listener) === false;
        if (added && isLoaderListener(listener)) emitter.off(event, listener as () => void);
      }
    });
  }
}

/** The loader's listeners are anonymous; they are known by the one statement each consists of. */
function isLoaderListener(listener: object): boolean {
  const source = String(listener);
  return source.includes("ExitStatus") || source.includes("throw reason");
}

/** The wasm engine with our training kernels; its files are found beside its package. */
export async function startWasm(): Promise<StartedBackend> {
  const tf = await loadTf();
  const { setWasmPaths } = await import("@tensorflow/tfjs-backend-wasm");
  const entry = createRequire(import.meta.url).resolve("@tensorflow/tfjs-backend-wasm");
  setWasmPaths(join(dirname(entry), sep));
  registerTrainingKernels(tf);
  await withoutLoaderListeners(() => selectBackend(tf, "wasm"));
  const simd = await tf.env().getAsync("WASM_HAS_SIMD_SUPPORT");
  return {
    tf,
    backendName: "wasm",
    description: `TensorFlow.js ${tf.version_core}, WebAssembly${simd ? " SIMD" : ""}, one thread`,
    hostMemory: wasmMemory(tf),
  };
}

/** The plain JavaScript engine: slow, for tests and comparison. */
export async function startCpu(): Promise<StartedBackend> {
  const tf = await loadTf();
  await import("@tensorflow/tfjs-backend-cpu");
  await selectBackend(tf, "cpu");
  return {
    tf,
    backendName: "cpu",
    description: `TensorFlow.js ${tf.version_core}, plain JavaScript`,
    hostMemory: cpuMemory(tf),
  };
}
