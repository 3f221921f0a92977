/** Threads that hang, and those that only seem to, on real threads. */
import { describe, expect, it } from "vitest";
import { DyingProtocol, dying } from "../fixtures/actors/dying-actors.mjs";
import { hasty } from "../fixtures/actors/hasty-actor.mjs";
import { rejection, until } from "../unit/runtime/support.ts";
import { actor, startThreads, supervisor } from "./built.ts";
import { startPair } from "./dying.ts";

const RETRY = { deadlineMs: 8_000, onRestart: "retry" } as const;

function block(forMs: number): void {
  const endsAt = performance.now() + forMs;
  while (performance.now() < endsAt);
}

describe("an actor that holds its thread too long", () => {
  it("is named, and its thread is replaced", async () => {
    const pair = await startPair({ spares: 1 });
    await until(() => pair.system.spares === 1, 8_000);
    const tookMs: number[] = [];
    for (let round = 0; round < 3; round++) {
      await until(() => pair.system.spares === 1, 8_000);
      await new Promise((resolve) => setTimeout(resolve, 100));
      const { restarts } = pair.system;
      const began = performance.now();
      pair.victim.cast("die", "loop");
      await until(() => pair.system.restarts > restarts, 3_000);
      await pair.victim.call("echo", 1, RETRY);
      tookMs.push(performance.now() - began);
    }
    expect(pair.find("actor-stuck")).toMatchObject({
      ...{ thread: "left", actor: "victim", message: "die" },
    });
    const ageMs = pair.find("actor-stuck")?.ageMs ?? 0;
    expect(ageMs).toBeGreaterThanOrEqual(100);
    expect(Math.min(...tookMs)).toBeLessThan(5_000);
  });

  it("keeps its thread and its neighbours when it heeds its token", async () => {
    const pair = await startPair();
    expect(await pair.victim.call("heed", 5_000, { deadlineMs: 8_000 })).toEqual({ heeded: true });
    await until(() => pair.system.restarts === 1, 3_000);
    expect(await pair.victim.call("starts", null, RETRY)).toBe(2);
    expect(await pair.sibling.call("starts", null, RETRY)).toBe(1);
    expect(pair.find("thread-exit")).toBeUndefined();
    expect(pair.find("crashed")).toMatchObject({
      actor: "victim",
      error: { code: "HANDLER_TIMEOUT" },
    });
  });
});

describe("an actor is not stuck", () => {
  it("while it waits, or works in pieces with turns of the loop between", async () => {
    const pair = await startPair();
    void pair.victim.call("wait", null, { deadlineMs: 8_000 }).catch(() => {});
    await pair.sibling.call("pieces", { pieceMs: 20, count: 40 }, { deadlineMs: 8_000 });
    expect(pair.find("actor-stuck")).toBeUndefined();
    expect(pair.find("thread-exit")).toBeUndefined();
  });

  it("because the main thread stood still for a second", async () => {
    const pair = await startPair();
    const order = { pieceMs: 10, count: 150 };
    const working = pair.victim.call("pieces", order, { deadlineMs: 8_000 });
    await pair.sibling.call("echo", 1, RETRY);
    block(1_000);
    await working;
    expect(pair.find("actor-stuck")).toBeUndefined();
    expect(pair.system.restarts).toBe(0);
  });
});

describe("an actor that never answers", () => {
  it("is failed alone when its definition has a limit", async () => {
    const pair = await startPair({}, hasty);
    const began = performance.now();
    const error = await rejection(pair.victim.call("wait", null, { deadlineMs: 8_000 }));
    expect(error.code).toBe("HANDLER_TIMEOUT");
    expect(performance.now() - began).toBeLessThan(1_000);
    expect(await pair.victim.call("starts", null, RETRY)).toBe(2);
    expect(await pair.sibling.call("starts", null, RETRY)).toBe(1);
    expect(pair.find("thread-exit")).toBeUndefined();
  });
});

describe("a stop", () => {
  it("that is ignored is enforced at its limit, and the whole ends within the sum", async () => {
    const config = () => ({ stubborn: true });
    const { system, events } = await startThreads(
      supervisor({
        children: {
          one: actor(dying, { thread: "left", config }),
          two: actor(dying, { thread: "right", config }),
        },
      }),
    );
    await system.ref(DyingProtocol, "one").call("echo", 1, RETRY);
    const began = performance.now();
    await system.stop({ graceMs: 10_000 });
    // Two actors of 200 ms each, and what ending two threads takes.
    expect(performance.now() - began).toBeLessThan(2 * (200 + 100) + 500);
    expect(events.filter(({ kind }) => kind === "thread-exit")).toHaveLength(2);
  });
});
