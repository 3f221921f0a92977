import { describe, expect, it } from "vitest";
import { EsperError } from "../../../src/protocols/errors.ts";
import type { AdapterInfo } from "../../../src/runtime/device/engine-gpu.ts";
import { type GpuLoaders, resolveGpuEngine } from "../../../src/runtime/device/gpu-probe.ts";

const missing = async (): Promise<never> => {
  throw Object.assign(new Error("Cannot find package"), { code: "ERR_MODULE_NOT_FOUND" });
};
const adapter = (vendor: string, architecture: string): AdapterInfo => ({
  vendor,
  architecture,
  description: "",
});
const loaders = (changes: Partial<GpuLoaders>): GpuLoaders => ({
  nodeGpu: missing,
  adapter: missing,
  ...changes,
});

describe("choosing a GPU engine", () => {
  it("takes native CUDA first, without asking for an adapter", async () => {
    const asked: string[] = [];
    const choice = await resolveGpuEngine({
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
    expect(await resolveGpuEngine({ loaders: found })).toBe("webgpu");
  });

  it.each([
    ["mesa", "software"],
    ["google", "swiftshader"],
    ["", "lavapipe"],
  ])("refuses the software adapter %s/%s unless it is allowed", async (vendor, architecture) => {
    const found = loaders({ adapter: async () => adapter(vendor, architecture) });
    await expect(resolveGpuEngine({ loaders: found })).rejects.toThrow("--allow-software-gpu");
    expect(await resolveGpuEngine({ loaders: found, allowSoftwareGpu: true })).toBe("webgpu");
  });

  it("says what it looked for, what it found and what to do instead", async () => {
    const error = await resolveGpuEngine({
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
    ]);
    expect(details["instead"]).toBe("--topology local-cpu");
    for (const part of ["Looked for", "Found", "npm install", "--topology local-cpu"]) {
      expect(message).toContain(part);
    }
  });

  it("names a machine without any adapter", async () => {
    const found = loaders({ adapter: async () => null });
    await expect(resolveGpuEngine({ loaders: found })).rejects.toThrow("webgpu: no adapter");
  });
});
