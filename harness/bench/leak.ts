/** Counts live tensors before and after ten thousand steps with grafts and removals in between. */
import { createRandom, GrowableNetwork, hostSpec, openEngine } from "esper-runtime";
import type { Verdict } from "../lib/verdict.ts";

const STEPS = 10_000;
const CYCLE = 500;
const BATCH = 32;
const WIDTH = 8;

const module = {
  layers: [
    { kind: "dense", units: 24, activation: "silu" },
    { kind: "dense", units: WIDTH, activation: "linear" },
  ],
} as const;

export async function benchLeak(): Promise<{
  readonly figures: unknown;
  readonly verdicts: readonly Verdict[];
}> {
  const engine = await openEngine("wasm");
  const random = createRandom(1, "leak");
  const network = GrowableNetwork.create(engine, {
    inputShape: [2],
    outputUnits: 2,
    task: "classification",
    host: hostSpec({ kind: "mlp", widths: [WIDTH] }, [2]),
    optimizer: { kind: "adam", weightDecay: 1e-4, clipNorm: 5 },
    random,
  });
  const batch = {
    count: BATCH,
    x: Float32Array.from({ length: 2 * BATCH }, () => random.normal()),
    y: Float32Array.from({ length: BATCH }, () => random.integer(2)),
  };
  await network.trainStep(batch, 0.01);
  const before = engine.memory().tensors;
  for (let step = 0; step < STEPS; step++) {
    const seedId = `seed-${Math.floor(step / CYCLE)}`;
    if (step % CYCLE === 0) {
      network.graft(seedId, "hidden1", module, {
        mode: "RESIDUAL",
        hostGradient: "through",
        random,
      });
      network.setPhase(seedId, "shadow");
    }
    if (step % CYCLE === CYCLE / 2) {
      network.setAlpha(seedId, 1);
      network.setPhase(seedId, "blend");
    }
    await network.trainStep(batch, 0.01);
    if (step % CYCLE === CYCLE - 1) network.detach(seedId);
  }
  const after = engine.memory().tensors;
  network.dispose();
  engine.dispose();
  const promise = `no tensor leaks over ${STEPS} steps and ${STEPS / CYCLE} grafts`;
  const measured = `${before} before, ${after} after`;
  return { figures: { before, after }, verdicts: [{ promise, measured, kept: before === after }] };
}
