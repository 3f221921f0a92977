import { describe, expect, it } from "vitest";
import { EsperError } from "../../../src/protocols/errors.ts";
import { describeHost, hostSpec } from "../../../src/runtime/device/hosts.ts";

describe("hosts by shape", () => {
  it("makes an mlp with a site behind every hidden layer", () => {
    const spec = hostSpec({ kind: "mlp", widths: [16, 8] }, [4]);
    expect(spec.layers.map(({ kind }) => kind)).toEqual(["dense", "dense"]);
    expect(spec.sites).toEqual([
      { after: 0, siteId: "hidden1" },
      { after: 1, siteId: "hidden2" },
    ]);
  });

  it("flattens images for an mlp", () => {
    const spec = hostSpec({ kind: "mlp", widths: [16] }, [8, 8, 1]);
    expect(spec.layers.map(({ kind }) => kind)).toEqual(["flatten", "dense"]);
    expect(spec.sites).toEqual([{ after: 1, siteId: "hidden1" }]);
  });

  it("makes a cnn with a site behind every pool", () => {
    const spec = hostSpec({ kind: "cnn", widths: [4, 8] }, [8, 8, 1]);
    expect(spec.layers.map(({ kind }) => kind)).toEqual(["conv2d", "maxPool", "conv2d", "maxPool"]);
    expect(spec.sites).toEqual([
      { after: 1, siteId: "conv1" },
      { after: 3, siteId: "conv2" },
    ]);
  });

  it.each([
    ["a cnn on a table", { kind: "cnn", widths: [4] }, [10]],
    ["a cnn deeper than the image", { kind: "cnn", widths: [4, 4, 4, 4] }, [8, 8, 1]],
    ["no widths", { kind: "mlp", widths: [] }, [10]],
    ["a width of zero", { kind: "mlp", widths: [4, 0] }, [10]],
  ] as const)("refuses %s", (_name, request, inputShape) => {
    let error: unknown;
    try {
      hostSpec(request, inputShape);
    } catch (thrown) {
      error = thrown;
    }
    expect(EsperError.is(error, "CONFIG_INVALID")).toBe(true);
    expect((error as Error).message).toContain("--host");
  });

  it("says in one line what the host is", () => {
    expect(describeHost({ kind: "mlp", widths: [16, 8] }, [8, 8, 1])).toBe("mlp 64 -> 16 -> 8");
    expect(describeHost({ kind: "cnn", widths: [4] }, [8, 8, 1])).toBe("cnn 8x8x1 -> 4");
  });
});
