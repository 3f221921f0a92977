import { describe, expect, it } from "vitest";
import { rejection, until } from "../unit/runtime/support.ts";
import { CancellationToken, cancelledAfter, pause, sharedWord, start } from "./pool-support.ts";

const DEADLINE = { deadlineMs: 5_000 };
/** What keeps this process busy; the timers are those of the test runner. */
const resources = (): string[] =>
  process
    .getActiveResourcesInfo()
    .filter((kind) => kind !== "Timeout")
    .sort();

const KINDS = [
  ["threads of their own", { kind: "threads" }],
  ["shared threads", { kind: "threads", cooperative: true }],
  ["processes", { kind: "process" }],
] as const;

describe.each(KINDS)("jobs in %s", (_, options) => {
  it("give their results, in whatever form structured clone can carry", async () => {
    const pool = await start(options);
    const values = [1, "text", null, new Map([[1, new Date(5)]]), new Uint8Array([1, 2])];
    for (const value of values) expect(await pool.run("echo", value, DEADLINE)).toEqual(value);
    expect(await pool.run("doubleLater", 4, DEADLINE)).toBe(8);
    const results = Array.from({ length: 300 }, (_each, n) => pool.run("double", n, DEADLINE));
    expect(await Promise.all(results)).toEqual(results.map((_each, n) => 2 * n));
    const failures = { failed: 0, cancelled: 0, timedOut: 0, queued: 0, running: 0 };
    expect(pool.account()).toEqual({ ...failures, submitted: 306, completed: 306 });
  });

  it("keep the code, the name and the text of what they throw", async () => {
    const pool = await start(options);
    expect(await rejection(pool.run("throwCoded", null, DEADLINE))).toMatchObject({
      ...{ code: "BLUEPRINT_UNKNOWN", details: { id: "x" } },
    });
    const plain = await rejection(pool.run("throwPlain", null, DEADLINE));
    expect(plain).toMatchObject({ code: "HANDLER_FAILED", message: "RangeError: out of range" });
    for (const name of ["throwOdd", "reject", "overflow"] as const) {
      expect((await rejection(pool.run(name, null, DEADLINE))).code).toBe("HANDLER_FAILED");
    }
    expect((await rejection(pool.run("throwUncloneable", null, DEADLINE))).code).toBe(
      "DATA_INVALID",
    );
    expect(pool.statistics().replaced).toBe(0);
  });

  it("say which input or result cannot be sent, and spare the jobs beside it", async () => {
    const pool = await start(options);
    const beside = [pool.run("double", 1, DEADLINE), pool.run("doubleLater", 2, DEADLINE)];
    const bad = [
      rejection(pool.run("echo", () => 1, DEADLINE)),
      rejection(pool.run("giveUncloneable", "function", DEADLINE)),
      rejection(pool.run("giveUncloneable", "memory", DEADLINE)),
    ];
    beside.push(pool.run("double", 3, DEADLINE));
    for (const error of await Promise.all(bad)) expect(error.code).toBe("NOT_TRANSFERABLE");
    expect(await Promise.all(beside)).toEqual([2, 4, 6]);
  });

  it.each([
    ["exits", "exit", 3, /exit.* code:? 3/],
    ["leaves a rejection alone", "unhandled", null, /nobody waits for me|exit code 1/],
  ] as const)(
    "are lost when their worker %s, and the next one runs",
    async (_how, name, input, why) => {
      const pool = await start(options);
      const error = await rejection(pool.run(name, input as never, DEADLINE));
      expect(error).toMatchObject({ code: "JOB_LOST" });
      expect(error.message).toMatch(why);
      expect(await pool.run("double", 4, DEADLINE)).toBe(8);
      expect(pool.account()).toMatchObject({ submitted: 2, failed: 1, completed: 1 });
      await until(() => pool.statistics().replaced === 1);
    },
  );

  it("survive what a job left behind that throws between two jobs", async () => {
    const pool = await start(options);
    expect(await pool.run("later", null, DEADLINE)).toBe("answered");
    await until(() => pool.statistics().replaced === 1);
    expect(await pool.run("double", 4, DEADLINE)).toBe(8);
  });

  it("hear of a cancellation while they wait", async () => {
    const pool = await start({ ...options, graceMs: 3_000 });
    const token = cancelledAfter(30);
    const began = performance.now();
    const error = await rejection(pool.run("wait", { limitMs: 4_000 }, { ...DEADLINE, token }));
    expect(error.code).toBe("CANCELLED");
    expect(performance.now() - began).toBeLessThan(1_000);
    expect(pool.statistics()).toMatchObject({ forced: 0, lingering: 0 });
  });

  it("are refused when too many wait", async () => {
    const pool = await start({ ...options, queueCapacity: 2 });
    const token = new CancellationToken();
    const runs = Array.from({ length: 600 }, () =>
      rejection(pool.run("wait", { limitMs: 4_000 }, { ...DEADLINE, token })),
    );
    token.cancel();
    const codes = (await Promise.all(runs)).map(({ code }) => code);
    const refused = codes.filter((code) => code === "BACKLOG_FULL").length;
    expect(refused).toBeGreaterThan(0);
    expect(codes.filter((code) => code === "CANCELLED")).toHaveLength(600 - refused);
    expect(pool.account()).toMatchObject({ submitted: 600 - refused, cancelled: 600 - refused });
    expect(pool.statistics().refused).toBe(refused);
  });

  it("see a part of the environment only", async () => {
    process.env["ESPER_POOL_TEST_SECRET"] = "secret";
    const pool = await start({ ...options, environment: { CHOSEN: "1" } });
    const { environment, leftMs, name } = await pool.run("context", null, DEADLINE);
    expect(environment).toMatchObject({ PATH: process.env["PATH"], CHOSEN: "1" });
    expect(Object.keys(environment)).not.toContain("ESPER_POOL_TEST_SECRET");
    expect(name).toBe("context");
    expect(leftMs).toBeGreaterThan(3_000);
    expect(leftMs).toBeLessThan(5_100);
  });
});

describe.each([KINDS[0], KINDS[2]])("a job that ignores its token, in %s", (_, options) => {
  it("goes with its worker after the grace, and its neighbour does not", async () => {
    const pool = await start({ ...options, workers: 2 });
    const token = cancelledAfter(150);
    const neighbour = pool.run("burn", 500_000, DEADLINE);
    const began = performance.now();
    const error = await rejection(pool.run("loop", null, { ...DEADLINE, token }));
    expect(error.code).toBe("CANCELLED");
    expect(performance.now() - began).toBeGreaterThanOrEqual(200);
    expect(await neighbour).toBe(500_000);
    expect(pool.statistics()).toMatchObject({ forced: 1, lingering: 0 });
    await until(() => pool.statistics().replaced === 1);
  });

  it("settles at its deadline, and its worker is free again after the grace", async () => {
    const pool = await start(options);
    const began = performance.now();
    const error = await rejection(pool.run("loop", null, { deadlineMs: 80 }));
    expect(error.code).toBe("DEADLINE_EXCEEDED");
    expect(performance.now() - began).toBeLessThan(400);
    expect(await pool.run("double", 4, DEADLINE)).toBe(8);
    expect(pool.account()).toMatchObject({ submitted: 2, timedOut: 1, completed: 1 });
  });

  it("is lost when it takes more memory than it may", async () => {
    const pool = await start({ ...options, heapLimitMb: 32 });
    const error = await rejection(pool.run("exhaust", null, DEADLINE));
    expect(error).toMatchObject({ code: "JOB_LOST" });
    expect(error.message).toMatch(/memory|SIGABRT/);
    expect(await pool.run("double", 4, DEADLINE)).toBe(8);
  });
});

describe("a job in a thread", () => {
  it("takes the buffers that move with its input", async () => {
    for (const cooperative of [true, false]) {
      const pool = await start({ cooperative });
      const bytes = new Uint8Array(1_000).fill(3);
      const run = pool.run("sum", bytes, { ...DEADLINE, transfer: [bytes.buffer] });
      expect(await run).toBe(3_000);
      expect(bytes.byteLength).toBe(0);
      const twice = await rejection(
        pool.run("sum", bytes, { ...DEADLINE, transfer: [bytes.buffer] }),
      );
      expect(twice.code).toBe("NOT_TRANSFERABLE");
      const shared = new ArrayBuffer(8);
      const both = [1, 2].map(() =>
        pool.run("echo", shared, { ...DEADLINE, transfer: [shared] }).then(
          () => "moved",
          (error) => error.code,
        ),
      );
      expect(await Promise.all(both)).toEqual(["moved", "NOT_TRANSFERABLE"]);
    }
  });

  it("sees its token in the middle of a computation", async () => {
    const pool = await start({ graceMs: 3_000 });
    const began = performance.now();
    const token = cancelledAfter(30);
    const error = await rejection(pool.run("spin", { limitMs: 4_000 }, { ...DEADLINE, token }));
    expect(error.code).toBe("CANCELLED");
    expect(performance.now() - began).toBeLessThan(1_000);
    expect(pool.statistics()).toMatchObject({ forced: 0, discarded: 1 });
  });

  it("has no effect any more once its cancellation is answered", async () => {
    const pool = await start({ graceMs: 20 });
    for (const stubborn of [false, true]) {
      const { word, read } = sharedWord();
      const job = { word, stubborn, limitMs: 4_000 };
      const token = cancelledAfter(40);
      const error = await rejection(pool.run("count", job, { ...DEADLINE, token }));
      expect(error.code).toBe("CANCELLED");
      const atTheEnd = read();
      expect(atTheEnd).toBeGreaterThan(0);
      await pause(30);
      expect(read()).toBe(atTheEnd);
    }
  });

  it("keeps its loop of events: what awaits goes on while nothing new comes", async () => {
    const pool = await start();
    expect(await pool.run("wait", { limitMs: 20 }, DEADLINE)).toBe("waited");
  });
});

describe("a shared thread", () => {
  it("goes on with the other jobs while one waits", async () => {
    const pool = await start({ cooperative: true });
    const waiting = pool.run("wait", { limitMs: 400 }, DEADLINE);
    const began = performance.now();
    for (let n = 0; n < 20; n++) expect(await pool.run("double", n, DEADLINE)).toBe(2 * n);
    expect(performance.now() - began).toBeLessThan(350);
    expect(await waiting).toBe("waited");
  });

  it("never forces a job, though its caller does not wait for it for ever", async () => {
    const pool = await start({ cooperative: true });
    const token = cancelledAfter(20);
    const error = await rejection(pool.run("deaf", { limitMs: 300 }, { ...DEADLINE, token }));
    expect(error.code).toBe("CANCELLED");
    expect(pool.statistics()).toMatchObject({ forced: 0, lingering: 1, replaced: 0 });
    expect(await pool.run("double", 4, DEADLINE)).toBe(8);
    await pause(350);
    expect(pool.statistics()).toMatchObject({ lingering: 0, discarded: 1, replaced: 0 });
  });
});

describe("a shared thread that answers nothing", () => {
  it("is replaced, and only what was in it is lost", async () => {
    const pool = await start({ cooperative: true, workers: 2 });
    const stuck = rejection(pool.run("loop", null, { deadlineMs: 40 }));
    await pause(20);
    const runs = Array.from({ length: 40 }, (_, n) =>
      pool.run("double", n, DEADLINE).catch((error) => error.code),
    );
    expect((await stuck).code).toBe("DEADLINE_EXCEEDED");
    const ends = await Promise.all(runs);
    expect(ends.every((end, n) => end === 2 * n || end === "JOB_LOST")).toBe(true);
    expect(ends.filter((end) => typeof end === "number").length).toBeGreaterThanOrEqual(20);
    expect(await pool.run("double", 4, DEADLINE)).toBe(8);
    await until(() => pool.statistics().replaced === 1, 4_000);
    expect(pool.statistics()).toMatchObject({ forced: 0, lingering: 0 });
  });
});

describe("closing a pool", () => {
  it.each(KINDS)("of jobs in %s ends its workers and leaves nothing behind", async (_, options) => {
    const before = resources();
    const pool = await start({ ...options, workers: 2, graceMs: 40 });
    const runs = [
      ...[1, 2].map(() => rejection(pool.run("deaf", { limitMs: 9_000 }, { deadlineMs: 9_000 }))),
      rejection(pool.run("loop", null, { deadlineMs: 9_000 })),
    ];
    await pause(20);
    const began = performance.now();
    await pool.close();
    expect(performance.now() - began).toBeLessThan(1_500);
    expect((await Promise.all(runs)).map(({ code }) => code)).toEqual(runs.map(() => "CANCELLED"));
    expect((await rejection(pool.run("double", 1, DEADLINE))).code).toBe("POOL_CLOSED");
    await pause(10);
    expect(resources()).toEqual(before);
  });

  it("is not needed after a pool that could not be opened", async () => {
    const before = resources();
    for (const [, options] of KINDS) {
      const error = await rejection(start({ ...options, workers: -1 }));
      expect(error.code).toBe("CONFIG_INVALID");
    }
    expect(resources()).toEqual(before);
  });
});
