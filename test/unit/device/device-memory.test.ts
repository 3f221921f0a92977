import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type Engine, openEngine } from "../../../src/runtime/device/engine.ts";
import { hostSpec } from "../../../src/runtime/device/hosts.ts";
import { GrowableNetwork } from "../../../src/runtime/device/network.ts";
import { createRandom } from "../../../src/runtime/random.ts";
import { classified, graftSeed, hostWeights, makeNetwork, normals, train } from "./support.ts";

/** A seed at each site: one blending, one in its shadow phase. */
function grown(engine: Engine): GrowableNetwork {
  const network = makeNetwork(engine);
  graftSeed(network, "seed-1", "hidden1");
  network.setPhase("seed-1", "blend");
  network.setAlpha("seed-1", 0.4);
  graftSeed(network, "seed-2", "hidden2");
  network.setPhase("seed-2", "shadow");
  return network;
}

function largestError(left: readonly number[], right: readonly number[]): number {
  expect(left.length).toBe(right.length);
  return left.reduce((most, value, at) => Math.max(most, Math.abs(value - right[at]!)), 0);
}

/** The engine's values are treated as if they lay on another device. */
describe("a network whose values must be awaited", () => {
  const samples = classified(160);
  let engine: Engine;
  let away: Engine;
  let tensorsBefore: number;

  beforeEach(async () => {
    engine = await openEngine("wasm");
    away = { ...engine, hostMemory: null };
    tensorsBefore = engine.memory().tensors;
  });

  afterEach(() => {
    vi.restoreAllMocks();
    expect(engine.memory().tensors).toBe(tensorsBefore);
    engine.dispose();
  });

  it("trains as in the process's own memory, up to rounding", async () => {
    const [near, far] = [grown(engine), grown(away)];
    for (let step = 0; step < 30; step++) {
      const expected = await near.trainStep(samples, 0.01);
      const found = await far.trainStep(samples, 0.01);
      const [shadow, foundShadow] = [expected.shadows[0]!, found.shadows[0]!];
      expect(found.scoreSum, `step ${step}`).toBe(expected.scoreSum);
      expect(foundShadow.seedId).toBe("seed-2");
      expect(foundShadow.hostLoss).toBe(found.loss);
      const pairs = [
        [found.loss, expected.loss],
        [found.gradientNorm, expected.gradientNorm],
        [foundShadow.loss, shadow.loss],
        [foundShadow.gradientNorm, shadow.gradientNorm],
      ] as const;
      for (const [value, wanted] of pairs) {
        expect(Math.abs(value - wanted), `step ${step}`).toBeLessThan(1e-5 * Math.max(1, wanted));
      }
    }
    expect(largestError(await hostWeights(far), await hostWeights(near))).toBeLessThan(1e-4);
    expect(await far.functionDelta("seed-2", samples)).toBe(0);
    const predicted = await far.predict(samples.x, samples.count);
    const wanted = await near.predict(samples.x, samples.count);
    expect(largestError([...predicted], [...wanted])).toBeLessThan(1e-4);
    near.dispose();
    far.dispose();
  });

  it("learns a number", async () => {
    const x = normals(64 * 2, "regression");
    const y = Float32Array.from({ length: 64 }, (_, row) => x[row * 2]! - 0.5 * x[row * 2 + 1]!);
    const shape = {
      task: "regression",
      inputShape: [2],
      outputUnits: 1,
      host: hostSpec({ kind: "mlp", widths: [8] }, [2]),
    } as const;
    const [near, far] = [makeNetwork(engine, shape), makeNetwork(away, shape)];
    const data = { count: 64, x, y };
    for (let step = 0; step < 20; step++) {
      const expected = await near.trainStep(data, 0.02);
      const found = await far.trainStep(data, 0.02);
      expect(found.loss).toBeCloseTo(expected.loss, 5);
      expect(found.scoreSum).toBeCloseTo(expected.scoreSum, 3);
    }
    const [loss, expected] = [await far.evaluate(data), await near.evaluate(data)];
    expect(loss.loss).toBeCloseTo(expected.loss, 5);
    near.dispose();
    far.dispose();
  });

  it("waits once a step, however many seeds train", async () => {
    const network = grown(away);
    await train(network, samples, 0, 1);
    const { Tensor } = engine.tf;
    const awaited = vi.spyOn(Tensor.prototype, "data");
    const blocked = vi.spyOn(Tensor.prototype, "dataSync");
    await train(network, samples, 0, 5);
    expect([awaited.mock.calls.length, blocked.mock.calls.length]).toEqual([5, 0]);
    network.dispose();
  });

  it("leaks nothing over training, growth and a refused batch", async () => {
    const network = grown(away);
    await train(network, samples, 0, 2);
    const tensors = engine.memory().tensors;
    await train(network, samples, 0, 10);
    await network.evaluate(samples, { batchSize: 7 });
    await network.snapshot();
    const wrong = { ...samples, y: samples.y.map(() => 99) };
    await expect(network.trainStep(wrong, 0.01)).rejects.toThrow("class 99");
    expect(engine.memory().tensors).toBe(tensors);
    graftSeed(network, "seed-3", "hidden1");
    network.setPhase("seed-3", "shadow");
    await train(network, samples, 0, 2);
    network.detach("seed-3");
    expect(engine.memory().tensors).toBe(tensors);
    network.dispose();
  });

  it("keeps broken numbers away from the weights", async () => {
    const network = makeNetwork(away);
    const broken = { layers: [{ kind: "dense", units: 8, activation: "linear" }] } as const;
    const init = { normal: 1e38 } as const;
    const poison = { layers: [0, 1].map(() => ({ ...broken.layers[0], init })) };
    const random = createRandom(1, "bad");
    network.graft("bad", "hidden1", poison, { mode: "CONVEX", hostGradient: "through", random });
    network.setPhase("bad", "blend");
    network.setAlpha("bad", 0.5);
    const kept = await hostWeights(network);
    expect((await network.trainStep(samples, 0.01)).loss).toBeNaN();
    expect(await hostWeights(network)).toEqual(kept);
    network.dispose();
  });

  it("goes on from a snapshot as it was when the snapshot was asked for", async () => {
    const straight = grown(away);
    await train(straight, samples, 0, 5);
    const asked = straight.snapshot();
    const expected = await train(straight, samples, 5, 10);
    const resumed = GrowableNetwork.restore(away, await asked);
    expect(await train(resumed, samples, 5, 10)).toEqual(expected);
    straight.dispose();
    resumed.dispose();
  });

  it("believes no number of a device that failed, and leaks nothing", async () => {
    const failing = {
      ...away,
      checkDevice: () => {
        throw new Error("it was lost");
      },
    };
    const network = grown(failing);
    await expect(network.trainStep(samples, 0.01)).rejects.toThrow("it was lost");
    await expect(network.evaluate(samples)).rejects.toThrow("it was lost");
    await expect(network.snapshot()).rejects.toThrow("it was lost");
    network.dispose();
  });

  it("gives up a step whose network is disposed of meanwhile, and leaks nothing", async () => {
    const network = grown(away);
    const step = network.trainStep(samples, 0.01);
    network.dispose();
    await expect(step).rejects.toThrow("left whole while its step is under way");
  });
});
