import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ModuleSpec } from "../../../src/protocols/leyline/modules.ts";
import { type Engine, openEngine } from "../../../src/runtime/device/engine.ts";
import { hostSpec } from "../../../src/runtime/device/hosts.ts";
import type { GrowableNetwork } from "../../../src/runtime/device/network.ts";
import { createRandom } from "../../../src/runtime/random.ts";
import {
  CLASSES,
  classified,
  codeOf,
  graftSeed,
  hostWeights,
  makeNetwork,
  normals,
  SEED,
  train,
  WIDTH,
} from "./support.ts";

describe("a growable network", () => {
  const samples = classified(160);
  let engine: Engine;
  let network: GrowableNetwork;
  let tensorsBefore: number;

  beforeEach(async () => {
    engine = await openEngine("wasm");
    tensorsBefore = engine.memory().tensors;
    network = makeNetwork(engine);
  });

  afterEach(() => {
    network.dispose();
    expect(engine.memory().tensors).toBe(tensorsBefore);
    engine.dispose();
  });

  it("names its sites in order, with their shapes", async () => {
    expect(network.sites).toEqual([
      { siteId: "hidden1", kind: "vector", shape: [8], depth: 0 },
      { siteId: "hidden2", kind: "vector", shape: [8], depth: 1 },
    ]);
    const host = WIDTH * 8 + 8 + 8 * 8 + 8 + 8 * CLASSES + CLASSES;
    expect(network.parameterCount()).toEqual({ host, total: host });
    expect(graftSeed(network)).toEqual({ parameters: 8 * 12 + 12 + 12 * 8 + 8 });
    expect(network.parameterCount()).toEqual({ host, total: host + 212 });
  });

  it("learns, and reports loss, correct count and gradient norm", async () => {
    const before = await network.evaluate(samples);
    const first = await network.trainStep({ ...samples }, 0.01);
    expect(first.loss).toBeCloseTo(before.loss, 5);
    expect(first.scoreSum).toBe(Math.round(before.score * samples.count));
    expect(first.gradientNorm).toBeGreaterThan(0);
    expect(first.shadows).toEqual([]);
    await train(network, samples, 0, 300);
    const after = await network.evaluate(samples);
    expect(after.loss).toBeLessThan(before.loss / 3);
    expect(after.score).toBeGreaterThan(0.9);
  });

  it("takes samples in shared memory, and leaves them as they were", async () => {
    const shared = (source: Float32Array) => {
      const copy = new Float32Array(new SharedArrayBuffer(source.byteLength));
      copy.set(source);
      return copy;
    };
    const inShared = { count: samples.count, x: shared(samples.x), y: shared(samples.y) };
    const twin = makeNetwork(engine);
    expect(await train(twin, inShared, 0, 10)).toEqual(await train(network, samples, 0, 10));
    expect(await twin.evaluate(inShared)).toEqual(await network.evaluate(samples));
    expect([...inShared.x]).toEqual([...samples.x]);
    twin.dispose();
  });

  it("predicts probabilities that agree with its score", async () => {
    await train(network, samples, 0, 100);
    const probabilities = await network.predict(samples.x, samples.count);
    let correct = 0;
    for (let row = 0; row < samples.count; row++) {
      const own = [...probabilities.subarray(row * CLASSES, (row + 1) * CLASSES)];
      expect(own.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 5);
      if (own.indexOf(Math.max(...own)) === samples.y[row]) correct += 1;
    }
    expect(correct / samples.count).toBeCloseTo((await network.evaluate(samples)).score, 10);
  });

  it("evaluates the same whatever the batch size", async () => {
    const whole = await network.evaluate(samples, { batchSize: 1000 });
    const parts = await network.evaluate(samples, { batchSize: 7 });
    expect(parts.loss).toBeCloseTo(whole.loss, 6);
    expect(parts.score).toBe(whole.score);
  });

  it("keeps host loss, gradient and weights bit-identical beside shadow seeds", async () => {
    const alone = makeNetwork(engine);
    graftSeed(network, "seed-1", "hidden1");
    graftSeed(network, "seed-2", "hidden2");
    network.setPhase("seed-1", "shadow");
    network.setPhase("seed-2", "shadow");
    expect(await train(network, samples, 0, 30)).toEqual(await train(alone, samples, 0, 30));
    expect(await hostWeights(network)).toEqual(await hostWeights(alone));
    alone.dispose();
  });

  it("trains a shadow seed on its own, frozen host or not, until it beats the host", async () => {
    await train(network, samples, 0, 20);
    graftSeed(network);
    network.setPhase("seed-1", "shadow");
    const start = (await network.evaluate(samples, { alphaOverride: new Map([["seed-1", 1]]) }))
      .loss;
    let last = await network.trainStep(samples, 0.01);
    expect(last.shadows).toHaveLength(1);
    expect(last.shadows[0]!.hostLoss).toBe(last.loss);
    expect(last.shadows[0]!.loss).toBeCloseTo(start, 5);
    expect(last.shadows[0]!.gradientNorm).toBeGreaterThan(0);
    for (let step = 0; step < 60; step++) last = await network.trainStep(samples, 0.01);
    expect(last.shadows[0]!.loss).toBeLessThan(start / 2);
  });

  it("shows a shadow seed what blending seeds before it give, and leaves those alone", async () => {
    const trial = (withShadow: boolean) => {
      const grown = makeNetwork(engine);
      for (const seedId of ["before", ...(withShadow ? ["shadow"] : []), "after"]) {
        graftSeed(grown, seedId, "hidden1");
        grown.setPhase(seedId, seedId === "shadow" ? "shadow" : "blend");
        if (seedId !== "shadow") grown.setAlpha(seedId, 0.5);
      }
      return grown;
    };
    const [watched, alone] = [trial(true), trial(false)];
    const alphaOverride = new Map([["shadow", 1]]);
    for (let step = 0; step < 5; step++) {
      const expected = (await watched.evaluate(samples, { alphaOverride })).loss;
      const { loss, shadows } = await watched.trainStep(samples, 0.01);
      expect(shadows[0]!.loss).toBeCloseTo(expected, 5);
      expect(Math.abs(shadows[0]!.loss - loss)).toBeGreaterThan(1e-3);
      await alone.trainStep(samples, 0.01);
    }
    const others = Object.entries((await watched.snapshot()).arrays).filter(
      ([key]) => !key.includes("/shadow/"),
    );
    expect(Object.fromEntries(others)).toEqual((await alone.snapshot()).arrays);
    watched.dispose();
    alone.dispose();
  });

  it("trains nothing of an idle seed", async () => {
    graftSeed(network);
    const weights = async () => {
      const { arrays } = await network.snapshot();
      return Object.entries(arrays).filter(([key]) => key.includes("seed-1"));
    };
    const before = await weights();
    expect((await network.trainStep(samples, 0.01)).shadows).toEqual([]);
    expect(await weights()).toEqual(before);
  });

  it("feels a blending seed by its alpha alone", async () => {
    const before = await network.predict(samples.x, samples.count);
    graftSeed(network);
    expect(await network.functionDelta("seed-1", samples)).toBe(0);
    network.setPhase("seed-1", "blend");
    expect(await network.predict(samples.x, samples.count)).toEqual(before);
    network.setAlpha("seed-1", 0.5);
    expect(await network.predict(samples.x, samples.count)).not.toEqual(before);
    const without = await network.evaluate(samples, { alphaOverride: new Map([["seed-1", 0]]) });
    network.setAlpha("seed-1", 0);
    expect(await network.evaluate(samples)).toEqual(without);
    expect(await network.functionDelta("seed-1", samples)).toBe(0);
  });

  it("never lets a broken seed reach the host while its alpha is 0", async () => {
    const poison: ModuleSpec = {
      layers: [
        { kind: "dense", units: 8, activation: "linear", init: { normal: 1e38 } },
        { kind: "dense", units: 8, activation: "linear", init: { normal: 1e38 } },
      ],
    };
    network.graft("bad", "hidden1", poison, {
      mode: "CONVEX",
      hostGradient: "through",
      random: createRandom(1, "bad"),
    });
    network.setPhase("bad", "shadow");
    const step = await network.trainStep(samples, 0.01);
    expect(step.shadows[0]!.loss).toBeNaN();
    expect(Number.isFinite(step.loss)).toBe(true);
    network.setPhase("bad", "blend");
    expect(Number.isFinite((await network.trainStep(samples, 0.01)).loss)).toBe(true);
    network.setAlpha("bad", 0.5);
    const kept = await hostWeights(network);
    expect((await network.trainStep(samples, 0.01)).loss).toBeNaN();
    expect(await hostWeights(network)).toEqual(kept);
    network.detach("bad");
    expect(Number.isFinite((await network.evaluate(samples)).loss)).toBe(true);
  });

  it("is exactly as before when a seed has been taken out again", async () => {
    await train(network, samples, 0, 10);
    const before = await network.snapshot();
    const tensors = engine.memory().tensors;
    graftSeed(network);
    network.setPhase("seed-1", "shadow");
    for (let cycle = 0; cycle < 3; cycle++) await network.trainStep(samples, 0);
    expect(network.residue("seed-1")).toEqual({ parametersLeft: 212, optimizerSlotsLeft: 4 });
    const outputs = await network.predict(samples.x, samples.count);
    network.detach("seed-1");
    expect(network.residue("seed-1")).toEqual({ parametersLeft: 0, optimizerSlotsLeft: 0 });
    expect(await network.predict(samples.x, samples.count)).toEqual(outputs);
    expect(Object.keys((await network.snapshot()).arrays)).toEqual(Object.keys(before.arrays));
    expect(engine.memory().tensors).toBe(tensors);
  });

  it("leaks no tensor over training, evaluation and growth", async () => {
    graftSeed(network);
    network.setPhase("seed-1", "shadow");
    await train(network, samples, 0, 2);
    const tensors = engine.memory().tensors;
    await train(network, samples, 2, 20);
    await network.evaluate(samples);
    await network.predict(samples.x, samples.count);
    await network.functionDelta("seed-1", samples);
    expect(engine.memory().tensors).toBe(tensors);
    for (let cycle = 0; cycle < 3; cycle++) {
      graftSeed(network, "seed-2", "hidden2");
      network.setPhase("seed-2", "blend");
      network.setAlpha("seed-2", 0.3);
      await train(network, samples, 0, 3);
      network.detach("seed-2");
      expect(engine.memory().tensors).toBe(tensors);
    }
  });

  it("leaks nothing and stays usable when a batch is refused", async () => {
    graftSeed(network);
    network.setPhase("seed-1", "shadow");
    const tensors = engine.memory().tensors;
    const wrong = { ...samples, y: samples.y.map(() => CLASSES) };
    expect(await codeOf(() => network.trainStep(wrong, 0.01))).toBe("DATA_INVALID");
    expect(engine.memory().tensors).toBe(tensors);
    expect(Number.isFinite((await network.trainStep(samples, 0.01)).loss)).toBe(true);
  });

  it("chains several grafts of one site in the order they came", async () => {
    const scale = (factor: number): ModuleSpec => ({
      layers: [
        {
          kind: "concat",
          branches: [
            {
              layers: Array.from({ length: factor }, () => ({
                kind: "activation",
                activation: "tanh",
              })),
            },
          ],
        },
      ],
    });
    const random = createRandom(1, "unused");
    const graft = (seedId: string, module: ModuleSpec, mode: "CONVEX" | "RESIDUAL") => {
      network.graft(seedId, "hidden1", module, { mode, hostGradient: "through", random });
      network.setPhase(seedId, "blend");
      network.setAlpha(seedId, 1);
    };
    graft("first", scale(1), "RESIDUAL");
    graft("second", scale(2), "CONVEX");
    const inOrder = await network.predict(samples.x.subarray(0, 8 * WIDTH), 8);
    const other = makeNetwork(engine);
    const shape = { hostGradient: "through", random } as const;
    other.graft("second", "hidden1", scale(2), { mode: "CONVEX", ...shape });
    other.graft("first", "hidden1", scale(1), { mode: "RESIDUAL", ...shape });
    for (const seedId of ["first", "second"]) {
      other.setPhase(seedId, "blend");
      other.setAlpha(seedId, 1);
    }
    expect(network.grafts.map(({ seedId }) => seedId)).toEqual(["first", "second"]);
    expect(await other.predict(samples.x.subarray(0, 8 * WIDTH), 8)).not.toEqual(inOrder);
    other.dispose();
  });

  it("lets the host learn through a seed, or not, as asked", async () => {
    const firstLayerNorm = async (hostGradient: "through" | "detached") => {
      const trial = makeNetwork(engine, {
        optimizer: { kind: "sgd", weightDecay: 0, clipNorm: null },
      });
      trial.graft("s", "hidden1", SEED, {
        mode: "RESIDUAL",
        hostGradient,
        random: createRandom(3, "s"),
      });
      trial.setPhase("s", "blend");
      trial.setAlpha("s", 0.7);
      const key = "weights/host/0.dense/kernel";
      const before = (await trial.snapshot()).arrays[key]!;
      const outputs = await trial.predict(samples.x.subarray(0, 4 * WIDTH), 4);
      await trial.trainStep(samples, 0.1);
      const moved = (await trial.snapshot()).arrays[key]!.some((value, i) => value !== before[i]);
      trial.dispose();
      return { moved, outputs };
    };
    const through = await firstLayerNorm("through");
    const cut = await firstLayerNorm("detached");
    expect(through.outputs).toEqual(cut.outputs);
    expect([through.moved, cut.moved]).toEqual([true, false]);
  });

  it("refuses a seed that does not fit, and is then unchanged", async () => {
    const wide: ModuleSpec = { layers: [{ kind: "dense", units: 9, activation: "linear" }] };
    const options = {
      mode: "CONVEX",
      hostGradient: "through",
      random: createRandom(1, "s"),
    } as const;
    const before = Object.keys((await network.snapshot()).arrays);
    const tensors = engine.memory().tensors;
    graftSeed(network);
    const attempts: readonly (readonly [string, () => unknown])[] = [
      ["GRAFT_SHAPE", () => network.graft("a", "hidden1", wide, options)],
      ["COMMAND_INVALID", () => network.graft("a", "nowhere", SEED, options)],
      ["COMMAND_INVALID", () => network.graft("seed-1", "hidden1", SEED, options)],
      ["COMMAND_INVALID", () => network.graft("host", "hidden1", SEED, options)],
      [
        "BLEND_INVALID",
        () => network.graft("a", "hidden1", SEED, { ...options, mode: "CONFIDENCE" }),
      ],
      ["BLEND_INVALID", () => network.graft("a", "hidden1", SEED, { ...options, mode: "CHANNEL" })],
      ["BLEND_INVALID", () => network.setAlpha("seed-1", 1.5)],
      ["BLEND_INVALID", () => network.setAlpha("seed-1", Number.NaN)],
      ["COMMAND_INVALID", () => network.setPhase("ghost", "blend")],
      ["COMMAND_INVALID", () => network.detach("ghost")],
    ];
    for (const [code, attempt] of attempts) {
      expect(await codeOf(attempt), attempt.toString()).toBe(code);
    }
    network.detach("seed-1");
    expect(Object.keys((await network.snapshot()).arrays)).toEqual(before);
    expect(engine.memory().tensors).toBe(tensors);
  });

  it("learns a number and scores it by R2", async () => {
    const x = normals(64 * 2, "regression");
    const y = Float32Array.from({ length: 64 }, (_, row) => x[row * 2]! - 0.5 * x[row * 2 + 1]!);
    const host = hostSpec({ kind: "mlp", widths: [8] }, [2]);
    const regression = makeNetwork(engine, {
      task: "regression",
      inputShape: [2],
      outputUnits: 1,
      host,
    });
    const data = { count: 64, x, y };
    const before = await regression.evaluate(data);
    const values = await regression.predict(x, 64);
    const error = y.reduce((sum, target, i) => sum + (target - values[i]!) ** 2, 0);
    const mean = y.reduce((sum, target) => sum + target, 0) / 64;
    const total = y.reduce((sum, target) => sum + (target - mean) ** 2, 0);
    expect(before.loss).toBeCloseTo(error / 64, 5);
    expect(before.score).toBeCloseTo(1 - error / total, 5);
    expect((await regression.trainStep(data, 0.01)).scoreSum).toBeCloseTo(error, 3);
    for (let step = 0; step < 200; step++) await regression.trainStep(data, 0.02);
    expect((await regression.evaluate(data)).score).toBeGreaterThan(0.95);
    regression.dispose();
  });
});
