import { describe, expect, it, vi } from "vitest";
import { BatchCursor } from "../../../../src/actors/tolaria/batches.ts";
import { DecisionWindow } from "../../../../src/actors/tolaria/decisions.ts";
import { learningRateAt } from "../../../../src/actors/tolaria/learning-rate.ts";
import { RowSink } from "../../../../src/actors/tolaria/row-sink.ts";
import { NO_STATS, updateStats } from "../../../../src/actors/tolaria/running-stats.ts";
import { createRandom } from "../../../../src/runtime/random.ts";

const samples = {
  count: 10,
  x: Float32Array.from({ length: 20 }, (_, index) => index),
  y: Float32Array.from({ length: 10 }, (_, index) => index),
};
const begin = () => ({ epochStart: createRandom(1, "order").state(), epoch: 1, position: 0 });

describe("batches", () => {
  it("train every sample exactly once an epoch, the short last batch included", () => {
    const cursor = new BatchCursor(samples, 4, begin());
    const seen: number[] = [];
    const counts: number[] = [];
    while (!cursor.epochDone) {
      const batch = cursor.next();
      counts.push(batch.count);
      batch.y.forEach((value, row) => {
        seen.push(value);
        expect([...batch.x.subarray(2 * row, 2 * row + 2)]).toEqual([2 * value, 2 * value + 1]);
      });
    }
    expect(counts).toEqual([4, 4, 2]);
    expect(seen.toSorted((left, right) => left - right)).toEqual([...samples.y]);
  });

  it("continue in the middle of an epoch exactly where they were", () => {
    const whole = new BatchCursor(samples, 3, begin());
    for (let step = 0; step < 4; step++) whole.next();
    whole.startNextEpoch();
    whole.next();
    const resumed = new BatchCursor(samples, 3, whole.state());
    for (let step = 0; step < 3; step++) {
      expect([...resumed.next().y]).toEqual([...whole.next().y]);
    }
    resumed.startNextEpoch();
    whole.startNextEpoch();
    expect([...resumed.next().y]).toEqual([...whole.next().y]);
  });

  it("come in another order every epoch", () => {
    const cursor = new BatchCursor(samples, 10, begin());
    const first = [...cursor.next().y];
    cursor.startNextEpoch();
    expect([...cursor.next().y]).not.toEqual(first);
  });
});

describe("decision window", () => {
  const hold = { packetId: "p", command: null, reason: "hold" };

  it("hands over an answer exactly `lag` steps after the question", async () => {
    const window = new DecisionWindow(16, 8, []);
    expect(window.atBoundary(16)).toBe(true);
    expect(window.atBoundary(17)).toBe(false);
    window.ask(16, async () => hold);
    expect(await window.take(23)).toBeNull();
    expect(await window.take(24)).toEqual({ askedAtStep: 16, decision: hold });
    expect(window.pending).toBe(false);
  });

  it("repeats a known miss without asking", async () => {
    const request = vi.fn(async () => hold);
    const window = new DecisionWindow(16, 8, [32]);
    window.ask(32, request);
    expect(await window.take(40)).toEqual({ askedAtStep: 32, decision: null });
    expect(request).not.toHaveBeenCalled();
  });
});

describe("learning rate", () => {
  const schedule = { base: 0.1, policy: "constant", warmupSteps: 0, totalSteps: 100 } as const;

  it("follows its policy", () => {
    expect(learningRateAt(50, schedule)).toBe(0.1);
    expect(learningRateAt(50, { ...schedule, policy: "cosine" })).toBeCloseTo(0.05, 12);
    expect(learningRateAt(100, { ...schedule, policy: "cosine" })).toBeCloseTo(0, 12);
    expect(learningRateAt(34, { ...schedule, policy: "step" })).toBeCloseTo(0.01, 12);
    expect(learningRateAt(67, { ...schedule, policy: "step" })).toBeCloseTo(0.001, 12);
  });

  it("warms up linearly", () => {
    const warm = { ...schedule, warmupSteps: 4 };
    expect([0, 1, 2, 3, 4].map((step) => learningRateAt(step, warm))).toEqual(
      [0.025, 0.05, 0.075, 0.1, 0.1].map((rate) => expect.closeTo(rate, 12)),
    );
  });
});

it("running statistics follow the reference's formulas", () => {
  let stats = updateStats(NO_STATS, 1);
  expect(stats).toMatchObject({ mean: 1, variance: 0 });
  stats = updateStats(stats, 2);
  expect(stats.mean).toBeCloseTo(1.2, 12);
  expect(stats.variance).toBeCloseTo(0.2 * (2 - 1) * (2 - 1.2), 12);
});

describe("row sink", () => {
  const row = (step: number) => ({ kind: "step", step });

  it("sends numbered batches in order and confirms all on flush", async () => {
    const batches: [number, number][] = [];
    const sink = new RowSink(async (batch, rows) => {
      batches.push([batch, rows.length]);
    });
    for (let step = 0; step < 130; step++) await sink.add([row(step)]);
    await sink.flush();
    expect(batches).toEqual([
      [1, 64],
      [2, 64],
      [3, 2],
    ]);
  });

  it("waits when too many batches are unconfirmed", async () => {
    const pending: (() => void)[] = [];
    const sink = new RowSink(() => new Promise<void>((resolve) => pending.push(resolve)));
    const rows = Array.from({ length: 64 }, (_, step) => row(step));
    for (let batch = 0; batch < 7; batch++) await sink.add(rows);
    let went = false;
    const eighth = sink.add(rows).then(() => {
      went = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(went).toBe(false);
    pending[0]?.();
    await eighth;
    expect(pending).toHaveLength(2);
  });

  it("surfaces a refused batch to the trainer", async () => {
    const sink = new RowSink(async () => {
      throw new Error("disk full");
    });
    await sink.add(Array.from({ length: 64 }, (_, step) => row(step)));
    await expect(sink.flush()).rejects.toThrow("disk full");
  });
});
