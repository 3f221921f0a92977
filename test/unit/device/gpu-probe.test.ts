import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { EsperError } from "../../../src/protocols/errors.ts";
import type { AdapterInfo } from "../../../src/runtime/device/engine-gpu.ts";
import {
  type GpuLoaders,
  type GpuProbeOptions,
  resolveGpuEngine,
} from "../../../src/runtime/device/gpu-probe.ts";
import { systemFiles } from "../../../src/runtime/durable/files.ts";

const missing = async (): Promise<never> => {
  throw Object.assign(new Error("Cannot find package"), { code: "ERR_MODULE_NOT_FOUND" });
};
const adapter = (vendor: string, architecture: string): AdapterInfo => ({
  vendor,
  architecture,
  description: "",
});
/** A file system with only these files. */
const filesystem = (...paths: readonly string[]): GpuProbeOptions["files"] => ({
  async stat(path) {
    if (paths.includes(path)) return { kind: "other", size: 0, isDirectory: false, modifiedMs: 0 };
    return systemFiles.stat(join(tmpdir(), "esper-no-such-folder", path));
  },
});
const bare = filesystem();
const loaders = (changes: Partial<GpuLoaders>): GpuLoaders => ({
  nodeGpu: missing,
  adapter: missing,
  ...changes,
});

describe("choosing a GPU engine", () => {
  it("takes native CUDA first, without asking for an adapter", async () => {
    const asked: string[] = [];
    const choice = await resolveGpuEngine({
      files: bare,
      loaders: loaders({
        nodeGpu: async () => "loaded",
        adapter: async () => {
          asked.push("adapter");
          return adapter("nvidia", "hopper");
        },
      }),
    });
    expect(choice).toBe("tfjs-node-gpu");
    expect(asked).toEqual([]);
  });

  it("takes WebGPU on a hardware adapter next", async () => {
    const found = loaders({ adapter: async () => adapter("nvidia", "hopper") });
    expect(await resolveGpuEngine({ files: bare, loaders: found })).toBe("webgpu");
  });

  it.each([
    ["mesa", "software"],
    ["google", "swiftshader"],
    ["", "lavapipe"],
  ])("refuses the software adapter %s/%s unless it is allowed", async (vendor, architecture) => {
    const found = loaders({ adapter: async () => adapter(vendor, architecture) });
    await expect(resolveGpuEngine({ files: bare, loaders: found })).rejects.toThrow(
      "--allow-software-gpu",
    );
    expect(await resolveGpuEngine({ files: bare, loaders: found, allowSoftwareGpu: true })).toBe(
      "webgpu",
    );
  });

  it("says what it looked for, what it found and what to do instead", async () => {
    const error = await resolveGpuEngine({
      files: bare,
      loaders: loaders({
        nodeGpu: async () => {
          throw new Error("libcuda.so.1 cannot be opened\nstack");
        },
      }),
    }).catch((thrown: unknown) => thrown);
    expect(EsperError.is(error, "DEPENDENCY_MISSING")).toBe(true);
    const { message, details, row } = error as EsperError;
    expect(row.exitCode).toBe(3);
    expect(details["lookedFor"]).toHaveLength(2);
    expect(details["found"]).toEqual([
      "@tensorflow/tfjs-node-gpu: libcuda.so.1 cannot be opened",
      "webgpu: not installed",
      "NVIDIA: no device (neither /dev/nvidia0 nor /proc/driver/nvidia/version)",
    ]);
    expect(details["instead"]).toBe("--topology local-cpu");
    for (const part of ["Looked for", "Found", "npm install", "--topology local-cpu"]) {
      expect(message).toContain(part);
    }
  });

  it("names a machine without any adapter", async () => {
    const found = loaders({ adapter: async () => null });
    await expect(resolveGpuEngine({ files: bare, loaders: found })).rejects.toThrow(
      "webgpu: no adapter",
    );
  });

  it("tells a machine with an NVIDIA device that cannot be reached from one without", async () => {
    const absent = loaders({ adapter: async () => null });
    const probe = (...paths: string[]) =>
      resolveGpuEngine({ files: filesystem(...paths), loaders: absent });
    await expect(probe()).rejects.toThrow("NVIDIA: no device");
    await expect(probe("/dev/nvidia0")).rejects.toThrow(
      "NVIDIA: a device is there (/dev/nvidia0); without an adapter the Vulkan loader",
    );
    await expect(probe("/dev/nvidia0", "/proc/driver/nvidia/version")).rejects.toThrow(
      "(/dev/nvidia0, /proc/driver/nvidia/version)",
    );
  });

  it("names an install command that npm does not take for done", async () => {
    const error = await resolveGpuEngine({ files: bare, loaders: loaders({}) }).catch((e) => e);
    expect(error.message).toContain("npm install --no-save --save-dev ");
  });
});
