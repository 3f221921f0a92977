/**
 * Decides which GPU engine this machine can run: native CUDA first, then WebGPU on a hardware
 * adapter. There is no silent way back to the CPU: without a GPU the answer is an error that says
 * what was looked for, what was found, and what to do.
 */
import { EsperError } from "../../protocols/errors.ts";
import {
  type AdapterInfo,
  describeAdapter,
  isSoftwareAdapter,
  loadNodeGpu,
  NODE_GPU_PACKAGE,
  WEBGPU_PACKAGE,
} from "./engine-gpu.ts";

/** How the probe reaches the optional packages. */
export interface GpuLoaders {
  /** Resolves when native CUDA works. @throws when it does not. */
  nodeGpu(): Promise<unknown>;
  /** The WebGPU adapter, or null. @throws when the package is missing. */
  adapter(): Promise<AdapterInfo | null>;
}

/** What the probe may accept, and how it looks. */
export interface GpuProbeOptions {
  readonly allowSoftwareGpu?: boolean;
  readonly loaders?: GpuLoaders;
}

/** What a user without a GPU can do instead. */
export const GPU_FALLBACK = "--topology local-cpu";
const INSTALL = "npm install @tensorflow/tfjs-backend-webgpu@4.22.0 webgpu@0.6.2";
const LOOKED_FOR = [
  `${NODE_GPU_PACKAGE} with a CUDA device`,
  `${WEBGPU_PACKAGE} with a hardware adapter`,
];

const systemLoaders: GpuLoaders = { nodeGpu: loadNodeGpu, adapter: describeAdapter };

function reasonOf(error: unknown): string {
  const missing = (error as { code?: unknown } | null)?.code === "ERR_MODULE_NOT_FOUND";
  if (missing) return "not installed";
  return error instanceof Error ? (error.message.split("\n")[0] ?? error.name) : String(error);
}

/** Null when native CUDA works, else why not. */
async function probeNodeGpu(loaders: GpuLoaders): Promise<string | null> {
  try {
    await loaders.nodeGpu();
    return null;
  } catch (error) {
    return `${NODE_GPU_PACKAGE}: ${reasonOf(error)}`;
  }
}

/** Null when WebGPU works on a wanted adapter, else why not. */
async function probeWebGpu(loaders: GpuLoaders, allowSoftware: boolean): Promise<string | null> {
  try {
    const info = await loaders.adapter();
    if (info === null) return `${WEBGPU_PACKAGE}: no adapter`;
    if (!isSoftwareAdapter(info) || allowSoftware) return null;
    const name = `${info.vendor}/${info.architecture}`;
    return `${WEBGPU_PACKAGE}: only the software adapter ${name} (--allow-software-gpu permits it)`;
  } catch (error) {
    return `${WEBGPU_PACKAGE}: ${reasonOf(error)}`;
  }
}

/**
 * The GPU engine to open.
 * @throws {DEPENDENCY_MISSING} when there is none.
 */
export async function resolveGpuEngine(
  options: GpuProbeOptions = {},
): Promise<"tfjs-node-gpu" | "webgpu"> {
  const loaders = options.loaders ?? systemLoaders;
  const native = await probeNodeGpu(loaders);
  if (native === null) return "tfjs-node-gpu";
  const webgpu = await probeWebGpu(loaders, options.allowSoftwareGpu ?? false);
  if (webgpu === null) return "webgpu";
  const found = [native, webgpu];
  throw new EsperError(
    "DEPENDENCY_MISSING",
    `no GPU can be used. Looked for: ${LOOKED_FOR.join("; ")}. Found: ${found.join("; ")}. ` +
      `Install a GPU engine (${INSTALL}) or run with ${GPU_FALLBACK}`,
    { lookedFor: LOOKED_FOR, found, install: INSTALL, instead: GPU_FALLBACK },
  );
}
