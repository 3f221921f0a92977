import { describe, expect, it } from "vitest";
import type { Engine } from "../../../src/runtime/device/engine.ts";
import { GrowableNetwork } from "../../../src/runtime/device/network.ts";
import { classified, codeOf, graftSeed, HOST, makeNetwork, onEngine, train } from "./support.ts";

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
});
