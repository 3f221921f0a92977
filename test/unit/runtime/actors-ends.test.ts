import { describe, expect, it } from "vitest";
import type { AnyActorDefinition } from "../../../src/runtime/actor.ts";
import { SPAWNED_ROWS } from "../../../src/runtime/thread/threads.ts";
import { actor, supervisor } from "../../../src/runtime/topology.ts";
import {
  fail,
  newMemory,
  type PuppetContext,
  type PuppetMemory,
  type PuppetOptions,
  PuppetProtocol,
  type PuppetRef,
  perform,
  puppet,
  script,
} from "../../fixtures/actors/puppet.ts";
import { rejection, type Started, startInline, until } from "./support.ts";

const DEADLINE = { deadlineMs: 2_000 };

interface Home extends Started {
  readonly parent: PuppetRef;
}

async function home(options: PuppetOptions = {}): Promise<Home> {
  const parent = actor(puppet(newMemory(), options), { thread: "main" });
  const started = await startInline(supervisor({ intensity: 100, children: { parent } }));
  return { ...started, parent: started.system.ref(PuppetProtocol, "parent") };
}

async function spawn(parent: PuppetRef, definition: AnyActorDefinition): Promise<PuppetRef> {
  const made: PuppetRef[] = [];
  await perform(parent, (context) => {
    made.push(context.spawn(definition) as PuppetRef);
  });
  return made[0] as PuppetRef;
}

const child = (parent: PuppetRef, memory: PuppetMemory, options: PuppetOptions = {}) =>
  spawn(parent, puppet(memory, options));

/** Sends the child a handler that asks to end and then waits until `release`. */
function endWaiting(ref: PuppetRef): () => void {
  let release = (): void => undefined;
  const waiting = new Promise<void>((resolve) => {
    release = resolve;
  });
  const asked = perform(ref, async (context) => {
    context.stop();
    await waiting;
  });
  asked.catch(() => undefined);
  return release;
}

describe("a child without asynchronous work", () => {
  it("is gone when its parent has told it to stop, last words said", async () => {
    const { parent } = await home();
    const memory = newMemory();
    const seen = await perform(parent, (context) => {
      const ref = context.spawn(puppet(memory)) as PuppetRef;
      context.stop(ref);
      return [memory.stops, ref.available, ref.cast("note", 1)];
    });
    expect(seen).toEqual([1, false, false]);
    await perform(parent, () => undefined);
    expect(memory.notes).toEqual([]);
  });

  it("takes its own children with it, the youngest first, and its place is free", async () => {
    const { parent } = await home();
    const order: string[] = [];
    const ending = (name: string, setup: (context: PuppetContext) => unknown) => ({
      ...puppet(newMemory(), { setup }),
      stop: () => void order.push(name),
    });
    const leaf = (name: string) => ending(name, () => null);
    const middle = ending("middle", (context) => {
      for (const name of ["eldest", "second", "youngest"]) context.spawn(leaf(name));
    });
    await perform(parent, (context) => {
      context.stop(context.spawn(middle));
      order.push("returned");
    });
    expect(order).toEqual(["youngest", "second", "eldest", "middle", "returned"]);
  });

  it("that stops itself finishes its message first, and handles no other", async () => {
    const { parent } = await home();
    const memory = newMemory();
    const ref = await child(parent, memory);
    const last = perform(ref, (context) => {
      context.stop();
      memory.notes.push(context.token.cancelled ? 1 : 0, memory.stops);
      return "done";
    });
    ref.cast("note", 7);
    expect(await last).toBe("done");
    expect([memory.notes, memory.stops]).toEqual([[1, 0], 1]);
    expect((await rejection(ref.call("double", 1, DEADLINE))).code).toBe("ACTOR_STOPPED");
  });

  it("that stops itself and then fails is gone, and not restarted", async () => {
    const { parent } = await home();
    const memory = newMemory();
    const ref = await child(parent, memory);
    const broken = perform(ref, (context) => {
      context.stop();
      throw new Error("a bug");
    });
    expect((await rejection(broken)).code).toBe("HANDLER_FAILED");
    expect([memory.lives, memory.stops, ref.available]).toEqual([1, 1, false]);
  });

  it("that stops itself in its setup is gone once it is set up", async () => {
    const { parent } = await home();
    const memory = newMemory();
    const seen: number[] = [];
    const setup = (context: PuppetContext): void => {
      context.stop();
      seen.push(memory.stops);
    };
    const ref = await child(parent, memory, { setup });
    expect([seen, memory.lives, memory.stops, ref.available]).toEqual([[0], 1, 1, false]);
    expect(ref.cast("note", 1)).toBe(false);
  });

  it("whose last words fail is gone all the same, and the log says so", async () => {
    const { parent, logs } = await home();
    const failing = {
      ...puppet(),
      stop: () => {
        throw new Error("no last words");
      },
    };
    const ref = await spawn(parent, failing);
    await perform(parent, (context) => context.stop(ref));
    expect(ref.available).toBe(false);
    await until(() => logs.some(({ error }) => String(error).includes("no last words")));
  });

  it("ends like any other when its thread has more than others can reach", async () => {
    const { parent, events } = await home();
    const definition = puppet();
    const left = await perform(parent, (context) => {
      const refs = Array.from({ length: SPAWNED_ROWS + 8 }, () => context.spawn(definition));
      for (const ref of refs) context.stop(ref);
      return refs.filter(({ available }) => available).length;
    });
    expect(left).toBe(0);
    expect(events.map(({ kind }) => kind)).not.toContain("crashed");
  });

  it("is told to its watcher once, after the watcher's own message", async () => {
    const { parent } = await home();
    const heard: string[] = [];
    await perform(parent, (context) => {
      const ref = context.spawn(puppet()) as PuppetRef;
      context.watch(ref, ({ reason }) => void heard.push(reason));
      context.stop(ref);
      heard.push("own message");
    });
    await perform(parent, () => undefined);
    expect(heard).toEqual(["own message", "stopped"]);
  });
});

describe("a child that stops itself and still waits for something", () => {
  it("ends when that is over", async () => {
    const { parent } = await home();
    const memory = newMemory();
    const ref = await child(parent, memory);
    const release = endWaiting(ref);
    await perform(parent, () => undefined);
    expect(memory.stops).toBe(0);
    release();
    await until(() => memory.stops === 1 && !ref.available);
  });

  it("is given up after its limit", async () => {
    const { parent } = await home();
    const memory = newMemory();
    const ref = await child(parent, memory, { supervision: { shutdownMs: 30 } });
    endWaiting(ref);
    await until(() => memory.stops === 1 && !ref.available);
  });

  it("holds up neither its parent's other children nor, for ever, its parent", async () => {
    const { parent } = await home();
    const order: string[] = [];
    const ending = (name: string, shutdownMs: number) => ({
      ...puppet(newMemory(), { supervision: { shutdownMs } }),
      stop: () => void order.push(name),
    });
    const made: PuppetRef[] = [];
    const middle = puppet(newMemory(), {
      setup: (context) => {
        made.push(context.spawn(ending("eldest", 5_000)) as PuppetRef);
        made.push(context.spawn(ending("slow", 30)) as PuppetRef);
        made.push(context.spawn(ending("youngest", 5_000)) as PuppetRef);
      },
    });
    const ref = await spawn(parent, middle);
    endWaiting(made[1] as PuppetRef);
    await perform(parent, (context) => context.stop(ref));
    await until(() => !ref.available && order.length === 3);
    expect(order).toEqual(["youngest", "slow", "eldest"]);
  });
});

describe("a child that fails", () => {
  it("runs again before the next message, in the same turn", async () => {
    const { parent } = await home();
    const memory = newMemory();
    const ref = await child(parent, memory);
    const again = ref.call("double", 4, DEADLINE);
    fail(ref);
    const lives: number[] = [];
    const next = perform(ref, () => void lives.push(memory.lives));
    await Promise.all([again, next]);
    expect([lives, memory.stops]).toEqual([[2], 1]);
  });

  it("tells who called it where it failed", async () => {
    const { parent } = await home();
    const ref = await child(parent, newMemory());
    const where = new Error("a bug with a place");
    const run = script(() => {
      throw where;
    });
    const error = await rejection(ref.call("run", run, DEADLINE));
    expect(error.code).toBe("HANDLER_FAILED");
    expect(error.stack).toBe(where.stack);
    expect(Error.stackTraceLimit).toBeGreaterThan(0);
  });
});
