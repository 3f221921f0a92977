import { describe, expect, it } from "vitest";
import { systemClock } from "../../../src/runtime/clock.ts";
import { defineJobs, loadJobs, locateJobs } from "../../../src/runtime/pool/jobs.ts";
import { openPool, openPoolOver } from "../../../src/runtime/pool/pool.ts";
import { JobRun, runJob } from "../../../src/runtime/pool/run-job.ts";
import {
  checkOptions,
  type PoolOptions,
  workerEnvironment,
} from "../../../src/runtime/pool/settings.ts";
import { rejection } from "../runtime/support.ts";
import { arithmetic } from "./arithmetic.ts";
import { FakeCrew } from "./support.ts";

const OPTIONS: PoolOptions = { kind: "threads", workers: 2, clock: systemClock };
const FAR_MS = systemClock.monotonicMs() + 1e6;

async function openFake(options: Partial<PoolOptions> = {}) {
  const started: unknown[] = [];
  const pool = await openPoolOver(arithmetic, { ...OPTIONS, ...options }, () => async (events) => {
    const crew = new FakeCrew(events, { slots: 1 });
    crew.start = (order) => {
      const { id, name, input, transfer, cancellable } = order;
      started.push({ name, input, transfer, cancellable });
      void Promise.resolve().then(() => events.ended(id, { kind: "value", value: [name, input] }));
    };
    return crew;
  });
  return { pool, started };
}

describe("the options of a pool", () => {
  const wrong: readonly [string, Partial<Record<keyof PoolOptions, unknown>>, string][] = [
    ["no workers", { workers: 0 }, "pool.workers is 0; allowed is a whole number from 1 to 256"],
    ["half a worker", { workers: 1.5 }, "pool.workers is 1.5"],
    ["no queue", { queueCapacity: 0 }, "pool.queueCapacity is 0"],
    ["an endless grace", { graceMs: Number.POSITIVE_INFINITY }, "pool.graceMs is Infinity"],
    ["a heap too small to start in", { heapLimitMb: 4 }, "pool.heapLimitMb is 4"],
    ["an unknown kind", { kind: "fibres" }, "pool.kind is fibres; allowed are threads, process"],
    ["shared processes", { kind: "process", cooperative: true }, "pool.cooperative is true"],
  ];

  it.each(wrong)("refuse %s", (_, options, text) => {
    const check = () => checkOptions({ ...OPTIONS, ...options } as PoolOptions);
    expect(check).toThrow(text);
    expect(check).toThrow(expect.objectContaining({ code: "CONFIG_INVALID" }));
  });

  it("have bounded defaults", () => {
    expect(checkOptions(OPTIONS)).toMatchObject({
      ...{ queueCapacity: 1_024, graceMs: 250, heapLimitMb: null, cooperative: false },
    });
  });

  it("let a worker see places and locale and what was named, and no secret", () => {
    const settings = checkOptions({ ...OPTIONS, environment: { CUDA_VISIBLE_DEVICES: "0" } });
    const all = {
      PATH: "/bin",
      LC_ALL: "C",
      ESPER_SECRET: "s",
      AWS_KEY: "k",
      NODE_OPTIONS: "-r x",
    };
    expect(workerEnvironment(all, settings)).toEqual({
      ...{ PATH: "/bin", LC_ALL: "C", CUDA_VISIBLE_DEVICES: "0" },
    });
  });

  it("are refused when the package is not built", async () => {
    const error = await rejection(openPool(arithmetic, OPTIONS));
    expect(error).toMatchObject({ code: "CONFIG_INVALID" });
  });
});

describe("a run", () => {
  it("hands over the input and what moves with it, and gives the result", async () => {
    const { pool, started } = await openFake();
    const transfer = [new ArrayBuffer(8)];
    expect(await pool.run("double", 4, { deadlineMs: 500, transfer })).toEqual(["double", 4]);
    expect(started).toEqual([{ name: "double", input: 4, transfer, cancellable: false }]);
    await pool.close();
  });

  it.each([
    ["NaN", Number.NaN],
    ["negative", -1],
    ["endless", Number.POSITIVE_INFINITY],
  ])("is refused with a deadline that is %s", async (_, deadlineMs) => {
    const { pool } = await openFake();
    const error = await rejection(pool.run("double", 1, { deadlineMs }));
    expect(error).toMatchObject({ code: "CONFIG_INVALID", details: { path: "deadlineMs" } });
    expect(pool.account().submitted).toBe(0);
    await pool.close();
  });

  it("is refused for a job that does not exist, inherited names included", async () => {
    const { pool } = await openFake();
    for (const name of ["triple", "toString"]) {
      const error = await rejection(pool.run(name as "double", 1, { deadlineMs: 5 }));
      expect(error).toMatchObject({ code: "MESSAGE_UNKNOWN", details: { value: name } });
    }
    await pool.close();
  });

  it("refuses to move buffers into a process", async () => {
    const { pool } = await openFake({ kind: "process" });
    const error = await rejection(pool.run("double", 1, { deadlineMs: 5, transfer: [] }));
    expect(error).toMatchObject({ code: "CONFIG_INVALID", details: { path: "transfer" } });
    await pool.close();
  });
});

describe("a job in its worker", () => {
  const run = (name: string, input: unknown, deadlineAtMs = FAR_MS) =>
    runJob(arithmetic.functions, new JobRun(name, deadlineAtMs, null), input);

  it("ends in the turn in which it began when it does not wait", () => {
    expect(run("double", 4)).toEqual({ kind: "value", value: 8 });
  });

  it("knows its name and makes an outcome of whatever it throws", async () => {
    expect(await run("name", null)).toEqual({ kind: "value", value: "name" });
    expect(run("fail", null)).toMatchObject({ kind: "error", error: { name: "RangeError" } });
    expect(await run("odd", null)).toMatchObject({ error: { name: "NonError" } });
  });

  it("keeps the code when the details cannot cross", () => {
    const outcome = run("heavy", null);
    expect(outcome).toMatchObject({ kind: "error", error: { code: "DATA_INVALID" } });
    expect(() => structuredClone(outcome)).not.toThrow();
  });

  it("is not begun after its deadline or its cancellation", () => {
    expect(run("double", 4, systemClock.monotonicMs() - 1)).toEqual({ kind: "late" });
    const cancelled = new JobRun("double", FAR_MS, null);
    cancelled.notice();
    expect(runJob(arithmetic.functions, cancelled, 4)).toMatchObject({
      error: { code: "CANCELLED" },
    });
  });
});

describe("the definition", () => {
  it("is found in its module, and loaded from there", async () => {
    const source = await locateJobs(arithmetic);
    expect(source.exportName).toBe("arithmetic");
    expect(Object.keys(await loadJobs(source))).toContain("double");
  });

  it("must be an export of the module it names", async () => {
    const hidden = defineJobs(import.meta.url, { hidden: () => 1 });
    const error = await rejection(locateJobs(hidden));
    expect(error).toMatchObject({ code: "CONFIG_INVALID", details: { found: 0 } });
    const module = import.meta.url;
    const missing = await rejection(loadJobs({ module, exportName: "nothing" }));
    expect(missing).toMatchObject({ code: "CONFIG_INVALID", details: { exportName: "nothing" } });
  });
});
