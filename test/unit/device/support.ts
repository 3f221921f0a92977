/** Small helpers for tests on a tensor engine. */
import type { Samples } from "../../../src/protocols/dataset.ts";
import { EsperError } from "../../../src/protocols/errors.ts";
import type { HostSpec, ModuleSpec } from "../../../src/protocols/leyline/modules.ts";
import type { Engine } from "../../../src/runtime/device/engine.ts";
import { openEngine } from "../../../src/runtime/device/engine.ts";
import type { EngineKind } from "../../../src/runtime/device/engine-kind.ts";
import { GrowableNetwork, type NetworkOptions } from "../../../src/runtime/device/network.ts";
import { createRandom } from "../../../src/runtime/random.ts";

/** Opens an engine for the length of `use`; two kinds may follow one another in one test. */
export async function onEngine<T>(
  kind: EngineKind,
  use: (engine: Engine) => T | Promise<T>,
): Promise<T> {
  const engine = await openEngine(kind);
  try {
    return await use(engine);
  } finally {
    engine.dispose();
  }
}

export function normals(size: number, stream: string, spread = 1): Float32Array {
  const random = createRandom(7, stream);
  return Float32Array.from({ length: size }, () => spread * random.normal());
}

export const WIDTH = 6;
export const CLASSES = 3;

export const HOST: HostSpec = {
  layers: [
    { kind: "dense", units: 8, activation: "silu" },
    { kind: "dense", units: 8, activation: "tanh" },
  ],
  sites: [
    { after: 0, siteId: "hidden1" },
    { after: 1, siteId: "hidden2" },
  ],
};

export const SEED: ModuleSpec = {
  layers: [
    { kind: "dense", units: 12, activation: "gelu" },
    { kind: "dense", units: 8, activation: "linear", init: { normal: 0.1 } },
  ],
};

export function makeNetwork(engine: Engine, changes: Partial<NetworkOptions> = {}) {
  return GrowableNetwork.create(engine, {
    inputShape: [WIDTH],
    outputUnits: CLASSES,
    task: "classification",
    host: HOST,
    optimizer: { kind: "adam", weightDecay: 1e-3, clipNorm: 5 },
    random: createRandom(3, "init"),
    ...changes,
  });
}

/** Points whose class depends on their first two coordinates. */
export function classified(count: number, stream = "points"): Samples {
  const x = normals(count * WIDTH, stream);
  const y = Float32Array.from({ length: count }, (_, row) => {
    const [a, b] = [x[row * WIDTH]!, x[row * WIDTH + 1]!];
    return a * b > 0 ? 0 : a > 0 ? 1 : 2;
  });
  return { count, x, y };
}

/** Trains on batches of 16 taken in turn; returns the losses. */
export async function train(network: GrowableNetwork, samples: Samples, from: number, to: number) {
  const losses: number[] = [];
  for (let step = from; step < to; step++) {
    const start = (step * 16) % samples.count;
    losses.push(
      (
        await network.trainStep(
          {
            count: 16,
            x: samples.x.subarray(start * WIDTH, (start + 16) * WIDTH),
            y: samples.y.subarray(start, start + 16),
          },
          0.01,
        )
      ).loss,
    );
  }
  return losses;
}

export function graftSeed(network: GrowableNetwork, seedId = "seed-1", siteId = "hidden1") {
  return network.graft(seedId, siteId, SEED, {
    mode: "CONVEX",
    hostGradient: "through",
    random: createRandom(3, seedId),
  });
}

/** The host's weights, as one list of numbers. */
export async function hostWeights(network: GrowableNetwork): Promise<number[]> {
  const { arrays } = await network.snapshot();
  return Object.keys(arrays)
    .filter((key) => key.startsWith("weights/host/") || key.startsWith("optimizer/host/"))
    .sort()
    .flatMap((key) => [...arrays[key]!]);
}

/** The code of the error that `run` ends with, or null. */
export const codeOf = async (run: () => unknown): Promise<string | null> => {
  try {
    await run();
  } catch (error) {
    return EsperError.is(error) ? error.code : String(error);
  }
  return null;
};
