import { describe, expect, it } from "vitest";
import {
  decodeTraining,
  type TrainingCheckpoint,
} from "../../../../src/actors/tolaria/checkpoint.ts";
import {
  findGoodState,
  MAX_ROLLBACKS,
  RollbackBudget,
} from "../../../../src/actors/tolaria/rollback.ts";
import { EsperError } from "../../../../src/protocols/errors.ts";
import { decodeCheckpoint } from "../../../../src/runtime/durable/checkpoint.ts";
import { SnapshotCache } from "../../../../src/runtime/durable/snapshot-cache.ts";
import { VirtualClock } from "../../../../src/runtime/testkit/virtual-clock.ts";
import { testEngine } from "../../../fixtures/growth.ts";
import { Training } from "../../../fixtures/training.ts";

type Restore = Parameters<typeof findGoodState>[1]["restore"];

/** Checkpoints of steps 16, 32 and 48 of a real training. */
async function storedSteps(): Promise<Map<number, Uint8Array>> {
  const training = new Training(await testEngine());
  await training.steps(49);
  return new Map(training.stored.map(({ step, bytes }) => [step, bytes]));
}

function newParts(restore: Restore = async () => null) {
  const counted = new Map<string, number>();
  const observed: string[] = [];
  const events: unknown[] = [];
  const cache = new SnapshotCache(1 << 20);
  const parts = {
    cache,
    restore,
    clock: new VirtualClock(),
    metrics: {
      count: (name: string) => void counted.set(name, (counted.get(name) ?? 0) + 1),
      gauge: () => undefined,
      observe: (name: string, value: number) => void observed.push(`${name} ${value}`),
    },
    emit: (...event: unknown[]) => void events.push(event),
  };
  const totals = (): Record<string, number> =>
    Object.fromEntries(
      [...counted].map(([name, count]) => [name.replace("tolaria.rollback.", ""), count]),
    );
  return { parts, cache, totals, events, observed };
}

const stepOf = (state: TrainingCheckpoint | null): number | undefined => state?.progress.step;

describe("the way back", () => {
  it("is the newest kept state, without touching the disk", async () => {
    const { parts, cache, totals, observed } = newParts(async () => {
      throw new Error("the disk was touched");
    });
    const stored = await storedSteps();
    for (const [step, bytes] of stored) cache.put(step, decodeCheckpoint(bytes, "a"));
    const found = await findGoodState(47, parts);
    expect(found).toMatchObject({ tier: "fast", hit: true, latencyMs: 0, error: null });
    expect(stepOf(found.state)).toBe(32);
    expect(totals()).toEqual({ fast_hits_total: 1 });
    expect(observed).toEqual(["tolaria.rollback.restore_latency_ms 0"]);
  });

  it("is the newest stored one where none is kept", async () => {
    const stored = await storedSteps();
    const { parts, totals } = newParts(async (upTo) => ({ step: 32, bytes: stored.get(upTo)! }));
    const clock = parts.clock;
    const slow: Restore = async (upTo) => {
      clock.advance(12);
      return { step: upTo, bytes: stored.get(upTo)! };
    };
    const found = await findGoodState(32, { ...parts, restore: slow });
    expect(found).toMatchObject({ tier: "full", hit: true, latencyMs: 12, error: null });
    expect(stepOf(found.state)).toBe(32);
    expect(totals()).toEqual({ fast_misses_total: 1 });
  });

  it("passes over a kept state that is no training, and says so", async () => {
    const stored = await storedSteps();
    const { parts, cache, totals, events } = newParts();
    cache.put(16, decodeCheckpoint(stored.get(16)!, "a"));
    cache.put(32, { meta: {}, arrays: {} });
    const found = await findGoodState(40, parts);
    expect(found).toMatchObject({ tier: "fast", hit: true, error: expect.any(String) });
    expect(stepOf(found.state)).toBe(16);
    expect(totals()).toEqual({ failures_total: 1, fast_hits_total: 1 });
    expect(events).toEqual([
      [
        "tolaria.rollback.restore_failed",
        "CRITICAL",
        { reason: "fast_cache", detail: expect.stringContaining("step 32") },
      ],
    ]);
    expect(cache.entries.map(({ step }) => step)).toEqual([16]);
  });

  it("does not wait longer than its deadline", async () => {
    const { parts, totals, events } = newParts(async () => {
      throw new EsperError("DEADLINE_EXCEEDED", "too late");
    });
    const found = await findGoodState(40, parts);
    expect(found).toMatchObject({ tier: "full", hit: false, error: "deadline_exceeded" });
    expect(totals()).toEqual({
      ...{ deadline_exceeded_total: 1, failures_total: 1, fast_misses_total: 1 },
    });
    expect(events).toMatchObject([
      ["tolaria.rollback.restore_failed", "CRITICAL", { reason: "full_restore" }],
    ]);
  });

  it("takes no damaged checkpoint, and says when there is none at all", async () => {
    const damaged = newParts(async () => ({ step: 16, bytes: new Uint8Array(99) }));
    expect(await findGoodState(40, damaged.parts)).toMatchObject({ hit: false, state: null });
    expect(damaged.totals()).toEqual({ failures_total: 1, fast_misses_total: 1 });
    const none = newParts();
    expect(await findGoodState(40, none.parts)).toMatchObject({ hit: false, error: null });
    expect(none.totals()).toEqual({ no_checkpoint_total: 1, fast_misses_total: 1 });
  });

  it("does not take a bug for damage", async () => {
    const { parts } = newParts(async () => {
      throw new TypeError("a bug");
    });
    await expect(findGoodState(40, parts)).rejects.toThrow("a bug");
  });

  it("restores exactly what was stored", async () => {
    const stored = await storedSteps();
    const { parts, cache } = newParts();
    cache.put(16, decodeCheckpoint(stored.get(16)!, "a"));
    const { state } = await findGoodState(16, parts);
    expect(state).toEqual(decodeTraining(stored.get(16)!, "a"));
  });
});

describe("the number of attempts", () => {
  it("is bounded for a step that fails again and again", () => {
    const budget = new RollbackBudget();
    const spent = Array.from({ length: MAX_ROLLBACKS + 1 }, () => budget.spend(40));
    expect(spent).toEqual([...Array<boolean>(MAX_ROLLBACKS).fill(true), false]);
    // States up to the failed step prove nothing.
    budget.passed(40);
    expect(budget.spend(40)).toBe(false);
  });

  it("begins anew behind the step that failed", () => {
    const budget = new RollbackBudget();
    budget.spend(40);
    budget.spend(24);
    budget.passed(48);
    expect(budget.attempts).toBe(0);
  });
});
