/** Tolaria with a real engine, beside a stand-in of the root that writes down what it is told. */
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { kasmina } from "../../../../src/actors/kasmina/seed-manager.actor.ts";
import { tolaria } from "../../../../src/actors/tolaria/epoch-runner.actor.ts";
import {
  type RunOrder,
  type RunResult,
  TolariaProtocol,
  type TrainingOptions,
  WeatherlightProtocol,
} from "../../../../src/protocols/actors/growth.ts";
import { defineActor } from "../../../../src/runtime/actor.ts";
import { actor, supervisor } from "../../../../src/runtime/topology.ts";
import { collecting } from "../../../fixtures/actors/stand-ins.ts";
import { newDataset, OPTIONS } from "../../../fixtures/training.ts";
import { startInline, testRun, until } from "../../runtime/support.ts";

interface Told {
  readonly ready: number[];
  readonly checkpoints: { step: number; final: boolean; incarnation: number }[];
  readonly results: RunResult[];
  readonly failures: { code: string; message: string }[];
}

const rootOf = (told: Told) =>
  defineActor(import.meta.url, WeatherlightProtocol, {
    config: z.strictObject({}),
    setup: () => null,
    receive: {
      ready: (_state, { starts }) => void told.ready.push(starts),
      epoch: () => undefined,
      progress: () => undefined,
      transition: () => undefined,
      checkpoint(_state, { step, final, incarnation }) {
        told.checkpoints.push({ step, final, incarnation });
        return { stored: true };
      },
      restore: () => null,
      rollback: () => null,
      finished(_state, { result }) {
        told.results.push(result);
        return null;
      },
      failed(_state, { code, message }) {
        told.failures.push({ code, message });
        return null;
      },
    },
  });

async function begin(options: Partial<TrainingOptions> = {}) {
  const told: Told = { ready: [], checkpoints: [], results: [], failures: [] };
  const engine = { engine: "wasm", lrPolicy: "constant", lrWarmupSteps: 0 };
  const tree = supervisor({
    children: {
      weatherlight: actor(rootOf(told), { thread: "main" }),
      nissa: actor(collecting([]), { thread: "durable" }),
      device: supervisor({
        strategy: "one_for_all",
        children: {
          kasmina: actor(kasmina, {
            thread: "device",
            config: () => ({ secret: "", growth: {} }),
          }),
          tolaria: actor(tolaria, { thread: "device", config: () => engine }),
        },
      }),
    },
  });
  const { system, events } = await startInline(tree, {
    run: testRun(),
    telemetry: { actor: "nissa" },
  });
  const order: RunOrder = {
    identity: { runId: "run-1", incarnation: 1, seed: 5 },
    dataset: newDataset(),
    options: { ...OPTIONS, growth: false, ...options },
    checkpoint: null,
    missedDecisions: [],
  };
  const ref = system.ref(TolariaProtocol);
  const deadline = { deadlineMs: 10_000 } as const;
  return {
    ...{ told, system, events, order },
    begin: (changes: Partial<RunOrder> = {}) =>
      ref.call("begin", { ...order, ...changes }, deadline),
    halt: () => ref.call("halt", { reason: "test" }, deadline),
    over: () => until(() => told.results.length + told.failures.length > 0, 10_000),
  };
}

describe("the trainer's actor", () => {
  it("announces itself, trains to the end and says how it ended", async () => {
    const run = await begin({ maxEpochs: 4 });
    await until(() => run.told.ready.length === 1);
    await run.begin();
    await run.over();
    expect(run.told.results).toMatchObject([{ outcome: "completed", step: 20, epoch: 4 }]);
    expect(run.told.checkpoints.at(-1)).toEqual({ step: 20, final: true, incarnation: 1 });
    expect(run.told.failures).toEqual([]);
  });

  it("stops at a decision point when it is halted, with a checkpoint", async () => {
    const run = await begin({ maxEpochs: 100_000 });
    await run.begin();
    const { step } = await run.halt();
    await run.over();
    const [result] = run.told.results;
    expect(result).toMatchObject({ outcome: "stopped" });
    expect(result!.step % 16).toBe(0);
    expect(result!.step).toBeGreaterThanOrEqual(step);
    expect(run.told.checkpoints.at(-1)).toMatchObject({ step: result!.step, final: true });
  });

  it("does not forget a halt that came before the order", async () => {
    const run = await begin({ maxEpochs: 100_000 });
    await run.halt();
    await run.begin();
    await run.over();
    expect(run.told.results).toMatchObject([{ outcome: "stopped", step: 0 }]);
  });

  it("says by its code why training failed, and takes the next order", async () => {
    const run = await begin({ learningRate: 1e38 });
    await run.begin();
    await run.over();
    expect(run.told.failures).toMatchObject([{ code: "LOSS_NOT_FINITE" }]);
    expect(run.events.filter(({ kind }) => kind === "crashed")).toEqual([]);
    await run.begin({ options: { ...run.order.options, learningRate: 0.01, maxEpochs: 2 } });
    await until(() => run.told.results.length === 1, 10_000);
  });

  it("announces itself again after its neighbour has crashed", async () => {
    const run = await begin({ maxEpochs: 100_000 });
    await run.begin();
    run.system.crash("kasmina");
    // Far below the 5 s a stop may take: the trainer must not wait for a neighbour that is gone.
    await until(() => run.told.ready.length === 2, 3_000);
    expect(run.told.ready).toEqual([1, 2]);
    expect(run.told.failures).toEqual([]);
  });
});
