/**
 * Starts the engines that run on a GPU. Their packages are optional and imported by a variable
 * name, so that nothing here needs them to be installed.
 */
import { EsperError } from "../../protocols/errors.ts";
import { loadTf, selectBackend } from "./engine-local.ts";
import type { StartedBackend, Tf } from "./engine-types.ts";

/** The native CUDA engine, an optional peer. */
export const NODE_GPU_PACKAGE: string = "@tensorflow/tfjs-node-gpu";
/** WebGPU for Node, an optional peer. */
export const WEBGPU_PACKAGE: string = "webgpu";
const WEBGPU_BACKEND_PACKAGE: string = "@tensorflow/tfjs-backend-webgpu";

/** What a WebGPU adapter says of itself. */
export interface AdapterInfo {
  readonly vendor: string;
  readonly architecture: string;
  readonly description: string;
}

interface WebGpuAdapter {
  readonly info: AdapterInfo;
}

interface WebGpu {
  requestAdapter(options: { powerPreference: "high-performance" }): Promise<WebGpuAdapter | null>;
}

interface WebGpuPackage {
  readonly globals: Readonly<Record<string, unknown>>;
  create(options: readonly string[]): WebGpu;
}

const SOFTWARE = /mesa|google|swiftshader|lavapipe|llvmpipe/i;

/** True for adapters that compute on the CPU and only look like a GPU. */
export function isSoftwareAdapter(info: AdapterInfo): boolean {
  return SOFTWARE.test(`${info.vendor} ${info.architecture} ${info.description}`);
}

async function loadWebGpu(): Promise<{ readonly gpu: WebGpu; readonly pack: WebGpuPackage }> {
  const pack = (await import(WEBGPU_PACKAGE)) as WebGpuPackage;
  return { gpu: pack.create([]), pack };
}

async function adapterOf(gpu: WebGpu): Promise<AdapterInfo | null> {
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  if (adapter === null) return null;
  const { vendor, architecture, description } = adapter.info;
  return { vendor, architecture, description };
}

/** The adapter that WebGPU would use, or null when there is none. @throws when not installed. */
export async function describeAdapter(): Promise<AdapterInfo | null> {
  const { gpu } = await loadWebGpu();
  return adapterOf(gpu);
}

/** Loads the native package. @throws when it is not installed, and when it found no GPU. */
export async function loadNodeGpu(): Promise<Tf> {
  const tf = (await import(NODE_GPU_PACKAGE)) as Tf;
  await tf.ready();
  const backend = tf.backend() as { readonly isUsingGpuDevice?: boolean };
  if (backend.isUsingGpuDevice !== true) {
    throw new Error(`${NODE_GPU_PACKAGE} is installed but found no CUDA device`);
  }
  return tf;
}

/** @throws {DEPENDENCY_MISSING} when the package or its device is not there. */
export async function startNodeGpu(): Promise<StartedBackend> {
  try {
    const tf = await loadNodeGpu();
    tf.enableProdMode();
    await selectBackend(tf, "tensorflow");
    return {
      tf,
      backendName: "tensorflow",
      description: `TensorFlow.js ${tf.version_core}, native CUDA (tfjs-node-gpu)`,
      hostMemory: null,
    };
  } catch (error) {
    throw missing(NODE_GPU_PACKAGE, error);
  }
}

function missing(what: string, error: unknown): EsperError {
  const reason = error instanceof Error ? error.message : String(error);
  return new EsperError(
    "DEPENDENCY_MISSING",
    `the tensor engine needs ${what}: ${reason}; use --topology local-cpu instead`,
    { lookedFor: [what], found: [reason], instead: "--topology local-cpu" },
    error,
  );
}

/**
 * What the library expects of a browser: the WebGPU classes, `self` and `navigator.gpu`. Returns
 * what takes `navigator.gpu` back, which would keep the process alive.
 */
function installGlobals(gpu: WebGpu, pack: WebGpuPackage): () => void {
  const scope = globalThis as { self?: unknown; navigator?: object };
  Object.assign(scope, pack.globals);
  scope.self ??= globalThis;
  const before = Object.getOwnPropertyDescriptor(globalThis, "navigator");
  const navigator = Object.assign(Object.create(scope.navigator ?? {}), { gpu });
  Object.defineProperty(globalThis, "navigator", { value: navigator, configurable: true });
  return () => {
    if (before === undefined) Reflect.deleteProperty(globalThis, "navigator");
    else Object.defineProperty(globalThis, "navigator", before);
  };
}

interface WebGpuDevice extends EventTarget {
  readonly lost: Promise<{ readonly reason: string; readonly message: string }>;
  destroy(): void;
}

type WebGpuBackend = ReturnType<Tf["backend"]> & { readonly device: WebGpuDevice };
type UncapturedError = Event & { readonly error: { readonly message: string } };

/** Remembers the first thing that goes wrong on the device: its own report ends on the console. */
function watchDevice({ device }: WebGpuBackend): () => string | null {
  let fault: string | null = null;
  device.addEventListener("uncapturederror", (event) => {
    const [line] = (event as UncapturedError).error.message.split("\n");
    fault ??= `it refused an operation: ${line}`;
    event.preventDefault();
  });
  // Destroyed is what we do ourselves at the end.
  void device.lost.then(({ reason, message }) => {
    if (reason !== "destroyed") fault ??= `it was lost: ${message}`;
  });
  return () => fault;
}

/** Frees the device and everything on it; the backend can be started again afterwards. */
function closeWebGpu(tf: Tf): void {
  const factory = tf.findBackendFactory("webgpu");
  const { device } = tf.findBackend("webgpu") as WebGpuBackend;
  tf.removeBackend("webgpu");
  device.destroy();
  // The package registers its backend only once, when it is imported.
  tf.registerBackend("webgpu", factory);
}

/** @throws {DEPENDENCY_MISSING} without package or adapter, and for an unwanted software one. */
export async function startWebGpu(allowSoftwareGpu: boolean): Promise<StartedBackend> {
  let restoreGlobals: (() => void) | null = null;
  try {
    const { gpu, pack } = await loadWebGpu();
    const info = await adapterOf(gpu);
    if (info === null) throw new Error("no WebGPU adapter was found");
    const name = `${info.vendor}/${info.architecture}`;
    if (isSoftwareAdapter(info) && !allowSoftwareGpu) {
      throw new Error(`the only adapter, ${name}, is software (--allow-software-gpu permits it)`);
    }
    const restore = installGlobals(gpu, pack);
    restoreGlobals = restore;
    const tf = await loadTf();
    await import(WEBGPU_BACKEND_PACKAGE);
    await selectBackend(tf, "webgpu");
    const deviceFault = watchDevice(tf.findBackend("webgpu") as WebGpuBackend);
    // Program 1 sums in whatever order the device finishes; 3 gives the same bits every time.
    tf.env().set("WEBGPU_MATMUL_PROGRAM_TYPE", 3);
    // Otherwise small operations would run on the CPU, but only until their inputs were computed on
    // the device: a run and its continuation would round differently.
    tf.env().set("WEBGPU_CPU_FORWARD", false);
    return {
      tf,
      backendName: "webgpu",
      description: `TensorFlow.js ${tf.version_core}, WebGPU on ${name} ${info.description}`,
      hostMemory: null,
      deviceFault,
      close() {
        restore();
        closeWebGpu(tf);
      },
    };
  } catch (error) {
    restoreGlobals?.();
    throw missing(`${WEBGPU_PACKAGE} and ${WEBGPU_BACKEND_PACKAGE}`, error);
  }
}
