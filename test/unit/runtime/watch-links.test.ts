import { describe, expect, it } from "vitest";
import type { SystemEvent } from "../../../src/runtime/thread/types.ts";
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
} from "../../fixtures/actors/puppet.ts";
import { startInline, until } from "./support.ts";

const DEADLINE = { deadlineMs: 2_000 };

/** Three actors; `a` on the main thread, the others on `thread`. */
async function three(thread: string, options: PuppetOptions = {}) {
  const memory = { a: newMemory(), b: newMemory(), c: newMemory() };
  const tree = supervisor({
    intensity: 100,
    children: {
      a: actor(puppet(memory.a, options), { thread: "main" }),
      b: actor(puppet(memory.b, options), { thread }),
      c: actor(puppet(memory.c, options), { thread }),
    },
  });
  const started = await startInline(tree);
  const ref = (name: string): PuppetRef => started.system.ref(PuppetProtocol, name);
  return { ...started, memory, ref, lives: () => [memory.a, memory.b, memory.c].map(lifeOf) };
}

function lifeOf({ lives }: { readonly lives: number }): number {
  return lives;
}

function link(from: PuppetRef, to: string): Promise<() => void> {
  const ends: (() => void)[] = [];
  const make = (context: PuppetContext): void => {
    ends.push(context.link(context.ref(PuppetProtocol, to)));
  };
  return perform(from, make).then(() => () => ends[0]?.());
}

/** Whatever was on its way between the three has arrived. */
async function settle(ref: (name: string) => PuppetRef): Promise<void> {
  for (let round = 0; round < 4; round++) {
    for (const name of ["a", "b", "c"]) {
      await ref(name).call("double", 1, { ...DEADLINE, onRestart: "retry" });
    }
  }
}

function linkedDowns(events: readonly SystemEvent[]): string[] {
  return events.flatMap((event) =>
    event.kind === "crashed" && event.error.code === "LINKED_DOWN" ? [event.actor] : [],
  );
}

describe.each(["main", "side"])("a link to an actor of the thread %s", (thread) => {
  it.each([
    ["made it", "a", "b"],
    ["was linked", "b", "a"],
  ])("fails the other end when the one that %s fails", async (_which, first, second) => {
    const { ref, events, lives } = await three(thread);
    await link(ref("a"), "b");
    await settle(ref);
    fail(ref(first), "the cause");
    await until(() => lives()[0] === 2 && lives()[1] === 2);
    await settle(ref);
    expect(linkedDowns(events)).toEqual([second]);
    const told = events.find((event) => event.kind === "crashed" && event.actor === second);
    expect(told).toMatchObject({ error: { message: expect.stringContaining("the cause") } });
    expect(lives()).toEqual([2, 2, 1]);
  });

  it("is over with either life: who was restarted is linked to nobody", async () => {
    const { ref, lives } = await three(thread);
    await link(ref("a"), "b");
    fail(ref("b"));
    await until(() => lives()[0] === 2);
    await settle(ref);
    fail(ref("b"));
    await until(() => lives()[1] === 3);
    await settle(ref);
    expect(lives()).toEqual([2, 3, 1]);
  });

  it("fails nobody when an end stops, nor when it was taken back", async () => {
    const { ref, lives, events } = await three(thread, { supervision: { restart: "transient" } });
    await link(ref("a"), "b");
    const takeBack = await link(ref("a"), "c");
    await settle(ref);
    takeBack();
    await settle(ref);
    await perform(ref("b"), (context) => context.stop());
    fail(ref("c"));
    await until(() => events.some(({ kind }) => kind === "retired") && lives()[2] === 2);
    for (let round = 0; round < 4; round++) await ref("a").call("double", 1, DEADLINE);
    expect(lives()).toEqual([1, 1, 2]);
  });

  it("in a cycle fails everyone once", async () => {
    const { ref, lives, events } = await three(thread);
    await link(ref("a"), "b");
    await link(ref("b"), "c");
    await link(ref("c"), "a");
    await settle(ref);
    fail(ref("b"));
    await until(() => lives().every((count) => count === 2));
    await settle(ref);
    expect(lives()).toEqual([2, 2, 2]);
    expect(linkedDowns(events).sort()).toEqual(["a", "c"]);
  });

  it("that is made again in every setup survives many failures", async () => {
    const setup = (context: PuppetContext): void => {
      if (context.name !== "a") context.link(context.ref(PuppetProtocol, "a"));
    };
    const options = { setup, supervision: { intensity: 100 } };
    const { ref, lives } = await three(thread, options);
    for (let round = 2; round <= 4; round++) {
      await settle(ref);
      fail(ref(["a", "b", "c"][round % 3] as string));
      await until(() => lives().every((count) => count === round));
    }
    await settle(ref);
    expect(lives()).toEqual([4, 4, 4]);
  });

  it("to an actor that is gone fails at once", async () => {
    const { ref, lives, events } = await three(thread, { supervision: { restart: "transient" } });
    await perform(ref("b"), (context) => context.stop());
    await until(() => events.some(({ kind }) => kind === "retired"));
    await link(ref("a"), "b");
    await until(() => lives()[0] === 2);
    expect(linkedDowns(events)).toEqual(["a"]);
  });
});

describe("a link over threads", () => {
  it("fails when the other thread ends", async () => {
    const { system, ref, events, lives } = await three("side");
    await link(ref("a"), "b");
    await settle(ref);
    system.kill("b");
    await until(() => lives().every((count) => count === 2));
    await settle(ref);
    expect(linkedDowns(events)).toEqual(["a"]);
  });

  it("to a thread that is being replaced holds for the actor that comes", async () => {
    const { system, ref, lives } = await three("side");
    system.kill("b");
    await until(() => !ref("b").available);
    await link(ref("a"), "b");
    await settle(ref);
    expect(lives()[0]).toBe(1);
    fail(ref("b"));
    await until(() => lives()[0] === 2);
  });

  it("joins spawned actors too", async () => {
    const { ref, lives } = await three("side");
    const child = newMemory();
    const refs: PuppetRef[] = [];
    const there = await perform(ref("b"), (context) => {
      refs.push(context.spawn(puppet(child)) as PuppetRef);
      return refs[0];
    });
    const link = async (): Promise<void> => {
      await perform(ref("a"), (context) => void context.link(there as PuppetRef));
      // The answer comes behind word of the link.
      await (there as PuppetRef).call("double", 1, { deadlineMs: 1_000 });
    };
    await link();
    fail(ref("a"));
    await until(() => child.lives === 2);
    await link();
    fail(refs[0] as PuppetRef);
    await until(() => lives()[0] === 3 && child.lives === 3);
    expect(lives()[1]).toBe(1);
  });
});

describe("a link to oneself", () => {
  it("is a mistake that is told", async () => {
    const { ref } = await three("main");
    const made = perform(ref("a"), (context) => void context.link(context.self));
    await expect(made).rejects.toThrow("links to another actor than itself");
  });
});
