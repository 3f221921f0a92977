import { describe, expect, it } from "vitest";
import { CancellationToken } from "../../../src/runtime/token.ts";
import { actor, supervisor } from "../../../src/runtime/topology.ts";
import {
  fail,
  newMemory,
  type PuppetContext,
  type PuppetOptions,
  PuppetProtocol,
  type PuppetRef,
  perform,
  puppet,
  script,
} from "../../fixtures/actors/puppet.ts";
import { rejection, startInline, until } from "./support.ts";

const DEADLINE = { deadlineMs: 2_000 };
const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

async function pair(thread: string, options: PuppetOptions = {}, encodeLocal = true) {
  const memory = { one: newMemory(), other: newMemory() };
  const tree = supervisor({
    intensity: 100,
    children: {
      one: actor(puppet(memory.one, { supervision: { intensity: 50 } }), { thread: "main" }),
      other: actor(puppet(memory.other, options), { thread }),
    },
  });
  const started = await startInline(tree, { encodeLocal });
  const ref = (name: string): PuppetRef => started.system.ref(PuppetProtocol, name);
  return { ...started, memory, one: ref("one"), other: ref("other") };
}

/** A child of `parent`, as its parent and as the process see it. */
async function child(parent: PuppetRef, memory = newMemory(), options: PuppetOptions = {}) {
  const made: PuppetRef[] = [];
  const ref = await perform(parent, (context) => {
    made.push(context.spawn(puppet(memory, options)) as PuppetRef);
    return made[0];
  });
  return { ref: ref as PuppetRef, own: made[0] as PuppetRef, memory };
}

/** Holds an actor in one handler until `release`. */
async function hold(ref: PuppetRef): Promise<() => Promise<void>> {
  let release: (() => void) | null = null;
  const held = perform(ref, async () => {
    await new Promise<void>((resolve) => {
      release = resolve;
    });
  });
  // Nobody waits for one that is never let go.
  held.catch(() => undefined);
  await until(() => release !== null);
  return async () => {
    (release as (() => void) | null)?.();
    await held;
  };
}

describe.each(["main", "side"])("a child of an actor of the thread %s", (thread) => {
  it("is restarted by its own policy, and its references stay good", async () => {
    const { other } = await pair(thread);
    const { ref, memory } = await child(other);
    fail(ref);
    await until(() => memory.lives === 2);
    expect(await ref.call("double", 4, DEADLINE)).toBe(8);
  });

  it("that fails too often takes its parent down, and ends with it", async () => {
    const { other, memory } = await pair(thread);
    const { ref, memory: own } = await child(other, newMemory(), { supervision: { intensity: 1 } });
    for (const life of [2, 3]) {
      fail(ref);
      if (life === 2) await until(() => own.lives === 2);
    }
    await until(() => memory.other.lives === 2);
    expect((await rejection(ref.call("double", 1, DEADLINE))).code).toBe("ACTOR_STOPPED");
    expect(own.lives).toBe(2);
  });

  it("ends before its parent, the youngest first", async () => {
    const { other, events } = await pair(thread, { supervision: { restart: "transient" } });
    const order: string[] = [];
    const ending = (name: string): ReturnType<typeof puppet> => ({
      ...puppet(),
      stop: () => void order.push(name),
    });
    await perform(other, (context) => {
      context.spawn(ending("eldest"));
      context.spawn(ending("youngest"));
      context.token.onCancel(() => void order.push("parent told"));
    });
    await perform(other, (context) => context.stop());
    await until(() => events.some(({ kind }) => kind === "retired"));
    expect(order).toEqual(["parent told", "youngest", "eldest"]);
  });

  it("is not stopped by anybody but its parent", async () => {
    const { one, other } = await pair(thread);
    const { ref } = await child(other);
    const error = await rejection(perform(one, (context) => context.stop(ref)));
    expect(error.code).toBe("ACTOR_UNKNOWN");
    expect(await ref.call("double", 4, DEADLINE)).toBe(8);
  });

  it("whose place another has taken gets nothing that was meant for it", async () => {
    const { other, memory } = await pair(thread);
    const first = await child(other);
    await perform(other, (context) => context.stop(first.own));
    await until(() => first.memory.stops === 1 && !first.ref.available);
    const second = await child(other);
    expect(first.ref.cast("note", 1) && thread === "main").toBe(false);
    expect((await rejection(first.ref.call("double", 1, DEADLINE))).code).toBe("ACTOR_STOPPED");
    expect(await second.ref.call("double", 3, DEADLINE)).toBe(6);
    expect([first.memory.notes, second.memory.notes, memory.other.notes]).toEqual([[], [], []]);
  });

  it("is refused for good once it has ended: no retry, no full mailbox", async () => {
    const { other } = await pair(thread);
    const { ref, own } = await child(other);
    await perform(other, (context) => context.stop(own));
    await until(() => !ref.available);
    const retried = await rejection(ref.call("double", 1, { ...DEADLINE, onRestart: "retry" }));
    expect(retried.code).toBe("ACTOR_STOPPED");
    expect((await rejection(ref.offer("note", 1, DEADLINE))).code).toBe("ACTOR_STOPPED");
    expect(ref.depth).toBe(0);
  });
});

describe("a child whose thread ended", () => {
  it("is gone for good, also when the thread is back", async () => {
    const { system, other, memory } = await pair("side");
    const { ref } = await child(other);
    system.kill("other");
    await until(() => !ref.available);
    expect((await rejection(ref.call("double", 1, DEADLINE))).code).toBe("ACTOR_STOPPED");
    await until(() => memory.other.lives === 2 && other.available);
    for (let round = 0; round < 3; round++) {
      expect((await rejection(ref.call("double", 1, DEADLINE))).code).toBe("ACTOR_STOPPED");
    }
    expect(ref.available).toBe(false);
  });
});

describe.each([
  ["in its thread", "main"],
  ["to another thread", "side"],
])("a call that is passed on %s", (_where, thread) => {
  const passOn = (name: string, value: number) =>
    script((context) => context.forward(context.ref(PuppetProtocol, name), "double", value));

  it("is answered by the other actor", async () => {
    const { one } = await pair(thread);
    expect(await one.call("run", passOn("other", 21), DEADLINE)).toBe(42);
    expect(await one.call("double", 1, DEADLINE)).toBe(2);
  });

  it("keeps its deadline", async () => {
    const left: number[] = [];
    const onDouble = (context: PuppetContext): Promise<number> => {
      left.push(context.clock.monotonicMs());
      return new Promise((resolve) => {
        context.token.onCancel(() => resolve(0));
      });
    };
    const { one } = await pair(thread, { onDouble });
    const began = performance.now();
    const error = await rejection(one.call("run", passOn("other", 1), { deadlineMs: 80 }));
    expect(error.code).toBe("DEADLINE_EXCEEDED");
    expect(performance.now() - began).toBeLessThan(1_500);
    expect(left).toHaveLength(1);
  });

  it("hands its cancellation on", async () => {
    const seen: boolean[] = [];
    const definition: PuppetOptions = {};
    const { one, other } = await pair(thread, definition);
    await perform(other, (context) => {
      context.become({
        double: (_state, _value, _context, { token }) =>
          new Promise<number>((resolve) => {
            token.onCancel(() => {
              seen.push(token.cancelled);
              resolve(0);
            });
          }),
      });
    });
    const token = new CancellationToken();
    const call = rejection(one.call("run", passOn("other", 1), { ...DEADLINE, token }));
    await new Promise((resolve) => setTimeout(resolve, 5));
    token.cancel();
    expect((await call).code).toBe("CANCELLED");
    await until(() => seen.length === 1);
    expect(
      await other.call(
        "run",
        script(() => 5),
        DEADLINE,
      ),
    ).toBe(5);
  });

  it("fails when the other actor is gone, and when there is nothing to pass on", async () => {
    const { one } = await pair(thread);
    const lost = await rejection(one.call("run", passOn("nobody", 1), DEADLINE));
    expect(lost.code).toBe("ACTOR_UNKNOWN");
    let thrown: unknown = null;
    one.cast(
      "go",
      script((context) => {
        try {
          context.forward(context.ref(PuppetProtocol, "other"), "double", 1);
        } catch (error) {
          thrown = error;
        }
      }),
    );
    await until(() => thrown !== null);
    expect(thrown).toMatchObject({ code: "MESSAGE_UNKNOWN" });
  });
});

describe.each([
  ["main", true],
  ["main", false],
  ["side", true],
])("an offer to an actor of the thread %s (copied: %s)", (thread, encodeLocal) => {
  const small: PuppetOptions = { mailbox: { capacity: 4 } };

  it("waits for room, and the order of the offers is kept", async () => {
    const { other, memory } = await pair(thread, small, encodeLocal);
    const release = await hold(other);
    const offers = numbers(200).map((value) => other.offer("note", value, DEADLINE));
    let settled = 0;
    for (const offer of offers) void offer.then(() => (settled += 1));
    await until(() => settled >= 4);
    expect(settled).toBe(4);
    await release();
    await Promise.all(offers);
    await until(() => memory.other.notes.length === 200);
    expect(memory.other.notes).toEqual(numbers(200));
  });

  it("is not overtaken by a cast that finds room while it waits", async () => {
    const { other, memory } = await pair(
      thread,
      { mailbox: { capacity: 4, overflow: "wait" } },
      encodeLocal,
    );
    const release = await hold(other);
    const offers = numbers(10).map((value) => other.offer("note", value, DEADLINE));
    for (let value = 10; value < 20; value++) expect(other.cast("note", value)).toBe(true);
    await release();
    await Promise.all(offers);
    await until(() => memory.other.notes.length === 20);
    expect(memory.other.notes).toEqual(numbers(20));
  });

  it("ends at its deadline, by its token and with its receiver", async () => {
    const { system, other, memory } = await pair(thread, small, encodeLocal);
    const release = await hold(other);
    for (let value = 0; value < 4; value++) other.cast("note", value);
    const token = new CancellationToken();
    const late = rejection(other.offer("note", 10, { deadlineMs: 20 }));
    const cancelled = rejection(other.offer("note", 11, { ...DEADLINE, token }));
    const kept = other.offer("note", 12, DEADLINE);
    token.cancel();
    expect((await cancelled).code).toBe("CANCELLED");
    expect((await late).code).toBe("MAILBOX_FULL");
    await release();
    await kept;
    await until(() => memory.other.notes.length === 5);
    expect(memory.other.notes).toEqual([0, 1, 2, 3, 12]);
    await hold(other);
    for (let value = 0; value < 4; value++) other.cast("note", value);
    const orphan = rejection(other.offer("note", 13, DEADLINE));
    const stopped = system.stop({ graceMs: 50 });
    expect((await orphan).code).toBe("ACTOR_STOPPED");
    await stopped;
  });
});
