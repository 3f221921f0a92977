/** A thread blocked in native code, which nothing can end: it is cut off, replaced and counted. */
import { execFileSync, spawn } from "node:child_process";
import { closeSync, constants, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { rejection, until } from "../unit/runtime/support.ts";
import { startPair } from "./dying.ts";

const RETRY = { deadlineMs: 8_000, onRestart: "retry" } as const;
const PROCESS = fileURLToPath(new URL("../fixtures/zombie-process.mjs", import.meta.url));

let folder: string;
let fifo: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "zombie-"));
  fifo = join(folder, "fifo");
  execFileSync("mkfifo", [fifo]);
});

afterEach(() => rmSync(folder, { recursive: true }));

/** Opens the other end, so that whoever is blocked in its opening goes on. */
function unblock(): void {
  closeSync(openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK));
}

describe("a thread that cannot be ended", () => {
  it("is cut off and replaced, and struck off the count when it ends after all", async () => {
    const pair = await startPair({ spares: 1 });
    await until(() => pair.system.spares === 1, 8_000);
    const waiting = rejection(pair.sibling.call("wait", null, { deadlineMs: 9_000 }));
    try {
      pair.victim.cast("openFifo", fifo);
      await until(() => pair.find("zombie") !== undefined, 5_000);
      expect(pair.system.zombies).toBe(1);
      expect((await waiting).code).toBe("ACTOR_RESTARTING");
      expect(await pair.victim.call("starts", null, RETRY)).toBe(2);
      expect(await pair.neighbour.call("starts", null, RETRY)).toBe(1);
      expect(pair.find("thread-exit")?.cause).toContain("left behind");
      expect(pair.find("actor-stuck")).toMatchObject({ actor: "victim", message: "openFifo" });
    } finally {
      unblock();
    }
    await until(() => pair.system.zombies === 0, 5_000);
    expect(pair.find("zombie-ended")).toMatchObject({ thread: "left", zombies: 0 });
    expect(await pair.victim.call("starts", null, RETRY)).toBe(2);
  });
});

describe("a process with such a thread", () => {
  it.each(["stopped", "running"])("ends within 2 s, its system %s before", async (before) => {
    const reasonFile = join(folder, "exit-reason.json");
    const child = spawn(process.execPath, [PROCESS, fifo, reasonFile, before]);
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
    await until(() => output.includes("zombies"), 10_000);
    const began = performance.now();
    const signal = await new Promise<NodeJS.Signals | null>((resolve) => {
      const limit = setTimeout(() => child.kill("SIGTERM"), 5_000);
      child.once("exit", (_code, by) => {
        clearTimeout(limit);
        resolve(by);
      });
    });
    expect(signal).toBe("SIGKILL");
    expect(performance.now() - began).toBeLessThan(2_000);
    expect(output).toContain(`zombies ${before === "stopped" ? 1 : 0}`);
    expect(output).toContain("flushed true");
    const reason: unknown = JSON.parse(readFileSync(reasonFile, "utf8"));
    expect(reason).toMatchObject({ exitCode: 5, zombies: ["left"] });
  });
});
