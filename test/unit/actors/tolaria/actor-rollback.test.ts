/** The whole way back: a real engine whose numbers break, and a trainer that returns. */
import { afterEach, describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { kasmina } from "../../../../src/actors/kasmina/seed-manager.actor.ts";
import { tolaria } from "../../../../src/actors/tolaria/epoch-runner.actor.ts";
import {
  type MetricRow,
  NissaProtocol,
  type TelemetryBatch,
} from "../../../../src/protocols/actors/durable.ts";
import {
  type RunOrder,
  type RunResult,
  TolariaProtocol,
  type TrainingState,
  WeatherlightProtocol,
} from "../../../../src/protocols/actors/growth.ts";
import { EsperError } from "../../../../src/protocols/errors.ts";
import { defineActor } from "../../../../src/runtime/actor.ts";
import { GrowableNetwork } from "../../../../src/runtime/device/network.ts";
import { encodeCheckpoint } from "../../../../src/runtime/durable/checkpoint.ts";
import { SnapshotCache } from "../../../../src/runtime/durable/snapshot-cache.ts";
import { actor, supervisor } from "../../../../src/runtime/topology.ts";
import { newDataset, OPTIONS } from "../../../fixtures/training.ts";
import { startInline, testRun, until } from "../../runtime/support.ts";

const ON = { enabled: true, fastCapMb: 32, deadlineMs: 10_000, snapshotSteps: 1 };

/** What the root was told, and what it answers. */
class Root {
  readonly stored = new Map<number, Uint8Array>();
  readonly results: RunResult[] = [];
  readonly failures: { code: string; message: string }[] = [];
  readonly rollbacks: number[] = [];
  restores = 0;
  incarnation = 1;

  save(step: number, state: TrainingState): void {
    this.stored.set(step, encodeCheckpoint(state));
  }

  restore(upToStep: number) {
    this.restores += 1;
    const step = Math.max(...[...this.stored.keys()].filter((known) => known <= upToStep));
    const bytes = this.stored.get(step);
    return bytes === undefined ? null : { step, bytes };
  }

  rollBack(step: number) {
    this.rollbacks.push(step);
    this.incarnation += 1;
    return { incarnation: this.incarnation, missedDecisions: [] };
  }
}

/** Keeps telemetry and rows like the real one, in memory. */
class Kept {
  readonly batches: TelemetryBatch[] = [];
  rows: MetricRow[] = [];

  /** Without what may differ between equal runs. */
  get lasting(): unknown[] {
    return this.rows.map((row) =>
      Object.fromEntries(Object.entries(row).filter(([name]) => !name.endsWith("_wall"))),
    );
  }
}

const collectorOf = (kept: Kept) =>
  defineActor(import.meta.url, NissaProtocol, {
    config: z.strictObject({}),
    setup: () => null,
    receive: {
      ingest(_state, batch) {
        kept.batches.push(batch);
        return { acknowledged: batch.sequence };
      },
      record(_state, { batch, rows }) {
        kept.rows.push(...rows);
        return { acknowledged: batch };
      },
      rewind(_state, { step }) {
        kept.rows = kept.rows.filter((row) => row.step <= step);
        return { removed: 0 };
      },
      summary: () => ({ eventsByName: {}, eventsByLevel: {}, rows: 0 }),
    },
  });

const rootOf = (root: Root) =>
  defineActor(import.meta.url, WeatherlightProtocol, {
    config: z.strictObject({}),
    setup: () => null,
    receive: {
      ready: () => undefined,
      epoch: () => undefined,
      progress: () => undefined,
      transition: () => undefined,
      checkpoint(_state, { incarnation, step, state }) {
        if (incarnation === root.incarnation) root.save(step, state);
        return { stored: incarnation === root.incarnation };
      },
      restore: (_state, { upToStep }) => root.restore(upToStep),
      rollback: (_state, { step }) => root.rollBack(step),
      finished(_state, { incarnation, result }) {
        if (incarnation === root.incarnation) root.results.push(result);
        return null;
      },
      failed(_state, { incarnation, code, message }) {
        if (incarnation === root.incarnation) root.failures.push({ code, message });
        return null;
      },
    },
  });

afterEach(() => {
  vi.restoreAllMocks();
});

/** Every training step whose number is in `broken` gives NaN, after it has changed the weights. */
function breakSteps(broken: ReadonlySet<number>): void {
  const real = GrowableNetwork.prototype.trainStep;
  let taken = 0;
  vi.spyOn(GrowableNetwork.prototype, "trainStep").mockImplementation(async function (
    this: GrowableNetwork,
    ...args
  ) {
    const result = await real.apply(this, args);
    taken += 1;
    return broken.has(taken) ? { ...result, loss: Number.NaN } : result;
  });
}

async function train(rollback: object, checkpointEverySteps = 1_000) {
  const root = new Root();
  const kept = new Kept();
  const engine = { engine: "wasm", lrPolicy: "constant", lrWarmupSteps: 0, rollback };
  const device = { thread: "device" };
  const tree = supervisor({
    children: {
      weatherlight: actor(rootOf(root), { thread: "main" }),
      nissa: actor(collectorOf(kept), { thread: "durable" }),
      kasmina: actor(kasmina, { ...device, config: () => ({ secret: "", growth: {} }) }),
      tolaria: actor(tolaria, { ...device, config: () => engine }),
    },
  });
  const { system, events } = await startInline(tree, {
    run: testRun(),
    telemetry: { actor: "nissa" },
  });
  const order: RunOrder = {
    identity: { runId: "run-1", incarnation: 1, seed: 5 },
    dataset: newDataset(),
    options: { ...OPTIONS, growth: false, maxEpochs: 20, checkpointEverySteps },
    checkpoint: null,
    missedDecisions: [],
  };
  await system.ref(TolariaProtocol).call("begin", order, { deadlineMs: 10_000 });
  await until(() => root.results.length + root.failures.length > 0, 20_000);
  expect(events.filter(({ kind }) => kind === "crashed")).toEqual([]);
  const told = async (name: string) => {
    const seen = () => kept.batches.flatMap((batch) => batch.events).filter((e) => e.name === name);
    await until(() => seen().length > 0, 5_000);
    return seen();
  };
  return { root, told, rows: kept.lasting };
}

const digestOf = ({ results }: Root): string | undefined => results[0]?.digest;

describe("a step whose numbers break", () => {
  it("is taken again from the last kept state, and the run ends as if undisturbed", async () => {
    const whole = await train(ON);
    const undisturbed = digestOf(whole.root);
    expect(undisturbed).toMatch(/^[0-9a-f]{64}$/);
    breakSteps(new Set([3, 45]));
    const { root, told, rows } = await train(ON);
    expect(root.failures).toEqual([]);
    expect(rows).toEqual(whole.rows);
    expect(rows.length).toBeGreaterThan(20);
    // The third step fails at the very beginning; 45 - 3 is in the 16 steps behind 32.
    expect(root.rollbacks).toEqual([0, 32]);
    expect(root.restores).toBe(0);
    expect(digestOf(root)).toBe(undisturbed);
    const [first] = await told("tolaria.rollback");
    expect(first?.attributes).toMatchObject({ step: 0, failed_step: 3, tier: "fast", attempt: 1 });
  });

  it("is taken again from the disk when no state is kept", async () => {
    const whole = await train(ON);
    breakSteps(new Set([60]));
    const refused = new EsperError("SNAPSHOT_REFUSED", "larger than the cache");
    vi.spyOn(SnapshotCache.prototype, "put").mockReturnValue({ kept: null, refused });
    const { root, rows } = await train(ON, 16);
    expect([root.rollbacks, root.restores]).toEqual([[48], 1]);
    expect(digestOf(root)).toBe(digestOf(whole.root));
    expect(rows).toEqual(whole.rows);
  });

  it("ends the run after a few attempts", async () => {
    breakSteps(new Set(Array.from({ length: 1_000 }, (_, index) => 40 + index)));
    const { root } = await train(ON);
    expect(root.rollbacks).toEqual([32, 32, 32]);
    expect(root.failures).toMatchObject([{ code: "LOSS_NOT_FINITE" }]);
    expect(root.results).toEqual([]);
  });

  it("ends the run at once where rollback is off", async () => {
    breakSteps(new Set([40]));
    const { root } = await train({ ...ON, enabled: false }, 16);
    expect([root.rollbacks, root.restores]).toEqual([[], 0]);
    expect(root.failures).toMatchObject([
      { code: "LOSS_NOT_FINITE", message: expect.stringContaining("step 40") },
    ]);
  });
});
