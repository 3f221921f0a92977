import { afterEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { protocol } from "../../../src/protocols/protocol.ts";
import { defineActor } from "../../../src/runtime/actor.ts";
import { NameTable } from "../../../src/runtime/thread/names.ts";
import { actor, supervisor } from "../../../src/runtime/topology.ts";
import {
  fail,
  newMemory,
  PuppetProtocol,
  type PuppetRef,
  perform,
  puppet,
} from "../../fixtures/actors/puppet.ts";
import { rejection, startInline, until } from "./support.ts";

const DEADLINE = { deadlineMs: 2_000 };

async function two() {
  const tree = supervisor({
    intensity: 100,
    children: {
      here: actor(puppet(), { thread: "main" }),
      there: actor(puppet(), { thread: "side" }),
    },
  });
  const started = await startInline(tree);
  const ref = (name: string): PuppetRef => started.system.ref(PuppetProtocol, name);
  return { ...started, ref };
}

/** Spawns a puppet with a name below `parent`. */
function spawnAs(parent: PuppetRef, name: string, memory = newMemory()): Promise<unknown> {
  return perform(parent, (context) => {
    context.spawn(puppet(memory), undefined, { name });
  });
}

describe("a named actor", () => {
  it.each(["here", "there"])("spawned by %s is found from every thread", async (parent) => {
    const { ref } = await two();
    await spawnAs(ref(parent), "worker");
    expect(await ref("worker").call("double", 4, DEADLINE)).toBe(8);
    for (const from of ["here", "there"]) {
      const reply = await perform(ref(from), (context) =>
        context.ref(PuppetProtocol, "worker").call("double", 5, DEADLINE),
      );
      expect(reply).toBe(10);
    }
  });

  it("is found by references that were made before it", async () => {
    const { ref } = await two();
    const early = ref("late");
    expect(early.available).toBe(false);
    const error = await rejection(early.call("double", 1, DEADLINE));
    expect(error.code).toBe("ACTOR_UNKNOWN");
    expect(early.cast("note", 1)).toBe(false);
    await spawnAs(ref("there"), "late");
    expect(await early.call("double", 3, DEADLINE)).toBe(6);
    expect(early.available).toBe(true);
  });

  it("that is missed is told with the names there are", async () => {
    const { ref } = await two();
    await spawnAs(ref("there"), "worker-1");
    const error = await rejection(ref("worker-2").call("double", 1, DEADLINE));
    expect(error.message).toBe("there is no actor worker-2; there are here, there, worker-1");
  });

  it.each([
    ["of another spawned actor", "worker"],
    ["of an actor of the tree", "here"],
  ])("cannot take the name %s", async (_which, name) => {
    const { ref } = await two();
    await spawnAs(ref("there"), "worker");
    for (const parent of ["here", "there"]) {
      expect((await rejection(spawnAs(ref(parent), name))).code).toBe("NAME_TAKEN");
    }
    expect(await ref(name).call("double", 2, DEADLINE)).toBe(4);
  });

  it("keeps its name over restarts and frees it at its end", async () => {
    const { ref } = await two();
    const memory = newMemory();
    await spawnAs(ref("there"), "worker", memory);
    fail(ref("worker"));
    await until(() => memory.lives === 2);
    expect((await rejection(spawnAs(ref("here"), "worker"))).code).toBe("NAME_TAKEN");
    const worker = ref("worker");
    await perform(worker, (context) => context.stop());
    const codes = new Set<string | undefined>();
    while (!codes.has("ACTOR_UNKNOWN")) {
      codes.add((await rejection(worker.call("double", 1, DEADLINE))).code);
    }
    expect([...codes].filter((code) => code !== "ACTOR_STOPPED")).toEqual(["ACTOR_UNKNOWN"]);
    await spawnAs(ref("here"), "worker");
    expect(await worker.call("double", 7, DEADLINE)).toBe(14);
  });

  it("frees its name when its thread ends, or its parent stops it", async () => {
    const { system, ref } = await two();
    await spawnAs(ref("there"), "worker");
    system.kill("there");
    await spawnAs(ref("here"), "worker");
    expect(await ref("worker").call("double", 1, DEADLINE)).toBe(2);
  });

  it("frees its name when it cannot be started at all", async () => {
    const { ref } = await two();
    const strict = defineActor(import.meta.url, PuppetProtocol, {
      config: z.strictObject({ size: z.int() }),
      setup: () => null,
      receive: puppet().receive,
    });
    const refused = perform(ref("here"), (context) => {
      context.spawn(strict, { size: 0.5 }, { name: "worker" });
    });
    expect((await rejection(refused)).code).toBe("CONFIG_INVALID");
    await spawnAs(ref("here"), "worker");
  });

  it("is reached as what it is, not as what the sender takes it for", async () => {
    const { system, ref } = await two();
    await spawnAs(ref("there"), "worker");
    const wrong = system.ref(protocol("puppet", {}), "worker") as PuppetRef;
    expect((await rejection(wrong.call("double", 1, DEADLINE))).code).toBe("PROTOCOL_MISMATCH");
  });

  it("may be spawned by the process itself, and travel in a message", async () => {
    const { system, ref } = await two();
    const worker = system.spawn(puppet(), undefined, { name: "worker" });
    expect(worker.name).toBe("worker");
    const back = await perform(ref("there"), (context) => context.ref(PuppetProtocol, "worker"));
    expect(await (back as PuppetRef).call("double", 6, DEADLINE)).toBe(12);
  });

  it.each(["", "1st", "with space", "a".repeat(65)])("is not named %j", async (name) => {
    const { ref } = await two();
    expect((await rejection(spawnAs(ref("here"), name))).code).toBe("CONFIG_INVALID");
  });
});

describe("the table of names", () => {
  const table = NameTable.allocate();
  const held: number[] = [];
  afterEach(() => {
    for (const row of held.splice(0)) table.release(row);
  });
  const claim = (name: string, thread = 1): number => {
    const row = table.claim(name, thread);
    held.push(row);
    return row;
  };

  it("leads nowhere between the claim and the actor", () => {
    const row = claim("one");
    expect(table.find("one")).toBeNull();
    expect(() => table.claim("one", 2)).toThrow(expect.objectContaining({ code: "NAME_TAKEN" }));
    table.bind(row, 77, 3, -5);
    expect(table.find("one")).toMatchObject({ address: 77, generation: 3, fingerprint: -5 });
  });

  it("tells that what was found has changed", () => {
    const row = claim("one");
    table.bind(row, 77, 3, 1);
    const found = table.find("one");
    expect(found !== null && table.isCurrent(found.row, found.version)).toBe(true);
    table.release(row);
    expect(found !== null && table.isCurrent(found.row, found.version)).toBe(false);
    expect(table.find("one")).toBeNull();
  });

  it("frees all names of a thread, and only those", () => {
    table.bind(claim("one", 1), 1, 1, 1);
    table.bind(claim("two", 2), 2, 1, 1);
    table.sweep(1);
    expect(table.list()).toEqual(["two"]);
  });

  it("is bounded", () => {
    const full = NameTable.allocate(64);
    for (let count = 0; count < 64; count++) full.claim(`name-${count}`, 1);
    expect(() => full.claim("more", 1)).toThrow(expect.objectContaining({ code: "ACTOR_LIMIT" }));
  });
});
