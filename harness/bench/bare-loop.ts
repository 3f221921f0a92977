/**
 * The peer of the overhead bench, as a program of its own: `bare-loop.js table.csv epochs` prints
 * the milliseconds per step of every epoch as JSON. Validation is part of an epoch, as in a run.
 */
import {
  createRandom,
  GrowableNetwork,
  hostSpec,
  loadDataset,
  openEngine,
  systemFiles,
} from "esper-runtime";

const BATCH = 32;

const [path = "", epochs = "1"] = process.argv.slice(2);
const dataset = await loadDataset(
  { kind: "csv", file: path, target: "class", validationShare: 0.2, seed: 42 },
  { files: systemFiles, budgetBytes: 2 ** 30 },
);
const engine = await openEngine("wasm");
const host = { kind: "mlp", widths: [128, 128] } as const;
const classes = dataset.target.kind === "classes" ? dataset.target.classes.length : 1;
const network = GrowableNetwork.create(engine, {
  inputShape: dataset.inputShape,
  outputUnits: classes,
  task: "classification",
  host: hostSpec(host, dataset.inputShape),
  optimizer: { kind: "adam", weightDecay: 1e-4, clipNorm: 5 },
  random: createRandom(1, "bare"),
});
const { train, validation } = dataset;
const width = train.x.length / train.count;
const order = new Uint32Array(train.count).map((_, index) => index);
const shuffle = createRandom(1, "bare:order");
const msPerStep: number[] = [];
for (let epoch = 0; epoch < Number(epochs); epoch++) {
  shuffle.shuffle(order);
  const startedMs = performance.now();
  let steps = 0;
  for (let from = 0; from < train.count; from += BATCH) {
    const count = Math.min(BATCH, train.count - from);
    const x = new Float32Array(count * width);
    const y = new Float32Array(count);
    for (let row = 0; row < count; row++) {
      const source = order[from + row] ?? 0;
      x.set(train.x.subarray(source * width, (source + 1) * width), row * width);
      y[row] = train.y[source] ?? 0;
    }
    await network.trainStep({ count, x, y }, 0.001);
    steps += 1;
  }
  await network.evaluate(validation);
  msPerStep.push((performance.now() - startedMs) / steps);
}
process.stdout.write(JSON.stringify(msPerStep));
