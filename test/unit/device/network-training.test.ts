import { describe, expect, it } from "vitest";
import type { Engine } from "../../../src/runtime/device/engine.ts";
import { hostSpec } from "../../../src/runtime/device/hosts.ts";
import { GrowableNetwork } from "../../../src/runtime/device/network.ts";
import { createRandom } from "../../../src/runtime/random.ts";
import {
  classified,
  codeOf,
  graftSeed,
  HOST,
  makeNetwork,
  normals,
  onEngine,
  train,
} from "./support.ts";

describe("training", () => {
  const samples = classified(96);

  function grown(engine: Engine): GrowableNetwork {
    const network = makeNetwork(engine, { host: HOST });
    graftSeed(network, "seed-1", "hidden1");
    network.setPhase("seed-1", "blend");
    network.setAlpha("seed-1", 0.4);
    graftSeed(network, "seed-2", "hidden2");
    network.setPhase("seed-2", "shadow");
    return network;
  }

  it.each(["wasm", "cpu"] as const)("gives the same bits every time on %s", (kind) =>
    onEngine(kind, async (engine) => {
      const run = async () => {
        const network = grown(engine);
        const losses = await train(network, samples, 0, 25);
        const { arrays } = await network.snapshot();
        network.dispose();
        return { losses, arrays };
      };
      expect(await run()).toEqual(await run());
    }),
  );

  it("is the same on cpu and wasm up to rounding", async () => {
    const losses = async (kind: "cpu" | "wasm") =>
      await onEngine(kind, async (engine) => {
        const network = grown(engine);
        const found = await train(network, samples, 0, 10);
        network.dispose();
        return found;
      });
    const [cpu, wasm] = [await losses("cpu"), await losses("wasm")];
    cpu.forEach((loss, step) => {
      expect(Math.abs(loss - wasm[step]!), `step ${step}`).toBeLessThan(1e-5);
    });
  });

  it("goes on from a snapshot bit for bit, after a round trip through JSON", () =>
    onEngine("wasm", async (engine) => {
      const straight = grown(engine);
      const expected = (await train(straight, samples, 0, 40)).slice(20);
      const interrupted = grown(engine);
      await train(interrupted, samples, 0, 20);
      const { structure, arrays } = await interrupted.snapshot();
      interrupted.dispose();
      const stored = { structure: JSON.parse(JSON.stringify(structure)), arrays };
      const resumed = GrowableNetwork.restore(engine, stored);
      expect(resumed.grafts).toEqual(structure.grafts);
      expect(await train(resumed, samples, 20, 40)).toEqual(expected);
      expect(await resumed.snapshot()).toEqual(await straight.snapshot());
      straight.dispose();
      resumed.dispose();
    }));

  it("refuses a snapshot that is not whole, and leaves nothing behind", () =>
    onEngine("wasm", async (engine) => {
      const network = grown(engine);
      await train(network, samples, 0, 2);
      const { structure, arrays } = await network.snapshot();
      network.dispose();
      const before = engine.memory().tensors;
      for (const key of ["weights/host/0.dense/kernel", "optimizer/seed-2/0.dense/bias/mean"]) {
        const { [key]: gone, ...rest } = arrays;
        expect(gone).toBeDefined();
        const short = { ...arrays, [key]: new Float32Array(1) };
        for (const broken of [rest, short]) {
          const restore = () => GrowableNetwork.restore(engine, { structure, arrays: broken });
          expect(await codeOf(restore)).toBe("CHECKPOINT_DIGEST");
        }
      }
      const odd = { ...structure, host: { layers: [{ kind: "teleport" }], sites: [] } };
      const restore = () => GrowableNetwork.restore(engine, { structure: odd as never, arrays });
      expect(await codeOf(restore)).toBe("CHECKPOINT_DIGEST");
      expect(engine.memory().tensors).toBe(before);
    }));

  it("grows a cnn at a map site", () =>
    onEngine("wasm", async (engine) => {
      const x = normals(24 * 64, "images");
      const y = Float32Array.from({ length: 24 }, (_, row) => (x[row * 64]! > 0 ? 1 : 0));
      const cnn = makeNetwork(engine, {
        inputShape: [8, 8, 1],
        outputUnits: 2,
        host: hostSpec({ kind: "cnn", widths: [3, 4] }, [8, 8, 1]),
      });
      expect(cnn.sites).toEqual([
        { siteId: "conv1", kind: "map", shape: [4, 4, 3], depth: 0 },
        { siteId: "conv2", kind: "map", shape: [2, 2, 4], depth: 1 },
      ]);
      cnn.graft(
        "s",
        "conv1",
        {
          layers: [
            { kind: "depthwise", kernel: 3, activation: "silu" },
            { kind: "conv2d", filters: 3, kernel: 1, activation: "linear", init: { normal: 0.1 } },
          ],
        },
        {
          mode: "CHANNEL",
          alphaVec: [1, 0.5, 0],
          hostGradient: "through",
          random: createRandom(1, "s"),
        },
      );
      cnn.setPhase("s", "shadow");
      const first = await cnn.trainStep({ count: 24, x, y }, 0.02);
      for (let step = 0; step < 30; step++) await cnn.trainStep({ count: 24, x, y }, 0.02);
      cnn.setPhase("s", "blend");
      cnn.setAlpha("s", 1);
      for (let step = 0; step < 30; step++) await cnn.trainStep({ count: 24, x, y }, 0.02);
      expect((await cnn.evaluate({ count: 24, x, y })).loss).toBeLessThan(first.loss / 3);
      cnn.dispose();
    }));
});
