import { fork } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { rejection, until } from "../unit/runtime/support.ts";
import { start } from "./pool-support.ts";

const DEADLINE = { deadlineMs: 5_000 };
const PARENT = fileURLToPath(new URL("../fixtures/pool/parent.mjs", import.meta.url));

/** True while the process runs; one that only waits to be collected does not. */
function runs(pid: number): boolean {
  const path = `/proc/${pid}/status`;
  if (existsSync("/proc/self/status")) {
    return existsSync(path) && !/^State:\s+Z/m.test(readFileSync(path, "utf8"));
  }
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

it.each([
  ["aborts", "abort", null, "SIGABRT"],
  ["violates its memory", "kill", "SIGSEGV", "SIGSEGV"],
  ["is killed from outside", "kill", "SIGKILL", "SIGKILL"],
] as const)(
  "a job that %s is lost alone, and its process is replaced",
  async (_, name, input, signal) => {
    const pool = await start({ kind: "process", workers: 2 });
    const neighbour = pool.run("wait", { limitMs: 150 }, DEADLINE);
    const error = await rejection(pool.run(name, input as never, DEADLINE));
    expect(error).toMatchObject({ code: "JOB_LOST", details: { cause: signal } });
    expect(await neighbour).toBe("waited");
    const both = [pool.run("double", 1, DEADLINE), pool.run("double", 2, DEADLINE)];
    expect(await Promise.all(both)).toEqual([2, 4]);
    expect(pool.account()).toMatchObject({ submitted: 4, failed: 1, completed: 3 });
    await until(() => pool.statistics().replaced === 1);
  },
);

it("a process lives on over jobs that end well", async () => {
  const pool = await start({ kind: "process" });
  const pids = new Set<number>();
  for (let n = 0; n < 5; n++) pids.add((await pool.run("context", null, DEADLINE)).pid);
  expect(pids.size).toBe(1);
  expect(pids.has(process.pid)).toBe(false);
});

it("no process outlives a parent that is killed, not even one that computes for ever", async () => {
  const parent = fork(PARENT, [], { stdio: ["ignore", "ignore", "ignore", "ipc"] });
  const [pids] = (await once(parent, "message")) as [number[]];
  expect(pids.map(runs)).toEqual([true, true]);
  const ended = once(parent, "exit");
  parent.kill("SIGKILL");
  await ended;
  await until(() => !pids.some(runs), 3_000);
  expect(pids.map(runs)).toEqual([false, false]);
});
