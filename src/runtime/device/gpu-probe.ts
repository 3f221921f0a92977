/**
 * Decides which GPU engine this machine can run: native CUDA first, then WebGPU on a hardware
 * adapter. There is no silent way back to the CPU: without a GPU the answer is an error that says
 * what was looked for, what was found, and what to do.
 */
import { EsperError } from "../../protocols/errors.ts";
import { type Files, isMissing } from "../durable/files.ts";
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
  /** Where devices and drivers leave their traces. */
  readonly files: Pick<Files, "stat">;
  readonly allowSoftwareGpu?: boolean;
  readonly loaders?: GpuLoaders;
}

/** What a user without a GPU can do instead. */
export const GPU_FALLBACK = "--topology local-cpu";
/** Without `--save-dev` npm takes an optional peer for granted and installs nothing. */
const INSTALL =
  "npm install --no-save --save-dev @tensorflow/tfjs-backend-webgpu@4.22.0 webgpu@0.6.2";
/** What an NVIDIA device and its driver leave on Linux. */
const NVIDIA_TRACES = ["/dev/nvidia0", "/proc/driver/nvidia/version"];
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

async function exists(files: GpuProbeOptions["files"], path: string): Promise<boolean> {
  try {
    await files.stat(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** Tells a machine without a GPU from one whose GPU cannot be reached. */
async function nvidiaEvidence(files: GpuProbeOptions["files"]): Promise<string> {
  const seen: string[] = [];
  for (const path of NVIDIA_TRACES) if (await exists(files, path)) seen.push(path);
  if (seen.length === 0) return `NVIDIA: no device (neither ${NVIDIA_TRACES.join(" nor ")})`;
  return (
    `NVIDIA: a device is there (${seen.join(", ")}); without an adapter the Vulkan loader ` +
    "libvulkan.so.1 is missing, or VK_DRIVER_FILES must name the driver's ICD file"
  );
}

/**
 * The GPU engine to open.
 * @throws {DEPENDENCY_MISSING} when there is none.
 */
export async function resolveGpuEngine(
  options: GpuProbeOptions,
): Promise<"tfjs-node-gpu" | "webgpu"> {
  const loaders = options.loaders ?? systemLoaders;
  const native = await probeNodeGpu(loaders);
  if (native === null) return "tfjs-node-gpu";
  const webgpu = await probeWebGpu(loaders, options.allowSoftwareGpu ?? false);
  if (webgpu === null) return "webgpu";
  const found = [native, webgpu, await nvidiaEvidence(options.files)];
  throw new EsperError(
    "DEPENDENCY_MISSING",
    `no GPU can be used. Looked for: ${LOOKED_FOR.join("; ")}. Found: ${found.join("; ")}. ` +
      `Install a GPU engine (${INSTALL}) or run with ${GPU_FALLBACK}`,
    { lookedFor: LOOKED_FOR, found, install: INSTALL, instead: GPU_FALLBACK },
  );
}
