import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { EsperError } from "../../../src/protocols/errors.ts";
import { type Engine, openEngine } from "../../../src/runtime/device/engine.ts";
import type { Tensor, Tensor4D } from "../../../src/runtime/device/engine-types.ts";
import { selfTest } from "../../../src/runtime/device/self-test.ts";
import { normals, onEngine } from "./support.ts";

const EVENTS = ["uncaughtException", "unhandledRejection"] as const;

describe("opening an engine", () => {
  const home = process.cwd();
  let listeners: readonly unknown[][];
  let ours: () => void;
  let engine: Engine;

  beforeAll(async () => {
    const print = vi.spyOn(console, "warn");
    ours = () => {};
    process.on("uncaughtException", ours);
    listeners = EVENTS.map((event) => process.listeners(event as "exit"));
    process.chdir(mkdtempSync(join(tmpdir(), "esper-cwd-")));
    engine = await openEngine("wasm");
    expect(print).not.toHaveBeenCalled();
    print.mockRestore();
  });

  afterAll(() => {
    process.chdir(home);
    process.removeListener("uncaughtException", ours);
    engine.dispose();
  });

  it("finds the wasm files whatever the working directory, and says what it is", () => {
    expect(engine.kind).toBe("wasm");
    expect(engine.tf.getBackend()).toBe("wasm");
    expect(engine.description).toContain("WebAssembly SIMD");
    expect(engine.hostMemory).not.toBeNull();
  });

  it("leaves the process's own error listeners exactly as they were", () => {
    expect(EVENTS.map((event) => process.listeners(event as "exit"))).toEqual(listeners);
  });

  it("leaves no tensor behind from its self-test", () => {
    expect(engine.memory().tensors).toBe(0);
  });

  it("refuses a second kind in the same thread, and allows the same kind again", async () => {
    const error = await openEngine("cpu").catch((thrown: unknown) => thrown);
    expect(EsperError.is(error, "ENGINE_UNSUPPORTED")).toBe(true);
    expect((error as Error).message).toContain("wasm");
    const again = await openEngine("wasm");
    again.dispose();
    again.dispose();
    await expect(openEngine("cpu")).rejects.toThrow("wasm");
  });

  it("reports a GPU engine that is not installed, with the way out", async () => {
    engine.dispose();
    try {
      const error = await openEngine("tfjs-node-gpu").catch((thrown: unknown) => thrown);
      expect(EsperError.is(error, "DEPENDENCY_MISSING")).toBe(true);
      expect((error as EsperError).details["instead"]).toBe("--topology local-cpu");
    } finally {
      engine = await openEngine("wasm");
    }
  });

  it("fails the self-test of an engine whose kernel is wrong", async () => {
    const { tf } = engine;
    const good = tf.getKernel("MaxPoolGrad", "wasm");
    tf.unregisterKernel("MaxPoolGrad", "wasm");
    tf.registerKernel({
      ...good,
      kernelFunc: ({ inputs, backend }) => {
        const made = (
          backend as { makeOutput(shape: number[], dtype: string): typeof inputs.x }
        ).makeOutput(inputs["input"]!.shape, "float32");
        return made!;
      },
    });
    try {
      const error = await selfTest({ ...engine, backendName: "wasm" }).catch((e: unknown) => e);
      expect(EsperError.is(error, "ENGINE_UNSUPPORTED")).toBe(true);
      expect((error as Error).message).toContain("max pooling gradient");
    } finally {
      tf.unregisterKernel("MaxPoolGrad", "wasm");
      tf.registerKernel(good);
    }
    await selfTest({ ...engine, backendName: "wasm" });
  });
});

type Case = readonly [
  name: string,
  shapes: readonly (readonly number[])[],
  run: (tf: Engine["tf"], ...inputs: Tensor[]) => Tensor,
];

const four = (tensor: Tensor | undefined) => tensor as Tensor4D;

const CASES: readonly Case[] = [
  [
    "product",
    [
      [3, 5],
      [5, 4],
    ],
    (tf, a, b) => tf.matMul(a!, b!),
  ],
  [
    "product of transposed",
    [
      [5, 3],
      [4, 5],
    ],
    (tf, a, b) => tf.matMul(a!, b!, true, true),
  ],
  [
    "batched product",
    [
      [2, 3, 5],
      [2, 5, 4],
    ],
    (tf, a, b) => tf.matMul(a!, b!),
  ],
  [
    "convolution, same",
    [
      [2, 5, 6, 3],
      [3, 3, 3, 4],
    ],
    (tf, x, w) => tf.conv2d(four(x), four(w), 1, "same"),
  ],
  [
    "convolution, even filter",
    [
      [2, 5, 6, 3],
      [2, 4, 3, 4],
    ],
    (tf, x, w) => tf.conv2d(four(x), four(w), 1, "same"),
  ],
  [
    "convolution, stride 2, valid, rows left over",
    [
      [2, 8, 7, 3],
      [3, 3, 3, 4],
    ],
    (tf, x, w) => tf.conv2d(four(x), four(w), 2, "valid"),
  ],
  [
    "convolution, stride 2, same",
    [
      [2, 7, 8, 3],
      [3, 3, 3, 4],
    ],
    (tf, x, w) => tf.conv2d(four(x), four(w), 2, "same"),
  ],
  [
    "depthwise, two per channel, stride 2",
    [
      [2, 6, 5, 3],
      [3, 3, 3, 2],
    ],
    (tf, x, w) => tf.depthwiseConv2d(four(x), four(w), 2, "same"),
  ],
  ["max pooling", [[2, 7, 6, 3]], (tf, x) => tf.maxPool(four(x), 2, 2, "valid")],
  [
    "max pooling, overlapping, padded",
    [[2, 7, 6, 3]],
    (tf, x) => tf.maxPool(four(tf.sub(x!, 5)), 3, 2, "same"),
  ],
  ["gather", [[4, 3]], (tf, x) => tf.gather(x!, tf.tensor1d([0, 2, 2, 3], "int32"))],
];

/** Gradients of sum(f^2) by all inputs. */
function gradients(engine: Engine, [name, shapes, run]: Case): number[][] {
  const { tf } = engine;
  return tf.tidy(() => {
    const inputs = shapes.map((shape, index) => {
      const size = shape.reduce((product, extent) => product * extent, 1);
      return tf.tensor(normals(size, `${name}${index}`), [...shape]);
    });
    const square = (...given: Tensor[]) => tf.sum(tf.square(run(tf, ...given)));
    return tf
      .grads(square)(inputs)
      .map((gradient) => [...gradient.dataSync()]);
  });
}

describe("the training kernels", () => {
  it("give the gradients of the plain JavaScript engine", async () => {
    const wasm = await onEngine("wasm", (engine) => {
      const before = engine.memory().tensors;
      const found = CASES.map((testCase) => gradients(engine, testCase));
      expect(engine.memory().tensors).toBe(before);
      return found;
    });
    const cpu = await onEngine("cpu", (engine) =>
      CASES.map((testCase) => gradients(engine, testCase)),
    );
    CASES.forEach(([name], at) => {
      cpu[at]!.forEach((expected, which) => {
        const scale = Math.max(...expected.map(Math.abs));
        expect(scale, name).toBeGreaterThan(0.1);
        expected.forEach((value, index) => {
          const error = Math.abs(value - wasm[at]![which]![index]!) / scale;
          expect(error, `${name}, input ${which}, index ${index}`).toBeLessThan(1e-5);
        });
      });
    });
  });

  it("share a copied tensor's memory without freeing it too early", () =>
    onEngine("wasm", ({ tf, memory }) => {
      const before = memory().tensors;
      const original = tf.tensor1d([1, 2, 3]);
      const copy = tf.clone(original);
      original.dispose();
      expect([...copy.dataSync()]).toEqual([1, 2, 3]);
      copy.dispose();
      expect(memory().tensors).toBe(before);
    }));
});
