/** Loaded threads without an identity that take the place of dead ones. */
import { describe, expect, it } from "vitest";
import { rejection, until } from "../unit/runtime/support.ts";
import { type Pair, startPair } from "./dying.ts";

const roll = await import("../../dist/runtime/thread/thread-roll.js");
const RETRY = { deadlineMs: 8_000, onRestart: "retry" } as const;

/** From the crash to the first answer of the replacement, in milliseconds. */
async function recover(pair: Pair, crash: () => void): Promise<number> {
  const { restarts } = pair.system;
  const began = performance.now();
  crash();
  await until(() => pair.system.restarts >= restarts + 2, 5_000);
  await pair.victim.call("echo", 1, RETRY);
  return performance.now() - began;
}

describe("a spare", () => {
  it("takes the place of a dead thread many times, and is made anew each time", async () => {
    const pair = await startPair({ spares: 2 });
    const tookMs: number[] = [];
    for (let round = 0; round < 8; round++) {
      await until(() => pair.system.spares === 2, 8_000);
      tookMs.push(await recover(pair, () => pair.system.kill("victim")));
      expect(pair.system.spares).toBeLessThan(2);
    }
    tookMs.sort((one, other) => one - other);
    expect(tookMs[4]).toBeLessThan(5_000);
    expect(await pair.victim.call("starts", null, RETRY)).toBe(9);
    expect(await pair.neighbour.call("starts", null, RETRY)).toBe(1);
  });

  it("is kept for each heap limit, and only threads that may have one take it", async () => {
    const pair = await startPair({
      spares: 1,
      threadOptions: { left: { heapLimitMb: 64 }, right: { spare: false } },
    });
    await until(() => pair.system.spares === 1, 8_000);
    pair.system.kill("neighbour");
    await until(() => pair.system.restarts === 1, 5_000);
    expect(pair.system.spares).toBe(1);
    pair.system.kill("victim");
    await until(() => pair.system.restarts === 3, 5_000);
    expect(pair.system.spares).toBe(0);
    pair.victim.cast("die", "heap");
    await until(() => pair.system.restarts === 5, 8_000);
    const exits = pair.events.flatMap((event) => (event.kind === "thread-exit" ? event.cause : []));
    expect(exits.at(-1)).toContain("memory limit");
  });

  it("ends with its system: no thread is left", async () => {
    const pair = await startPair({ spares: 2 });
    await until(() => pair.system.spares === 2, 8_000);
    expect(roll.liveThreads().filter((name: string) => name === "spare")).toHaveLength(2);
    await pair.system.stop({ graceMs: 3_000 });
    expect(roll.liveThreads()).toEqual([]);
  });
});

describe("the options of threads are refused", () => {
  it.each([
    [{ threadOptions: { middle: {} } }, "topology threads.middle: no actor is placed on"],
    [{ threadOptions: { main: { stuckMs: 100 } } }, "topology threads.main: the main thread"],
    [{ threadOptions: { left: { stuckMs: 10 } } }, "topology threads.left.stuckMs is 10; allowed"],
    [{ threadOptions: { left: { graceMs: -1 } } }, "topology threads.left.graceMs is -1; allowed"],
    [{ threadOptions: { left: { heapLimitMb: 1 } } }, "threads.left.heapLimitMb is 1; allowed"],
    [{ threadOptions: { left: { stuckMs: Number.NaN } } }, "threads.left.stuckMs is NaN"],
    [{ spares: 1.5 }, "topology spares is 1.5; allowed: a whole number from 0 to 16"],
    [{ spares: 17 }, "topology spares is 17"],
  ])("%j", async (options, text) => {
    const error = await rejection(startPair(options) as Promise<unknown>);
    expect(error).toMatchObject({ code: "CONFIG_INVALID" });
    expect(error.message).toContain(text);
  });
});
