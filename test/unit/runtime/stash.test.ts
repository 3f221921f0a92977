import { describe, expect, it } from "vitest";
import { actor, supervisor } from "../../../src/runtime/topology.ts";
import {
  fail,
  newMemory,
  type PuppetContext,
  type PuppetOptions,
  PuppetProtocol,
  perform,
  puppet,
  script,
} from "../../fixtures/actors/puppet.ts";
import { rejection, startInline, until } from "./support.ts";

const DEADLINE = { deadlineMs: 2_000 };
const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

/** Puts every note and bulk note aside while `closed`, and notes them when it is open. */
function gate(extra: PuppetOptions = {}) {
  const memory = newMemory();
  const state = { closed: true };
  const pass = (context: PuppetContext, value: number): unknown =>
    state.closed ? context.stash() : memory.notes.push(value);
  const options = { onNote: pass, onBulk: pass, ...extra };
  const open = (context: PuppetContext): void => {
    state.closed = false;
    context.unstash();
  };
  return { memory, state, open, definition: puppet(memory, options) };
}

async function start(thread: string, definition: ReturnType<typeof puppet>) {
  const tree = supervisor({ intensity: 50, children: { one: actor(definition, { thread }) } });
  const started = await startInline(tree);
  const ref = started.system.ref(PuppetProtocol, "one");
  const depth = (): number => started.system.status()[0]?.mailboxDepth ?? -1;
  return { ...started, ref, depth };
}

describe.each(["main", "side"])("what an actor of the thread %s puts aside", (thread) => {
  it("comes back in its order, before what came later", async () => {
    const { memory, open, definition } = gate();
    const { ref, depth } = await start(thread, definition);
    for (let value = 0; value < 100; value++) ref.cast("note", value);
    const opened = perform(ref, open);
    for (let value = 100; value < 200; value++) ref.cast("note", value);
    await opened;
    await until(() => memory.notes.length === 200);
    expect(memory.notes).toEqual(numbers(200));
    expect(depth()).toBe(0);
  });

  it("keeps the order of its lane when several lanes wait", async () => {
    const { memory, open, definition } = gate();
    const { ref } = await start(thread, definition);
    for (let value = 0; value < 20; value++) {
      ref.cast("bulk", 1_000 + value);
      ref.cast("note", value);
    }
    await ref.call("double", 1, DEADLINE);
    await until(() => ref.depth === 0);
    await perform(ref, open);
    await until(() => memory.notes.length === 40);
    expect(memory.notes.filter((value) => value < 1_000)).toEqual(numbers(20));
    expect(memory.notes.filter((value) => value >= 1_000)).toEqual(
      numbers(20).map((value) => value + 1_000),
    );
  });

  it("survives a restart", async () => {
    const { memory, open, definition } = gate();
    const { ref } = await start(thread, definition);
    for (let value = 0; value < 50; value++) ref.cast("note", value);
    fail(ref);
    await until(() => memory.lives === 2);
    await perform(ref, open);
    await until(() => memory.notes.length === 50);
    expect(memory.notes).toEqual(numbers(50));
  });

  it("is dead-lettered when the actor stops for good, and its callers are told", async () => {
    const memory = newMemory();
    const onDouble = (context: PuppetContext): number => {
      context.stash();
      return 0;
    };
    const { definition } = gate({ onDouble, supervision: { restart: "transient" } });
    const { ref, events } = await start(thread, definition);
    for (let value = 0; value < 7; value++) ref.cast("note", value);
    const call = rejection(ref.call("double", 1, DEADLINE));
    await perform(ref, (context) => context.stop());
    expect((await call).code).toBe("ACTOR_STOPPED");
    const dead = () => events.flatMap((event) => (event.kind === "dead-letter" ? [event] : []));
    await until(() => dead().reduce((sum, { count }) => sum + count, 0) === 7);
    expect(dead()[0]).toMatchObject({ actor: "one", message: "note", reason: "stopped" });
    expect(memory.notes).toEqual([]);
  });

  it("is bounded by the capacity, and no more is taken", async () => {
    const errors: unknown[] = [];
    const onNote = (context: PuppetContext): void => {
      try {
        context.stash();
      } catch (error) {
        errors.push(error);
        throw error;
      }
    };
    const { open, definition } = gate({ onNote, mailbox: { capacity: 8 } });
    const { ref, logs } = await start(thread, definition);
    for (let value = 0; value < 10; value++) {
      ref.cast("note", value);
      await ref.call("double", 1, DEADLINE);
    }
    expect(errors).toHaveLength(2);
    expect(errors[0]).toMatchObject({ code: "STASH_FULL", details: { capacity: 8 } });
    expect(logs.filter(({ level }) => level === "warn")).toHaveLength(2);
    await perform(ref, open);
  });

  it("loses only the poison among a hundred", async () => {
    const memory = newMemory();
    const state = { closed: true };
    const onNote = (context: PuppetContext, value: number): unknown => {
      if (state.closed) return context.stash();
      if (value === 50) throw new Error("poison");
      return memory.notes.push(value);
    };
    const { ref, events } = await start(
      thread,
      puppet(memory, { onNote, supervision: { intensity: 10 } }),
    );
    for (let value = 0; value < 100; value++) ref.cast("note", value);
    await perform(ref, (context) => {
      state.closed = false;
      context.unstash();
    });
    await until(() => memory.notes.length === 99);
    expect(memory.notes).toEqual(numbers(100).filter((value) => value !== 50));
    expect(memory.lives).toBe(3);
    expect(events.filter(({ kind }) => kind === "dead-letter")).toMatchObject([
      { reason: "quarantined", count: 1 },
    ]);
  });

  it("is answered late but in time: a call may wait in the stash", async () => {
    const state = { closed: true };
    const onDouble = (context: PuppetContext, value: number): number => {
      if (state.closed) context.stash();
      return value * 2;
    };
    const { ref } = await start(thread, puppet(newMemory(), { onDouble }));
    const calls = [1, 2, 3].map((value) => ref.call("double", value, DEADLINE));
    await perform(ref, (context) => {
      state.closed = false;
      context.unstash();
    });
    expect(await Promise.all(calls)).toEqual([2, 4, 6]);
  });

  it("is not answered when its handler failed after putting it aside", async () => {
    const memory = newMemory();
    const onDouble = (context: PuppetContext): number => {
      context.stash();
      throw new Error("after all not");
    };
    const { ref } = await start(thread, puppet(memory, { onDouble }));
    const error = await rejection(ref.call("double", 1, DEADLINE));
    expect(error.code).toBe("HANDLER_FAILED");
    await perform(ref, (context) => context.unstash());
    expect(memory.lives).toBe(2);
  });

  it("is nothing outside a handler", async () => {
    const { ref } = await start(thread, puppet());
    let thrown: unknown = null;
    await perform(ref, (context) => {
      context.after(1, () => {
        try {
          context.stash();
        } catch (error) {
          thrown = error;
        }
      });
    });
    await until(() => thrown !== null);
    expect(thrown).toMatchObject({ code: "MESSAGE_UNKNOWN" });
  });
});

describe("behaviour", () => {
  it("is exchanged from the next message on, kept over messages and given back", async () => {
    const memory = newMemory();
    const { ref } = await start("main", puppet(memory));
    await perform(ref, (context) => {
      context.become({
        double: (_state, value) => value * 100,
        note: (_state, value, inner) => {
          memory.notes.push(-value);
          if (value === 2) inner.unbecome();
        },
      });
    });
    expect(await ref.call("double", 2, DEADLINE)).toBe(200);
    for (const value of [1, 2, 3]) ref.cast("note", value);
    expect(await ref.call("double", 2, DEADLINE)).toBe(4);
    expect(memory.notes).toEqual([-1, -2, 3]);
  });

  it("ends with the life of the actor", async () => {
    const { ref } = await start("side", puppet());
    await perform(ref, (context) => context.become({ double: () => 0 }));
    expect(await ref.call("double", 2, DEADLINE)).toBe(0);
    fail(ref);
    expect(await ref.call("double", 2, { ...DEADLINE, onRestart: "retry" })).toBe(4);
  });

  it("and stash together make a protocol with phases", async () => {
    const memory = newMemory();
    const { ref } = await start("side", puppet(memory));
    const wait = script((context) =>
      context.become({ note: (_state, _value, inner) => inner.stash() }),
    );
    const go = script((context) => {
      context.unbecome();
      context.unstash();
    });
    for (let round = 0; round < 5; round++) {
      await ref.call("run", wait, DEADLINE);
      for (let value = 0; value < 10; value++) ref.cast("note", round * 10 + value);
      await ref.call("run", go, DEADLINE);
    }
    await until(() => memory.notes.length === 50);
    expect(memory.notes).toEqual(numbers(50));
  });
});
