/**
 * Trains a small growing network on one engine, as a program of its own: `gpu-job.js <engine>`
 * prints what it measured as JSON and must then end by itself, with nothing left on the engine.
 */
import { createRandom, GrowableNetwork, hostSpec, openEngine } from "esper-runtime";

/** What the job prints. */
export interface GpuJobReport {
  readonly engine: string;
  readonly losses: readonly number[];
  readonly shadowLosses: readonly number[];
  readonly validationLoss: number;
  /** Largest difference of an output between the network and the same one restored. */
  readonly restoredDelta: number;
  /** Live tensors after the first step of each growth cycle, which must not rise. */
  readonly tensors: readonly number[];
  readonly tensorsLeft: number;
  readonly msPerStep: number;
}

const STEPS = 60;
/** In each cycle a seed is grafted, trains in its shadow, blends in, and is removed again. */
const CYCLE = 20;
const BATCH = 32;
const INPUTS = 4;
const CLASSES = 3;
const WIDTH = 16;
const LEARNING_RATE = 0.01;

const kind = process.argv[2] === "wasm" ? "wasm" : "webgpu";
const engine = await openEngine(kind, { allowSoftwareGpu: true });
const tensorsBefore = engine.memory().tensors;
const random = createRandom(1, "gpu-job");
const network = GrowableNetwork.create(engine, {
  inputShape: [INPUTS],
  outputUnits: CLASSES,
  task: "classification",
  host: hostSpec({ kind: "mlp", widths: [WIDTH, WIDTH] }, [INPUTS]),
  optimizer: { kind: "adam", weightDecay: 1e-4, clipNorm: 5 },
  random,
});
const [site] = network.sites;
if (site === undefined) throw new Error("the host has a site");
const x = Float32Array.from({ length: INPUTS * BATCH }, () => random.normal());
const y = Float32Array.from({ length: BATCH }, () => random.integer(CLASSES));
const batch = { count: BATCH, x, y };

const losses: number[] = [];
const shadowLosses: number[] = [];
const tensors: number[] = [];
const startedMs = performance.now();
for (let step = 0; step < STEPS; step++) {
  const at = step % CYCLE;
  const seedId = `seed-${Math.floor(step / CYCLE)}`;
  if (at === 0) {
    network.graft(
      seedId,
      site.siteId,
      {
        layers: [
          { kind: "dense", units: 24, activation: "silu" },
          { kind: "dense", units: WIDTH, activation: "linear", init: { normal: 0.1 } },
        ],
      },
      { mode: "RESIDUAL", hostGradient: "through", random },
    );
    network.setPhase(seedId, "shadow");
  }
  if (at === CYCLE / 2) network.setPhase(seedId, "blend");
  if (at >= CYCLE / 2) network.setAlpha(seedId, Math.min(1, (2 * at) / CYCLE - 0.5));
  const result = await network.trainStep(batch, LEARNING_RATE);
  losses.push(result.loss);
  shadowLosses.push(...result.shadows.map((shadow) => shadow.loss));
  if (at === 0) tensors.push(engine.memory().tensors);
  if (at === CYCLE - 1 && step < STEPS - 1) network.detach(seedId);
}
const msPerStep = (performance.now() - startedMs) / STEPS;
const { loss: validationLoss } = await network.evaluate(batch, { batchSize: 10 });
const restored = GrowableNetwork.restore(engine, await network.snapshot());
const [own, again] = [await network.predict(x, BATCH), await restored.predict(x, BATCH)];
const restoredDelta = own.reduce(
  (most, value, index) => Math.max(most, Math.abs(value - (again[index] ?? Number.NaN))),
  0,
);
network.dispose();
restored.dispose();
const tensorsLeft = engine.memory().tensors - tensorsBefore;
engine.dispose();
const report: GpuJobReport = {
  engine: engine.description,
  losses,
  shadowLosses,
  validationLoss,
  restoredDelta,
  tensors,
  tensorsLeft,
  msPerStep,
};
process.stdout.write(JSON.stringify(report));
