import { describe, expect, it } from "vitest";
import { EsperError } from "../../../src/protocols/errors.ts";
import {
  checkTargets,
  crossEntropy,
  softmaxRows,
  squaredError,
} from "../../../src/runtime/device/loss.ts";
import { normals } from "./support.ts";

const STEP = 1e-3;

function expectGradient(
  values: Float32Array,
  gradient: Float32Array,
  lossAt: (values: Float32Array) => number,
) {
  values.forEach((value, index) => {
    const at = (by: number) =>
      lossAt(Float32Array.from(values, (v, i) => (i === index ? v + by : v)));
    const numeric = (at(STEP) - at(-STEP)) / (2 * STEP);
    expect(gradient[index]!).toBeCloseTo(numeric, 3);
    expect(Number.isFinite(value)).toBe(true);
  });
}

describe("cross-entropy", () => {
  it("is the mean log loss, counts correct rows, and has the right gradient", () => {
    const logits = Float32Array.of(2, 0, 0, 0, 1, 3);
    const targets = Float32Array.of(0, 1);
    const { loss, scoreSum, gradient } = crossEntropy(logits, targets, 3);
    const first = Math.log(Math.exp(2) + 2) - 2;
    const second = Math.log(1 + Math.E + Math.exp(3)) - 1;
    expect(loss).toBeCloseTo((first + second) / 2, 10);
    expect(scoreSum).toBe(1);
    expectGradient(logits, gradient, (values) => crossEntropy(values, targets, 3).loss);
  });

  it("does not overflow", () => {
    const { loss, gradient } = crossEntropy(Float32Array.of(1000, -1000), Float32Array.of(1), 2);
    expect(loss).toBe(2000);
    expect([...gradient]).toEqual([1, -1]);
  });

  it.each([3, -1, 0.5, Number.NaN])("refuses class %s of three", (target) => {
    let error: unknown;
    try {
      checkTargets("classification", Float32Array.of(0, target), 3);
    } catch (thrown) {
      error = thrown;
    }
    expect(EsperError.is(error, "DATA_INVALID")).toBe(true);
    expect((error as Error).message).toContain("0 to 2");
    expect(() => checkTargets("regression", Float32Array.of(target), 3)).not.toThrow();
  });
});

describe("squared error", () => {
  it("is the mean over samples and units, with the right gradient", () => {
    const outputs = normals(6, "outputs");
    const targets = normals(6, "targets");
    const { loss, scoreSum, gradient } = squaredError(outputs, targets, 2);
    const total = outputs.reduce((sum, value, i) => sum + (value - targets[i]!) ** 2, 0);
    expect(loss).toBeCloseTo(total / 6, 10);
    expect(scoreSum).toBeCloseTo(total / 2, 10);
    expectGradient(outputs, gradient, (values) => squaredError(values, targets, 2).loss);
  });
});

describe("softmax", () => {
  it("makes each row sum to one and keeps the ratios", () => {
    const out = softmaxRows(Float32Array.of(0, Math.log(3), 500, 500), 2);
    [0.25, 0.75, 0.5, 0.5].forEach((value, index) => {
      expect(out[index]).toBeCloseTo(value, 6);
    });
  });
});
