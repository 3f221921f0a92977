import { describe, expect, it } from "vitest";
import type { Engine } from "../../../src/runtime/device/engine.ts";
import {
  globalNorm,
  Optimizer,
  type OptimizerKind,
  squaredNorm,
} from "../../../src/runtime/device/optimizer.ts";
import { type Parameter, ParameterStore } from "../../../src/runtime/device/parameters.ts";
import { normals, onEngine } from "./support.ts";

const SHAPE = [3, 4];
const options = (kind: OptimizerKind) => ({ kind, weightDecay: 0.1, clipNorm: 2 });

/** Values after `steps` updates with known gradients; only the first parameter decays. */
async function updated(
  engine: Engine,
  kind: OptimizerKind,
  fused: boolean,
  steps: number,
): Promise<number[][]> {
  const store = new ParameterStore(engine);
  const optimizer = new Optimizer(engine, options(kind), { fused });
  const weight = store.create("host", "w", SHAPE, normals(12, "w"));
  const bias = store.create("host", "b", [4], normals(4, "b"));
  for (let step = 0; step < steps; step++) {
    const gradients = [gradientFor(engine, weight, step), gradientFor(engine, bias, step)];
    optimizer.update([weight, bias], gradients, 0.05, 0.7);
    engine.tf.dispose(gradients);
  }
  const values = [[...(await store.read(weight))], [...(await store.read(bias))]];
  optimizer.dispose();
  store.dispose();
  return values;
}

function gradientFor({ tf }: Engine, parameter: Parameter, step: number) {
  const values = normals(parameter.size, `${parameter.name}${step}`);
  return tf.tensor(values, [...parameter.shape]);
}

/** The textbook formulas in double precision. */
function reference(
  kind: OptimizerKind,
  decayed: boolean,
  name: string,
  size: number,
  steps: number,
) {
  const values = [...normals(size, name)];
  const m = values.map(() => 0);
  const v = values.map(() => 0);
  for (let t = 1; t <= steps; t++) {
    const gradient = normals(size, `${name}${t - 1}`);
    values.forEach((value, i) => {
      const g = gradient[i]! * 0.7;
      const decay = decayed ? 0.05 * 0.1 * value : 0;
      m[i] = kind === "adam" ? 0.9 * m[i]! + 0.1 * g : 0.9 * m[i]! + g;
      v[i] = 0.999 * v[i]! + 0.001 * g * g;
      const root = Math.sqrt(v[i]! / (1 - 0.999 ** t)) + 1e-8;
      const move = kind === "adam" ? m[i]! / (1 - 0.9 ** t) / root : m[i]!;
      values[i] = value - 0.05 * move - decay;
    });
  }
  return values;
}

function expectClose(left: readonly number[], right: readonly number[], tolerance: number) {
  expect(left.length).toBe(right.length);
  left.forEach((value, index) => {
    const error = Math.abs(value - right[index]!) / Math.max(1, Math.abs(value));
    expect(error).toBeLessThan(tolerance);
  });
}

describe.each(["wasm", "cpu"] as const)("the optimizer on %s", (engineKind) => {
  it.each(["adam", "sgd"] as const)("%s: fused, tensor form and formula agree", (kind) =>
    onEngine(engineKind, async (engine) => {
      const before = engine.memory().tensors;
      const fused = await updated(engine, kind, true, 25);
      const tensors = await updated(engine, kind, false, 25);
      expect(engine.memory().tensors).toBe(before);
      for (const [at, name] of ["w", "b"].entries()) {
        expectClose(fused[at]!, tensors[at]!, 1e-6);
        const size = name === "w" ? 12 : 4;
        expectClose(fused[at]!, reference(kind, name === "w", name, size, 25), 5e-6);
      }
    }),
  );

  it("never writes into a tensor that shares the parameter's memory", () =>
    onEngine(engineKind, async (engine) => {
      const { tf } = engine;
      const before = engine.memory().tensors;
      const store = new ParameterStore(engine);
      const optimizer = new Optimizer(engine, options("sgd"), { fused: true });
      const weight = store.create("host", "w", [2], Float32Array.of(1, 2));
      const copy = tf.clone(weight.variable);
      const flat = tf.reshape(weight.variable, [1, 2]);
      const gradient = tf.tensor1d([1, 1]);
      optimizer.update([weight], [gradient], 0.5);
      expect([...copy.dataSync()]).toEqual([1, 2]);
      expect([...flat.dataSync()]).toEqual([1, 2]);
      expect([...(await store.read(weight))]).toEqual([0.5, 1.5]);
      tf.dispose([copy, flat, gradient]);
      optimizer.dispose();
      store.dispose();
      expect(engine.memory().tensors).toBe(before);
    }));

  it("is seen by products and convolutions that used the old weights before", () =>
    onEngine(engineKind, async (engine) => {
      const { tf } = engine;
      const store = new ParameterStore(engine);
      const optimizer = new Optimizer(engine, options("sgd"), { fused: true });
      const weight = store.create("host", "w", [1, 1, 1, 1], Float32Array.of(1));
      const gradient = tf.tensor4d([1], [1, 1, 1, 1]);
      const image = tf.ones([1, 2, 2, 1]) as typeof gradient;
      const convolve = () =>
        tf.tidy(() => {
          const filter = weight.variable as typeof gradient;
          return tf.conv2d(image, filter, 1, "same").dataSync()[0]!;
        });
      const multiply = () =>
        tf.tidy(() => {
          const matrix = weight.variable.reshape([1, 1]);
          return tf.matMul(tf.ones([1, 1]), matrix).dataSync()[0]!;
        });
      expect([convolve(), multiply()]).toEqual([1, 1]);
      optimizer.update([weight], [gradient], 0.5);
      const after = (await store.read(weight))[0]!;
      expect(after).toBeLessThan(0.6);
      expect([convolve(), multiply()]).toEqual([after, after]);
      tf.dispose([gradient, image]);
      optimizer.dispose();
      store.dispose();
    }));
});

describe("the optimizer's state", () => {
  it("counts steps per parameter, so that a late one starts like a fresh one", () =>
    onEngine("cpu", async (engine) => {
      const store = new ParameterStore(engine);
      const optimizer = new Optimizer(engine, options("adam"), { fused: true });
      const first = store.create("host", "w", [1], Float32Array.of(1));
      const gradient = engine.tf.tensor1d([0.3]);
      for (let step = 0; step < 50; step++) optimizer.update([first], [gradient], 0.01);
      const late = store.create("seed", "w", [1], Float32Array.of(1));
      optimizer.update([late], [gradient], 0.01);
      // The first Adam step is the learning rate times the gradient's sign.
      expect((await store.read(late))[0]).toBeCloseTo(0.99, 6);
      expect((await optimizer.snapshot("host")).steps).toEqual({ w: 50 });
      expect((await optimizer.snapshot("seed")).steps).toEqual({ w: 1 });
      engine.tf.dispose(gradient);
      optimizer.dispose();
      store.dispose();
    }));

  it("goes on from a snapshot as if never interrupted, and forgets a dropped owner", () =>
    onEngine("wasm", async (engine) => {
      const store = new ParameterStore(engine);
      const optimizer = new Optimizer(engine, options("adam"), { fused: true });
      const weight = store.create("a", "w", SHAPE, normals(12, "w"));
      const step = (with_: Optimizer, at: number) => {
        const gradient = gradientFor(engine, weight, at);
        with_.update([weight], [gradient], 0.05);
        gradient.dispose();
      };
      step(optimizer, 0);
      const saved = await optimizer.snapshot("a");
      const values = await store.read(weight);
      step(optimizer, 1);
      const expected = await store.read(weight);
      expect(optimizer.slots("a")).toBe(1);
      optimizer.drop("a");
      expect(optimizer.slots("a")).toBe(0);
      expect(await optimizer.snapshot("a")).toEqual({ steps: {}, arrays: {} });
      const other = new Optimizer(engine, options("adam"), { fused: true });
      store.write(weight, values);
      other.restore([weight], saved.steps, (parameter, moment) => {
        return saved.arrays[`${parameter.name}/${moment}`]!;
      });
      step(other, 1);
      expect(await store.read(weight)).toEqual(expected);
      store.dispose();
    }));

  it("scales long gradients down to the clip norm and leaves short ones alone", () =>
    onEngine("wasm", async (engine) => {
      const { tf } = engine;
      const gradients = [tf.tensor1d([3, 0]), undefined, tf.tensor2d([[0], [4]])];
      expect(globalNorm(engine.hostMemory!, gradients)).toBeCloseTo(5);
      const square = squaredNorm(tf, gradients);
      expect((await square.data())[0]).toBeCloseTo(25);
      square.dispose();
      const optimizer = new Optimizer(engine, options("sgd"), { fused: true });
      expect(optimizer.clipScale(5)).toBeCloseTo(0.4);
      expect(optimizer.clipScale(2)).toBe(1);
      const free = new Optimizer(engine, { ...options("sgd"), clipNorm: null }, { fused: true });
      expect(free.clipScale(1e9)).toBe(1);
      for (const gradient of gradients) gradient?.dispose();
    }));
});

describe("the parameter store", () => {
  it("keeps owners apart, copies values in and out, and frees an owner whole", () =>
    onEngine("wasm", async (engine) => {
      const before = engine.memory().tensors;
      const store = new ParameterStore(engine);
      const given = Float32Array.of(1, 2, 3);
      const mine = store.create("host", "w", [3], given);
      const theirs = store.create("seed", "w", [2, 1], Float32Array.of(8, 9));
      given[0] = 99;
      const read = await store.read(mine);
      read[1] = 99;
      expect([...(await store.read(mine))]).toEqual([1, 2, 3]);
      expect(mine.variable.name).not.toBe(theirs.variable.name);
      expect([store.count("host"), store.count("seed"), store.total()]).toEqual([3, 2, 5]);
      store.remove("host");
      expect(store.owned("host")).toEqual([]);
      expect(store.total()).toBe(2);
      expect(engine.memory().tensors).toBe(before + 1);
      store.write(theirs, Float32Array.of(5, 6));
      expect([...(await store.read(theirs))]).toEqual([5, 6]);
      expect(() => store.create("seed", "w", [1], new Float32Array(1))).toThrow("created once");
      expect(() => store.write(theirs, new Float32Array(3))).toThrow("written whole");
      store.dispose();
      expect(engine.memory().tensors).toBe(before);
    }));
});
