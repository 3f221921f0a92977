import { describe, expect, it } from "vitest";
import type { RestartKind } from "../../../src/runtime/actor.ts";
import { ActorSystem } from "../../../src/runtime/thread/system.ts";
import { actor, supervisor } from "../../../src/runtime/topology.ts";
import { createMemory, ProbeProtocol, probe } from "../../fixtures/actors/probe.ts";
import { rejection, startInline, testRun, until } from "./support.ts";

const DEADLINE = { deadlineMs: 2_000 };

describe.each(["main", "side"])("an actor on the thread %s", (thread) => {
  it.each(["bug", "unknown"] as const)("crashes on a %s, and is back", async (how) => {
    const memory = createMemory();
    const tree = supervisor({ children: { one: actor(probe(memory), { thread }) } });
    const { system, events } = await startInline(tree);
    const ref = system.ref(ProbeProtocol, "one");
    const error = await rejection(ref.call("fail", { how }, DEADLINE));
    expect(error.code).toBe("HANDLER_FAILED");
    // The mailbox is kept: this call waits for the restart instead of failing.
    const after = await ref.call("noted", null, DEADLINE);
    expect(after).toMatchObject({ starts: 2, stops: 1 });
    expect(system.restarts).toBe(1);
    expect(events.map(({ kind }) => kind)).toContain("restarted");
  });

  it("answers a fatal coded error with its code, then restarts", async () => {
    const tree = supervisor({ children: { one: actor(probe(), { thread }) } });
    const { system } = await startInline(tree);
    const ref = system.ref(ProbeProtocol, "one");
    expect((await rejection(ref.call("fail", { how: "fatal" }, DEADLINE))).code).toBe(
      "WAL_POISONED",
    );
    expect((await ref.call("noted", null, DEADLINE)).starts).toBe(2);
  });

  it("delivers a poisonous cast twice, quarantines it, and loses nothing else", async () => {
    const memory = createMemory();
    const tree = supervisor({ children: { one: actor(probe(memory), { thread }) } });
    const { system, events } = await startInline(tree);
    const ref = system.ref(ProbeProtocol, "one");
    for (let value = 0; value < 50; value++) ref.cast("note", value);
    ref.cast("poison", 1_000);
    for (let value = 50; value < 100; value++) ref.cast("note", value);
    await until(() => memory.notes.includes(99));
    const plain = memory.notes.filter((value) => value < 1_000);
    expect(plain).toEqual(Array.from({ length: 100 }, (_, index) => index));
    expect(memory.notes.filter((value) => value === 1_000)).toHaveLength(2);
    const dead = events.filter((event) => event.kind === "dead-letter");
    expect(dead).toEqual([
      expect.objectContaining({ reason: "quarantined", message: "poison", count: 1 }),
    ]);
    expect(system.restarts).toBe(2);
  });

  it("crashes when a timer throws, and cancels the timers of the life before", async () => {
    const memory = createMemory();
    const tree = supervisor({ children: { one: actor(probe(memory), { thread }) } });
    const { system } = await startInline(tree);
    const ref = system.ref(ProbeProtocol, "one");
    ref.cast("timer", { throws: true });
    await until(() => system.restarts === 1);
    ref.cast("timer", { throws: false });
    const gone = await rejection(ref.call("fail", { how: "bug" }, DEADLINE));
    expect(gone.code).toBe("HANDLER_FAILED");
    await ref.call("slow", { delayMs: 20 }, DEADLINE);
    expect(memory.notes).toEqual([-1]);
  });

  it("fails at the operator's wish", async () => {
    const tree = supervisor({ children: { one: actor(probe(), { thread }) } });
    const { system, events } = await startInline(tree);
    system.crash("one");
    await until(() => system.restarts === 1);
    expect(events).toContainEqual(expect.objectContaining({ kind: "crashed", actor: "one" }));
  });

  it("logs a coded error of a cast and goes on", async () => {
    const tree = supervisor({ children: { one: actor(probe(), { thread }) } });
    const { system, logs } = await startInline(tree);
    const ref = system.ref(ProbeProtocol, "one");
    ref.cast("refuse", 1);
    await ref.call("echo", 1, DEADLINE);
    expect(logs).toContainEqual(expect.objectContaining({ actor: "one", code: "COMMAND_INVALID" }));
    expect(system.status()[0]).toMatchObject({ failed: 1, restarts: 0 });
  });
});

describe("the death of a thread", () => {
  function tree(memory = createMemory()) {
    return supervisor({
      children: {
        one: actor(probe(memory), { thread: "side" }),
        two: actor(probe(), { thread: "side" }),
        other: actor(probe(), { thread: "main" }),
      },
    });
  }

  it("settles waiting calls at once, counts lost casts, and restarts its actors", async () => {
    const memory = createMemory();
    const { system, events } = await startInline(tree(memory));
    const ref = system.ref(ProbeProtocol, "one");
    const waiting = rejection(ref.call("slow", { delayMs: 1_000 }, DEADLINE));
    await until(() => system.status()[0]?.mailboxDepth === 0);
    for (let value = 0; value < 7; value++) ref.cast("note", value);
    const began = performance.now();
    system.kill("one");
    expect((await waiting).code).toBe("ACTOR_RESTARTING");
    expect(performance.now() - began).toBeLessThan(400);
    await until(() => system.restarts === 2);
    expect(system.status().map(({ starts }) => starts)).toEqual([2, 2, 1]);
    expect(memory.notes).toEqual([]);
    const dead = events.flatMap((event) =>
      event.kind === "dead-letter" && event.reason === "crashed-actor" ? [event.count] : [],
    );
    expect(dead.reduce((sum, count) => sum + count, 0)).toBe(7);
    // One death, one failure of the supervisor, though two actors died of it.
    expect(events.filter(({ kind }) => kind === "thread-exit")).toHaveLength(1);
  });

  it("is waited out by a call that says so, and not by one that does not", async () => {
    const { system } = await startInline(tree());
    const ref = system.ref(ProbeProtocol, "one");
    system.kill("one");
    await Promise.resolve();
    const failing = rejection(ref.call("echo", 1, DEADLINE));
    const retrying = ref.call("echo", 2, { deadlineMs: 2_000, onRestart: "retry" });
    expect((await failing).code).toBe("ACTOR_RESTARTING");
    expect(await retrying).toBe(2);
  });

  it("cannot be asked for on the main thread", async () => {
    const { system } = await startInline(tree());
    expect(() => system.kill("other")).toThrow(/main thread/);
    expect(() => system.kill("nobody")).toThrow(/there are one, two, other/);
  });
});

describe("giving up", () => {
  it("ends the system when the root has no more patience", async () => {
    const memory = createMemory();
    const tree = supervisor({
      intensity: 2,
      children: {
        one: actor(probe(memory), { thread: "main" }),
        two: actor(probe(), { thread: "side" }),
      },
    });
    const { system, events } = await startInline(tree);
    const ref = system.ref(ProbeProtocol, "one");
    for (let crash = 0; crash < 3; crash++) {
      await rejection(ref.call("fail", { how: "bug" }, DEADLINE));
    }
    const end = await system.finished;
    expect(end).toMatchObject({ outcome: "gave-up", error: { code: "SUPERVISOR_GAVE_UP" } });
    expect(end.outcome === "gave-up" && end.error.message).toContain("one is two");
    expect(events.filter(({ kind }) => kind === "gave-up")).toHaveLength(1);
    expect((await rejection(ref.call("echo", 1, DEADLINE))).code).toBe("ACTOR_STOPPED");
    expect(system.status().every(({ state }) => state === "stopped")).toBe(true);
  });

  it("restarts the whole group when only a child supervisor gave up", async () => {
    const tree = supervisor({
      children: {
        group: supervisor({
          intensity: 0,
          children: {
            one: actor(probe(), { thread: "main" }),
            two: actor(probe(), { thread: "side" }),
          },
        }),
        other: actor(probe(), { thread: "main" }),
      },
    });
    const { system } = await startInline(tree);
    await rejection(system.ref(ProbeProtocol, "one").call("fail", { how: "bug" }, DEADLINE));
    await until(() => system.restarts === 2);
    await until(() => system.status().every(({ state }) => state === "running"));
    expect(system.status().map(({ starts }) => starts)).toEqual([2, 2, 1]);
  });

  it.each([
    ["temporary", "stopped"],
    ["transient", "running"],
  ] as [RestartKind, string][])("treats a crashed %s actor as %s", async (restart, state) => {
    const definition = probe(createMemory(), { supervision: { restart } });
    const tree = supervisor({ children: { one: actor(definition, { thread: "main" }) } });
    const { system } = await startInline(tree);
    const ref = system.ref(ProbeProtocol, "one");
    await rejection(ref.call("fail", { how: "bug" }, DEADLINE));
    await until(() => system.status()[0]?.state === state);
    if (state === "running") return;
    expect((await rejection(ref.call("echo", 1, DEADLINE))).code).toBe("ACTOR_STOPPED");
    expect(ref.cast("note", 1)).toBe(false);
  });
});

describe("start and stop", () => {
  it("rejects with the error of the setup that failed, and stops what had started", async () => {
    const good = createMemory();
    const bad = createMemory();
    bad.failSetups = 1;
    const tree = supervisor({
      children: {
        one: actor(probe(good), { thread: "side" }),
        two: actor(probe(bad), { thread: "main" }),
        three: actor(probe(bad), { thread: "main" }),
      },
    });
    const error = await rejection(startInline(tree));
    expect(error.code).toBe("DEPENDENCY_MISSING");
    expect(good).toMatchObject({ setups: 1, stops: 1 });
    expect(bad).toMatchObject({ setups: 1, stops: 0 });
  });

  it("limits a setup that never ends", async () => {
    const definition = { ...probe(), setup: () => new Promise<never>(() => {}) };
    const tree = supervisor({ children: { one: actor(definition, { thread: "main" }) } });
    const error = await rejection(startInline(tree, { setupLimitMs: 30 }));
    expect(error.message).toContain("setup did not end within 30 ms");
  });

  it("stops right to left, the last message first ended, the queued ones refused", async () => {
    const order: string[] = [];
    const named = (name: string) => ({
      ...probe(),
      stop: () => {
        order.push(name);
      },
    });
    const tree = supervisor({
      children: {
        one: actor(named("one"), { thread: "main" }),
        two: actor(named("two"), { thread: "side" }),
        three: actor(named("three"), { thread: "main" }),
      },
    });
    const { system, events } = await startInline(tree);
    const ref = system.ref(ProbeProtocol, "one");
    const running = ref.call("slow", { delayMs: 5_000 }, { deadlineMs: 9_000 });
    await until(() => system.status()[0]?.mailboxDepth === 0);
    const queued = rejection(ref.call("echo", 1, { deadlineMs: 9_000 }));
    ref.cast("note", 1);
    await system.stop({ graceMs: 1_000 });
    expect(order).toEqual(["three", "two", "one"]);
    expect(await running).toEqual({ cancelled: true });
    expect((await queued).code).toBe("ACTOR_STOPPED");
    expect(events).toContainEqual(expect.objectContaining({ reason: "stopped", message: "note" }));
    expect(await system.finished).toEqual({ outcome: "stopped" });
  });

  it.each(["main", "side"])(
    "does not wait for an actor on %s that ignores its end",
    async (thread) => {
      const stubborn = {
        ...probe(createMemory(), { supervision: { shutdownMs: 40 } }),
        stop: () => new Promise<void>(() => {}),
      };
      const tree = supervisor({ children: { one: actor(stubborn, { thread }) } });
      const { system } = await startInline(tree);
      const began = performance.now();
      await system.stop({ graceMs: 5_000 });
      expect(performance.now() - began).toBeLessThan(500);
    },
  );

  it("ends within the grace even when actors ask for more", async () => {
    const stubborn = { ...probe(), stop: () => new Promise<void>(() => {}) };
    const tree = supervisor({ children: { one: actor(stubborn, { thread: "main" }) } });
    const { system } = await startInline(tree);
    const began = performance.now();
    await system.stop({ graceMs: 60 });
    expect(performance.now() - began).toBeLessThan(500);
  });
});

describe("the check of the tree", () => {
  const one = () => actor(probe(), { thread: "main" });
  const shared = one();
  it.each([
    ["an empty supervisor", supervisor({ children: {} }), /no children/],
    [
      "an actor name used twice",
      supervisor({ children: { one: one(), group: supervisor({ children: { one: one() } }) } }),
      /already an actor one at root\/one/,
    ],
    ["an entry used twice", supervisor({ children: { a: shared, b: shared } }), /used twice/],
    [
      "a thread name that is none",
      supervisor({ children: { a: actor(probe(), { thread: "no such" }) } }),
      /thread name/,
    ],
    [
      "a config that does not fit",
      supervisor({
        children: { a: actor(probe(), { thread: "main", config: () => ({ size: "x" }) }) },
      }),
      /actor a is not valid: size:/,
    ],
    [
      "an impossible mailbox",
      supervisor({
        children: {
          a: actor(probe(createMemory(), { mailbox: { capacity: 0 } }), { thread: "main" }),
        },
      }),
      /capacity is 0/,
    ],
  ])("refuses %s before anything starts", async (_what, tree, text) => {
    const error = await rejection(startInline(tree));
    expect(error.code).toBe("CONFIG_INVALID");
    expect(error.message).toMatch(text);
  });

  it("refuses a tree that contains itself", async () => {
    const children: Record<string, ReturnType<typeof supervisor>> = {};
    const loop = supervisor({ children });
    children["again"] = loop;
    expect((await rejection(startInline(loop))).message).toContain("used twice");
  });

  it("refuses real threads when it runs from sources", async () => {
    const { systemClock } = await import("../../../src/runtime/clock.ts");
    const options = { tree: supervisor({ children: { a: one() } }), run: testRun() };
    const start = ActorSystem.start({ ...options, clock: systemClock, log: () => {} });
    expect((await rejection(start)).message).toContain("built package");
  });
});
