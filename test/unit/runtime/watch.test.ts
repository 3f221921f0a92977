import { describe, expect, it } from "vitest";
import type { ActorDown } from "../../../src/runtime/actor.ts";
import type { ActorSystem } from "../../../src/runtime/thread/system.ts";
import { actor, supervisor } from "../../../src/runtime/topology.ts";
import {
  fail,
  newMemory,
  type PuppetOptions,
  PuppetProtocol,
  type PuppetRef,
  perform,
  puppet,
  script,
} from "../../fixtures/actors/puppet.ts";
import { startInline, until } from "./support.ts";

const TRANSIENT: PuppetOptions = { supervision: { restart: "transient" } };
const TEMPORARY: PuppetOptions = { supervision: { restart: "temporary" } };

/** Two actors of the tree; `other` in the same thread as `one`, or in another. */
async function pair(thread: string, options: PuppetOptions = {}) {
  const memory = { one: newMemory(), other: newMemory() };
  const tree = supervisor({
    intensity: 50,
    children: {
      one: actor(puppet(memory.one), { thread: "main" }),
      other: actor(puppet(memory.other, options), { thread }),
    },
  });
  const started = await startInline(tree);
  const one = started.system.ref(PuppetProtocol, "one");
  const other = started.system.ref(PuppetProtocol, "other");
  return { ...started, one, other, memory };
}

/** Has `watcher` watch `name` and notes what it is told. */
async function watching(
  watcher: PuppetRef,
  name: string,
  options: { restarts?: boolean } = {},
): Promise<{ readonly told: ActorDown[]; readonly end: () => void }> {
  const told: ActorDown[] = [];
  const ends: (() => void)[] = [];
  await perform(watcher, (context) => {
    const ref = context.ref(PuppetProtocol, name);
    ends.push(context.watch(ref, (down) => void told.push(down), options));
  });
  return { told, end: () => ends[0]?.() };
}

/** Everything sent so far, and what it set in motion at once, is done. */
async function settle(system: ActorSystem, names: readonly string[]): Promise<void> {
  for (let round = 0; round < 3; round++) {
    for (const name of names) {
      await system.ref(PuppetProtocol, name).call("double", 1, { deadlineMs: 2_000 });
    }
  }
}

describe.each(["main", "side"])("the watch of an actor of the thread %s", (thread) => {
  it("tells once that the actor stopped", async () => {
    const { system, one, other } = await pair(thread, TRANSIENT);
    const { told } = await watching(one, "other");
    await perform(other, (context) => context.stop());
    await until(() => told.length > 0);
    await settle(system, ["one"]);
    expect(told).toEqual([{ actor: "other", reason: "stopped", error: null }]);
  });

  it("tells why an actor that is not restarted crashed", async () => {
    const { one, other } = await pair(thread, TEMPORARY);
    const { told } = await watching(one, "other");
    fail(other, "this is why");
    await until(() => told.length > 0);
    expect(told).toMatchObject([{ actor: "other", reason: "crashed" }]);
    expect(told[0]?.error?.message).toContain("this is why");
  });

  it("does not take a restart for an end, and tells of restarts when asked", async () => {
    const { system, one, other } = await pair(thread);
    const plain = await watching(one, "other");
    const curious = await watching(one, "other", { restarts: true });
    for (let round = 1; round <= 3; round++) {
      fail(other);
      await until(() => curious.told.length === round);
    }
    await settle(system, ["one", "other"]);
    expect(plain.told).toEqual([]);
    expect(curious.told.map(({ reason }) => reason)).toEqual(Array(3).fill("restarted"));
  });

  it("tells at once of an actor that is gone already", async () => {
    const { one, other, events } = await pair(thread, TEMPORARY);
    fail(other);
    await until(() => events.some(({ kind }) => kind === "retired"));
    const { told } = await watching(one, "other");
    await until(() => told.length > 0);
    expect(told[0]?.reason).toBe("crashed");
  });

  it("ends when it is withdrawn, and with the life that made it", async () => {
    const { system, one, other } = await pair(thread, TEMPORARY);
    const withdrawn = await watching(one, "other");
    withdrawn.end();
    const outlived = await watching(one, "other");
    fail(one);
    await settle(system, ["one"]);
    const kept = await watching(one, "other");
    fail(other);
    await until(() => kept.told.length > 0);
    expect([withdrawn.told, outlived.told]).toEqual([[], []]);
  });

  it("is not told inside another handler, and comes through a full mailbox", async () => {
    const { one, other, events } = await pair(thread, TEMPORARY);
    const order: string[] = [];
    await perform(one, (context) => {
      context.watch(context.ref(PuppetProtocol, "other"), () => void order.push("told"));
    });
    let finish = (): void => {};
    const busy = perform(one, async () => {
      order.push("begun");
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
      order.push("done");
    });
    await until(() => order.includes("begun"));
    while (one.cast("note", 1));
    fail(other);
    await until(() => events.some(({ kind }) => kind === "retired"));
    await new Promise((resolve) => setImmediate(resolve));
    finish();
    await busy;
    await until(() => order.includes("told"));
    expect(order).toEqual(["begun", "done", "told"]);
  });

  it("fails the watcher when what it does about it fails", async () => {
    const { one, other, memory } = await pair(thread, TEMPORARY);
    await perform(one, (context) => {
      context.watch(context.ref(PuppetProtocol, "other"), () => {
        throw new Error("cannot cope");
      });
    });
    fail(other);
    await until(() => memory.one.lives === 2);
    expect(await one.call("double", 4, { deadlineMs: 1_000 })).toBe(8);
  });

  it("can be told asynchronously, and nothing else is handled meanwhile", async () => {
    const { one, other, memory } = await pair(thread, TEMPORARY);
    let finish = (): void => {};
    await perform(one, (context) => {
      context.watch(context.ref(PuppetProtocol, "other"), async () => {
        await new Promise<void>((resolve) => {
          finish = resolve;
        });
        memory.one.notes.push(1);
      });
    });
    const idle = finish;
    fail(other);
    await until(() => finish !== idle);
    one.cast("note", 2);
    await new Promise((resolve) => setImmediate(resolve));
    finish();
    await until(() => memory.one.notes.length === 2);
    expect(memory.one.notes).toEqual([1, 2]);
  });
});

describe("the watch of a spawned actor", () => {
  /** `one` watches a child of `other`; the reference travelled to it in a message. */
  async function watchedChild(thread: string, options: PuppetOptions, restarts = false) {
    const started = await pair(thread);
    const { one, other } = started;
    const child = newMemory();
    const told: ActorDown[] = [];
    const refs: PuppetRef[] = [];
    await perform(other, (context) => {
      const spawned = context.spawn(puppet(child, options)) as PuppetRef;
      refs.push(spawned);
    });
    const ref = await started.system.ref(PuppetProtocol, "other").call(
      "run",
      script(() => refs[0]),
      { deadlineMs: 1_000 },
    );
    await perform(
      one,
      (context) =>
        void context.watch(ref as PuppetRef, (down) => void told.push(down), { restarts }),
    );
    return { ...started, told, child, ref: ref as PuppetRef, local: refs[0] as PuppetRef };
  }

  it.each(["main", "side"])("tells that it ended by itself (%s)", async (thread) => {
    const { ref, told } = await watchedChild(thread, {});
    await perform(ref, (context) => context.stop());
    await until(() => told.length > 0);
    expect(told).toEqual([{ actor: ref.name, reason: "stopped", error: null }]);
  });

  it.each(["main", "side"])("tells restarts, and that it gave up (%s)", async (thread) => {
    const policy = { supervision: { intensity: 2, periodMs: 60_000 } };
    const { ref, told, child } = await watchedChild(thread, policy, true);
    for (let round = 1; round <= 2; round++) {
      fail(ref);
      await until(() => told.length === round);
    }
    fail(ref, "the last straw");
    await until(() => told.length === 3);
    expect(told.map(({ reason }) => reason)).toEqual(["restarted", "restarted", "gave-up"]);
    expect(told[2]?.error?.message).toContain("the last straw");
    expect(child.lives).toBe(3);
  });

  it.each(["main", "side"])("tells at once when it is gone (%s)", async (thread) => {
    const { one, ref, told } = await watchedChild(thread, {});
    await perform(ref, (context) => context.stop());
    await until(() => told.length > 0);
    await perform(one, (context) => void context.watch(ref, (down) => void told.push(down)));
    await until(() => told.length > 1);
    expect(told[1]).toEqual({ actor: ref.name, reason: "unknown", error: null });
  });

  it("tells that its thread ended", async () => {
    const { system, told } = await watchedChild("side", {});
    system.kill("other");
    await until(() => told.length > 0);
    expect(told[0]?.reason).toBe("thread-lost");
  });

  it("is not confused by an actor that takes the place of the dead one", async () => {
    const { one, other, ref, told } = await watchedChild("side", {});
    await perform(ref, (context) => context.stop());
    await until(() => told.length > 0);
    const next: PuppetRef[] = [];
    await perform(other, (context) => void next.push(context.spawn(puppet()) as PuppetRef));
    await perform(one, (context) => void context.watch(ref, (down) => void told.push(down)));
    await until(() => told.length > 1);
    expect(told[1]?.reason).toBe("unknown");
    expect(await (next[0] as PuppetRef).call("double", 2, { deadlineMs: 1_000 })).toBe(4);
  });

  it("tells of every one of a thousand that end together", async () => {
    const { one, other } = await pair("side");
    const refs: PuppetRef[] = [];
    const spawnAll = script((context) => {
      for (let count = 0; count < 1_000; count++) {
        refs.push(context.spawn(puppet()) as PuppetRef);
      }
      return refs;
    });
    const there = (await other.call("run", spawnAll, { deadlineMs: 2_000 })) as PuppetRef[];
    const told = new Map<string, number>();
    await perform(one, (context) => {
      for (const ref of there) {
        context.watch(ref, ({ actor: name }) => void told.set(name, (told.get(name) ?? 0) + 1));
      }
    });
    await perform(other, (context) => {
      for (const ref of refs) context.stop(ref);
    });
    await until(() => told.size === 1_000);
    expect(new Set(told.values())).toEqual(new Set([1]));
  });
});

describe("an actor that nobody knows", () => {
  it("is gone for whoever watches it", async () => {
    const { one } = await pair("main");
    const { told } = await watching(one, "nobody");
    await until(() => told.length > 0);
    expect(told).toEqual([{ actor: "nobody", reason: "unknown", error: null }]);
  });
});
