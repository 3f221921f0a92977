import { describe, expect, it } from "vitest";
import { EsperError } from "../../../src/protocols/errors.ts";
import {
  ACTIVATIONS,
  type LayerSpec,
  type ModuleSpec,
} from "../../../src/protocols/leyline/modules.ts";
import type { Engine } from "../../../src/runtime/device/engine.ts";
import { sizeOf, type Tensor } from "../../../src/runtime/device/engine-types.ts";
import { buildModule } from "../../../src/runtime/device/layers/build-module.ts";
import { moduleOutputShape } from "../../../src/runtime/device/layers/shapes.ts";
import { drawWeights, spreadOf } from "../../../src/runtime/device/layers/weights.ts";
import { ParameterStore } from "../../../src/runtime/device/parameters.ts";
import { createRandom } from "../../../src/runtime/random.ts";
import { normals, onEngine } from "./support.ts";

const dense = (units: number, activation: "silu" | "sigmoid" | "linear" = "linear"): LayerSpec => ({
  kind: "dense",
  units,
  activation,
});
const body = (...layers: LayerSpec[]): ModuleSpec => ({ layers });

interface Case {
  readonly name: string;
  readonly input: readonly number[];
  readonly output: readonly number[];
  readonly spec: ModuleSpec;
}

const VECTOR = [5];
const MAP = [4, 5, 3];

const CASES: readonly Case[] = [
  { name: "dense", input: VECTOR, output: [4], spec: body(dense(4, "silu")) },
  ...ACTIVATIONS.map((activation) => ({
    name: `activation ${activation}`,
    input: VECTOR,
    output: VECTOR,
    spec: body({ kind: "activation", activation }),
  })),
  {
    name: "conv2d",
    input: MAP,
    output: [4, 5, 4],
    spec: body({ kind: "conv2d", filters: 4, kernel: 3, activation: "tanh" }),
  },
  {
    name: "depthwise",
    input: MAP,
    output: MAP,
    spec: body({ kind: "depthwise", kernel: 3, activation: "silu" }),
  },
  {
    name: "layerNorm of a vector",
    input: VECTOR,
    output: VECTOR,
    spec: body({ kind: "layerNorm", epsilon: 1e-3 }),
  },
  {
    name: "layerNorm of a map",
    input: MAP,
    output: MAP,
    spec: body({ kind: "layerNorm", epsilon: 1e-3 }),
  },
  { name: "maxPool", input: MAP, output: [2, 2, 3], spec: body({ kind: "maxPool", size: 2 }) },
  { name: "flatten", input: MAP, output: [60], spec: body({ kind: "flatten" }) },
  { name: "globalAverage", input: MAP, output: [3], spec: body({ kind: "globalAverage" }) },
  {
    name: "gate of a vector",
    input: VECTOR,
    output: VECTOR,
    spec: body({ kind: "gate", gate: body(dense(5, "sigmoid")) }),
  },
  {
    name: "gate by channel",
    input: MAP,
    output: MAP,
    spec: body({ kind: "gate", gate: body({ kind: "globalAverage" }, dense(3, "sigmoid")) }),
  },
  {
    name: "concat",
    input: VECTOR,
    output: [8],
    spec: body({ kind: "concat", branches: [body(), body(dense(3, "silu"))] }),
  },
  {
    name: "product",
    input: VECTOR,
    output: [4],
    spec: body({ kind: "product", left: body(dense(4, "silu")), right: body(dense(4)) }),
  },
  {
    name: "residual",
    input: VECTOR,
    output: VECTOR,
    spec: body({ kind: "residual", body: body(dense(7, "silu"), dense(5)) }),
  },
];

const BATCH = 3;
const STEP = 5e-3;

interface Differentiated {
  readonly outputs: Float32Array;
  readonly gradients: readonly Float32Array[];
  readonly numeric: readonly (readonly [at: number, value: number])[][];
}

/** Outputs, gradients of a random projection of them, and central differences at some places. */
function differentiate(engine: Engine, { name, input, output, spec }: Case): Differentiated {
  const { tf } = engine;
  const store = new ParameterStore(engine);
  const built = buildModule(tf, store, "seed", spec, input, createRandom(5, name));
  expect(built.outputShape).toEqual(output);
  const weights = store.owned("seed");
  for (const weight of weights) {
    store.write(weight, normals(weight.size, `${name}${weight.name}`, 0.6));
  }
  const values = normals(BATCH * sizeOf(input), `${name}x`);
  const projection = normals(BATCH * sizeOf(output), `${name}p`);
  const run = (x: Float32Array): Float32Array =>
    tf.tidy(() => {
      const out = built.forward(tf.tensor(x.slice(), [BATCH, ...input]));
      expect(out.shape).toEqual([BATCH, ...output]);
      return Float32Array.from(out.dataSync());
    });
  const project = (x: Float32Array): number =>
    run(x).reduce((sum, value, index) => sum + value * projection[index]!, 0);
  const gradients = tf.tidy(() => {
    const x = tf.tensor(values.slice(), [BATCH, ...input]);
    const p = tf.tensor(projection, [BATCH, ...output]);
    const loss = (given: Tensor) => tf.sum(tf.mul(built.forward(given), p));
    const variables = weights.map(({ variable }) => variable as Tensor);
    return tf
      .grads((...given: Tensor[]) => loss(given[0]!))([x, ...variables])
      .map((gradient) => Float32Array.from(gradient.dataSync()));
  });
  const slope = (change: (by: number) => number): number =>
    (change(STEP) - change(-STEP)) / (2 * STEP);
  const nudged = (source: Float32Array, at: number, by: number): Float32Array => {
    const copy = source.slice();
    copy[at] = copy[at]! + by;
    return copy;
  };
  const places = (size: number) =>
    Array.from({ length: Math.min(size, 8) }, (_, i) => (i * 7) % size);
  const numeric = [
    places(values.length).map(
      (at) => [at, slope((by) => project(nudged(values, at, by)))] as const,
    ),
    ...weights.map((weight) => {
      const start = engine.hostMemory!.view(weight.variable).slice();
      return places(weight.size).map((at) => {
        const value = slope((by) => {
          store.write(weight, nudged(start, at, by));
          return project(values);
        });
        store.write(weight, start);
        return [at, value] as const;
      });
    }),
  ];
  const outputs = run(values);
  store.dispose();
  return { outputs, gradients, numeric };
}

describe.each(["cpu", "wasm"] as const)("layers on %s", (kind) => {
  it.each(CASES)("$name has the gradient that finite differences give", (testCase) =>
    onEngine(kind, (engine) => {
      const before = engine.memory().tensors;
      const { gradients, numeric } = differentiate(engine, testCase);
      expect(engine.memory().tensors).toBe(before);
      numeric.forEach((places, which) => {
        const analytic = gradients[which]!;
        const scale = Math.max(...analytic.map(Math.abs), 1e-3);
        for (const [at, value] of places) {
          const error = Math.abs(analytic[at]! - value) / scale;
          expect(error, `tensor ${which}, index ${at}: ${analytic[at]}, ${value}`).toBeLessThan(
            5e-3,
          );
        }
      });
    }),
  );
});

describe("layers", () => {
  it("agree between cpu and wasm, outputs and gradients", async () => {
    const run = (engine: Engine) => CASES.map((testCase) => differentiate(engine, testCase));
    const cpu = await onEngine("cpu", run);
    const wasm = await onEngine("wasm", run);
    CASES.forEach(({ name }, at) => {
      const pairs = [
        [cpu[at]!.outputs, wasm[at]!.outputs] as const,
        ...cpu[at]!.gradients.map((gradient, i) => [gradient, wasm[at]!.gradients[i]!] as const),
      ];
      for (const [left, right] of pairs) {
        const scale = Math.max(1, ...left.map(Math.abs));
        left.forEach((value, index) => {
          expect(Math.abs(value - right[index]!) / scale, name).toBeLessThan(1e-5);
        });
      }
    });
  });

  it.each([
    ["a dense layer on a map", MAP, body(dense(3)), "0.dense"],
    [
      "a convolution on a vector",
      VECTOR,
      body(dense(4), CASES.find((c) => c.name === "conv2d")!.spec.layers[0]!),
      "1.conv2d",
    ],
    ["a pool larger than the map", MAP, body({ kind: "maxPool", size: 5 }), "0.maxPool"],
    [
      "a gate of another width",
      VECTOR,
      body({ kind: "gate", gate: body(dense(2)) }),
      "0.gate.gate",
    ],
    [
      "a product of unequal sides",
      VECTOR,
      body({ kind: "product", left: body(dense(2)), right: body(dense(3)) }),
      "0.product.right",
    ],
    [
      "a residual of another width",
      VECTOR,
      body({ kind: "residual", body: body(dense(4)) }),
      "0.residual.body",
    ],
    ["no units", VECTOR, body(dense(0)), "0.dense"],
  ] as const)("refuse %s, naming the layer", (_name, input, spec, path) => {
    let error: unknown;
    try {
      moduleOutputShape(spec, input, "");
    } catch (thrown) {
      error = thrown;
    }
    expect(EsperError.is(error, "GRAFT_SHAPE")).toBe(true);
    expect((error as EsperError).details["path"]).toBe(path);
    expect((error as Error).message).toMatch(/the shape is \[.*needed is /);
  });

  it("draw weights with the promised spread, and zeros without drawing", () => {
    expect(spreadOf("lecun", 25)).toBeCloseTo(0.2);
    expect(spreadOf("he", 50)).toBeCloseTo(0.2);
    expect(spreadOf({ normal: 0.3 }, 9)).toBe(0.3);
    const random = createRandom(1, "weights");
    expect(drawWeights("zero", 4, 3, random)).toEqual(new Float32Array(3));
    expect(random.state()).toEqual(createRandom(1, "weights").state());
    const drawn = drawWeights("lecun", 100, 20_000, random);
    const variance = drawn.reduce((sum, value) => sum + value * value, 0) / drawn.length;
    expect(Math.sqrt(variance)).toBeCloseTo(0.1, 2);
  });
});
