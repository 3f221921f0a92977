/** Every way in which an actor or its thread can end: it comes back, and nothing is lost unseen. */
import { describe, expect, it } from "vitest";
import { rejection, until } from "../unit/runtime/support.ts";
import { type Pair, QUICK, startPair } from "./dying.ts";

const CASTS = 200;
const RETRY = { deadlineMs: 8_000, onRestart: "retry" } as const;

/** Keeps the neighbour answering while the victim dies; the longest of its answers. */
function watchNeighbour({ neighbour }: Pair): () => Promise<number> {
  let going = true;
  const longest = (async () => {
    let mostMs = 0;
    while (going) {
      const began = performance.now();
      await neighbour.call("echo", 1, { deadlineMs: 2_000 });
      mostMs = Math.max(mostMs, performance.now() - began);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return mostMs;
  })();
  return () => {
    going = false;
    return longest;
  };
}

/** Casts before and after the death: each is counted by the actor, or is a dead letter. */
async function expectAccount(pair: Pair, deaths: number): Promise<void> {
  for (let index = 0; index < CASTS; index++) pair.victim.cast("count", 1);
  await pair.victim.call("echo", 0, RETRY);
  await until(() => pair.counted() + pair.deadCasts() >= 2 * CASTS + deaths, 3_000);
  expect(pair.counted() + pair.deadCasts()).toBe(2 * CASTS + deaths);
}

describe("a handler that ends by", () => {
  it.each(["error", "nonError", "unprintable", "bare", "uncloneable", "overflow", "reject"])(
    "%s restarts its actor in its thread, and the message is quarantined",
    async (how) => {
      const pair = await startPair();
      const stop = watchNeighbour(pair);
      const failing = await rejection(pair.victim.call("dieAnswering", how, RETRY));
      expect(failing.code).toBe("HANDLER_FAILED");
      expect(await pair.victim.call("starts", null, RETRY)).toBe(2);
      for (let index = 0; index < CASTS; index++) pair.victim.cast("count", 1);
      pair.victim.cast("die", how);
      await until(() => pair.deadCasts() === 1, 3_000);
      await expectAccount(pair, 1);
      expect(await stop()).toBeLessThan(500);
      expect(pair.find("thread-exit")).toBeUndefined();
      expect(pair.find("dead-letter")).toMatchObject({ message: "die", reason: "quarantined" });
    },
  );
});

const CAUSES: Record<string, string> = {
  exit: "exit code 7",
  heap: "memory limit",
  rejected: "TypeError: nobody waits for it",
  thrownOutside: "RangeError: thrown",
  nonErrorOutside: "only a text",
  unprintableOutside: "without a text",
  bareOutside: "without a text",
  uncloneableOutside: "with a function",
  overflowOutside: "Maximum call stack size exceeded",
  loop: "stuck for",
  caughtLoop: "stuck for",
  atomicsWait: "stuck for",
  regex: "stuck for",
  afterAwait: "stuck for",
  microtasks: "stuck for",
};

/** The handler is done before the thread ends: its message is no dead letter. */
const AFTERWARDS = /Outside$|^rejected$/;

describe("a thread that ends by", () => {
  it.each(Object.keys(CAUSES))("%s is replaced, and the others go on", async (how) => {
    // A leak takes its time to fill the heap; nobody is stuck meanwhile.
    const left = how === "heap" ? { stuckMs: 8_000 } : QUICK;
    const pair = await startPair({ spares: 1, heapLimitMb: 48, threadOptions: { left } });
    await until(() => pair.system.spares === 1, 8_000);
    const stop = watchNeighbour(pair);
    const settledAt: number[] = [];
    const waiting = [1, 2, 3].map(async () => {
      const error = await rejection(pair.sibling.call("wait", null, { deadlineMs: 9_000 }));
      settledAt.push(performance.now());
      return error.code;
    });
    for (let index = 0; index < CASTS; index++) pair.victim.cast("count", 1);
    pair.victim.cast("die", how);
    await until(() => pair.find("thread-exit") !== undefined, 8_000);
    const exitAt = performance.now();
    expect(await Promise.all(waiting)).toEqual(Array(3).fill("ACTOR_RESTARTING"));
    expect(Math.max(...settledAt) - exitAt).toBeLessThan(50);
    expect(await pair.victim.call("starts", null, RETRY)).toBe(2);
    expect(pair.find("thread-exit")?.cause).toContain(CAUSES[how]);
    await expectAccount(pair, AFTERWARDS.test(how) ? 0 : 1);
    expect(await stop()).toBeLessThan(500);
    expect(pair.system.zombies).toBe(0);
    const right = pair.system.status().find(({ name }) => name === "neighbour");
    expect(right?.starts).toBe(1);
  });
});
