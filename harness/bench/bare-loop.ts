/**
 * The peers of the overhead bench, as a program of its own: `bare-loop.js table.csv epochs kind`
 * prints the milliseconds per step of every epoch as JSON. Kind "tfjs" is the loop anyone would
 * write with TensorFlow.js and its own Adam; kind "device" is a loop over this product's training
 * step without any actor. Validation is part of an epoch, as in a run.
 */
import {
  createRandom,
  type Engine,
  GrowableNetwork,
  hostSpec,
  loadDataset,
  openEngine,
  systemFiles,
} from "esper-runtime";

interface Batch {
  readonly count: number;
  readonly x: Float32Array;
  readonly y: Float32Array;
}

interface Peer {
  step(batch: Batch): unknown;
  validate(samples: Batch): unknown;
}

const BATCH = 32;
const LEARNING_RATE = 0.001;
const WIDTHS = [128, 128] as const;

function tfjsPeer({ tf }: Engine, inputs: number, classes: number): Peer {
  const sizes = [inputs, ...WIDTHS, classes];
  const weights = sizes.slice(1).map((units, index) => {
    const fanIn = sizes[index] ?? 1;
    return {
      w: tf.variable(tf.randomNormal([fanIn, units], 0, Math.sqrt(2 / fanIn), "float32", index)),
      b: tf.variable(tf.zeros([units])),
    };
  });
  const adam = tf.train.adam(LEARNING_RATE);
  const lossOf = ({ count, x, y }: Batch) => {
    let h = tf.tensor2d(x, [count, inputs]);
    weights.forEach(({ w, b }, layer) => {
      const z = tf.add(tf.matMul(h, w as typeof h), b);
      const last = layer === weights.length - 1;
      h = (last ? z : tf.mul(z, tf.sigmoid(z))) as typeof h;
    });
    const labels = tf.oneHot(tf.tensor1d(y, "int32"), classes);
    return tf.losses.softmaxCrossEntropy(labels, h).asScalar();
  };
  const read = (loss: ReturnType<typeof lossOf> | null): void => {
    loss?.dataSync();
    loss?.dispose();
  };
  return {
    step: (batch) => read(adam.minimize(() => lossOf(batch), true)),
    validate: (samples) => read(tf.tidy(() => lossOf(samples))),
  };
}

function devicePeer(engine: Engine, inputs: number, classes: number): Peer {
  const network = GrowableNetwork.create(engine, {
    inputShape: [inputs],
    outputUnits: classes,
    task: "classification",
    host: hostSpec({ kind: "mlp", widths: WIDTHS }, [inputs]),
    optimizer: { kind: "adam", weightDecay: 1e-4, clipNorm: 5 },
    random: createRandom(1, "bare"),
  });
  return {
    step: (batch) => network.trainStep(batch, LEARNING_RATE),
    validate: (samples) => network.evaluate(samples),
  };
}

const [path = "", epochs = "1", kind = "tfjs"] = process.argv.slice(2);
const dataset = await loadDataset(
  { kind: "csv", file: path, target: "class", validationShare: 0.2, seed: 42 },
  { files: systemFiles, budgetBytes: 2 ** 30 },
);
const { train, validation } = dataset;
const inputs = train.x.length / train.count;
const classes = dataset.target.kind === "classes" ? dataset.target.classes.length : 1;
const engine = await openEngine("wasm");
const peer = (kind === "tfjs" ? tfjsPeer : devicePeer)(engine, inputs, classes);
const order = new Uint32Array(train.count).map((_, index) => index);
const shuffle = createRandom(1, "bare:order");
const msPerStep: number[] = [];
for (let epoch = 0; epoch < Number(epochs); epoch++) {
  shuffle.shuffle(order);
  const startedMs = performance.now();
  let steps = 0;
  for (let from = 0; from < train.count; from += BATCH) {
    const count = Math.min(BATCH, train.count - from);
    const x = new Float32Array(count * inputs);
    const y = new Float32Array(count);
    for (let row = 0; row < count; row++) {
      const source = order[from + row] ?? 0;
      x.set(train.x.subarray(source * inputs, (source + 1) * inputs), row * inputs);
      y[row] = train.y[source] ?? 0;
    }
    await peer.step({ count, x, y });
    steps += 1;
  }
  await peer.validate(validation);
  msPerStep.push((performance.now() - startedMs) / steps);
}
process.stdout.write(JSON.stringify(msPerStep));
