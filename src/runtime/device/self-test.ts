/**
 * A probe that every engine passes before it trains anything: the operations known to be wrong or
 * missing in some backends, compared with numbers worked out by hand.
 */
import { dehydrate, EsperError } from "../../protocols/errors.ts";
import type { StartedBackend, Tensor, Tf } from "./engine-types.ts";

interface Probe {
  readonly name: string;
  readonly expected: readonly number[];
  run(tf: Tf): Tensor;
}

const TOLERANCE = 1e-4;

const PROBES: readonly Probe[] = [
  {
    name: "max pooling gradient where all inputs are negative",
    expected: [0, 3, 0, 0],
    run(tf) {
      const x = tf.tensor4d([-4, -1, -3, -2], [1, 2, 2, 1]);
      const pooled = (input: Tensor) => tf.maxPool(input as typeof x, 2, 2, "valid").mul(3);
      return tf.grad(pooled)(x);
    },
  },
  {
    // x = 1..4 in a 2x2 image, padded by one: the gradient of the sum of a 3x3 convolution by
    // each tap is the sum of the pixels under that tap.
    name: "convolution gradient by the filter",
    expected: [1, 3, 2, 4, 10, 6, 3, 7, 4],
    run(tf) {
      const x = tf.tensor4d([1, 2, 3, 4], [1, 2, 2, 1]);
      const w = tf.ones([3, 3, 1, 1]);
      const sum = (filter: Tensor) => tf.conv2d(x, filter as typeof x, 1, "same").sum();
      return tf.grad(sum)(w);
    },
  },
  {
    name: "product of a transposed matrix",
    expected: [7, 10, 15, 22],
    run(tf) {
      const a = tf.tensor2d([1, 3, 2, 4], [2, 2]);
      const b = tf.tensor2d([1, 3, 2, 4], [2, 2]);
      return tf.matMul(a, b, true, true);
    },
  },
];

function agrees(given: ArrayLike<number>, expected: readonly number[]): boolean {
  return (
    given.length === expected.length &&
    expected.every((value, index) => Math.abs(value - (given[index] ?? Number.NaN)) <= TOLERANCE)
  );
}

/** @throws {ENGINE_UNSUPPORTED} naming the first operation that is missing or wrong. */
export async function selfTest(started: StartedBackend): Promise<void> {
  const { tf, backendName } = started;
  for (const { name, expected, run } of PROBES) {
    let given: ArrayLike<number>;
    try {
      const out = tf.tidy(() => run(tf));
      given = await out.data();
      out.dispose();
      const fault = started.deviceFault?.() ?? null;
      if (fault !== null) throw new Error(fault);
    } catch (error) {
      throw new EsperError(
        "ENGINE_UNSUPPORTED",
        `the tensor engine ${backendName} has no ${name}: ${dehydrate(error).message}`,
        { engine: backendName, probe: name },
        error,
      );
    }
    if (agrees(given, expected)) continue;
    throw new EsperError(
      "ENGINE_UNSUPPORTED",
      `the tensor engine ${backendName} computes a wrong ${name}: ` +
        `[${Array.from(given)}] instead of [${expected}]`,
      { engine: backendName, probe: name, given: Array.from(given), expected },
    );
  }
}
