import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { consistentHash, leastMailbox, roundRobin } from "../../../src/runtime/router.ts";
import { actor, supervisor } from "../../../src/runtime/topology.ts";
import {
  fail,
  newMemory,
  type PuppetContext,
  PuppetProtocol,
  type PuppetRef,
  perform,
  puppet,
  script,
} from "../../fixtures/actors/puppet.ts";
import { rejection, startInline, until } from "./support.ts";

const DEADLINE = { deadlineMs: 2_000 };

/** A member that only counts what it is given. */
interface Fake extends PuppetRef {
  depth: number;
  available: boolean;
  readonly notes: number[];
}

function fakes(names: readonly string[]): Fake[] {
  return names.map((name) => {
    const notes: number[] = [];
    const cast = (_message: string, value: number): boolean => notes.push(value) > 0;
    const never = (): Promise<never> => Promise.reject(new Error("not in this test"));
    return { name, depth: 0, available: true, notes, cast, call: never, offer: never } as Fake;
  });
}

const named = (count: number): string[] => Array.from({ length: count }, (_, at) => `m${at}`);
const keyOf = ({ payload }: { readonly payload: unknown }): number => payload as number;

/** The member of each key, by name. */
function placesOf(names: readonly string[], keys: readonly number[]): Map<number, string> {
  const members = fakes(names);
  const router = consistentHash<(typeof PuppetProtocol)["messages"]>(members, keyOf);
  for (const key of keys) router.cast("note", key);
  return new Map(members.flatMap(({ name, notes }) => notes.map((key) => [key, name])));
}

describe("round robin", () => {
  it("takes one after the other", () => {
    const members = fakes(named(3));
    const router = roundRobin<(typeof PuppetProtocol)["messages"]>(members);
    for (let value = 0; value < 9; value++) router.cast("note", value);
    expect(members.map(({ notes }) => notes)).toEqual([
      [0, 3, 6],
      [1, 4, 7],
      [2, 5, 8],
    ]);
  });

  it("passes over who is not there, and shares out the rest evenly", () => {
    const members = fakes(named(4));
    (members[1] as Fake).available = false;
    const router = roundRobin<(typeof PuppetProtocol)["messages"]>(members);
    for (let value = 0; value < 9; value++) router.cast("note", value);
    expect(members.map(({ notes }) => notes.length)).toEqual([3, 0, 3, 3]);
  });

  it("still sends when nobody is there, so that the sender is told", () => {
    const members = fakes(named(2));
    for (const member of members) member.available = false;
    const router = roundRobin<(typeof PuppetProtocol)["messages"]>(members);
    for (let value = 0; value < 4; value++) router.cast("note", value);
    expect(members.map(({ notes }) => notes.length)).toEqual([2, 2]);
    expect(router.available).toBe(false);
  });
});

describe("least mailbox", () => {
  it("takes the member with the fewest messages among those that are there", () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ depth: fc.nat(50), available: fc.boolean() }), {
          minLength: 1,
          maxLength: 20,
        }),
        (states) => {
          const members = fakes(named(states.length));
          for (const [at, state] of states.entries()) Object.assign(members[at] as Fake, state);
          const router = leastMailbox<(typeof PuppetProtocol)["messages"]>(members);
          router.cast("note", 1);
          const chosen = members.find(({ notes }) => notes.length === 1) as Fake;
          const there = members.filter(({ available }) => available);
          if (there.length === 0) return;
          expect(chosen.available).toBe(true);
          expect(chosen.depth).toBe(Math.min(...there.map(({ depth }) => depth)));
        },
      ),
    );
  });

  it("takes equals in turn", () => {
    const members = fakes(named(3));
    const router = leastMailbox<(typeof PuppetProtocol)["messages"]>(members);
    for (let value = 0; value < 9; value++) router.cast("note", value);
    expect(members.map(({ notes }) => notes.length)).toEqual([3, 3, 3]);
  });
});

describe("the consistent hash", () => {
  const keys = Array.from({ length: 4_000 }, (_, key) => key);

  it("sends a key to the same member always", () => {
    expect(placesOf(named(7), keys)).toEqual(placesOf(named(7), keys));
  });

  it.each([2, 5, 10, 16])("with %i members gives each about its share", (count) => {
    const shares = new Map<string, number>();
    for (const place of placesOf(named(count), keys).values()) {
      shares.set(place, (shares.get(place) ?? 0) + 1);
    }
    const fair = keys.length / count;
    for (const share of shares.values()) {
      expect(share).toBeGreaterThan(fair * 0.6);
      expect(share).toBeLessThan(fair * 1.5);
    }
    expect(shares.size).toBe(count);
  });

  it("moves only the keys of a member that goes, or those that a new one takes", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.stringMatching(/^[a-z]{1,8}$/), { minLength: 2, maxLength: 12 }),
        fc.nat(),
        (names, pick) => {
          const gone = names[pick % names.length] as string;
          const before = placesOf(names, keys.slice(0, 1_500));
          const after = placesOf(
            names.filter((name) => name !== gone),
            keys.slice(0, 1_500),
          );
          let moved = 0;
          for (const [key, place] of before) {
            if (place === gone) moved += 1;
            else expect(after.get(key)).toBe(place);
          }
          expect(moved / before.size).toBeLessThan(1.8 / names.length);
        },
      ),
      { numRuns: 40 },
    );
  });

  it("sends the keys of who is not there elsewhere, and back when it is there again", () => {
    const members = fakes(named(5));
    const router = consistentHash<(typeof PuppetProtocol)["messages"]>(members, keyOf);
    const lost = members[2] as Fake;
    for (const key of keys) router.cast("note", key);
    const whole = members.map(({ notes }) => notes.splice(0));
    lost.available = false;
    for (const key of keys) router.cast("note", key);
    expect(lost.notes).toEqual([]);
    members.forEach(({ notes }, at) => {
      const own = whole[at] as number[];
      if (at !== 2) expect(notes).toEqual(expect.arrayContaining(own));
      notes.length = 0;
    });
    lost.available = true;
    for (const key of keys) router.cast("note", key);
    expect(members.map(({ notes }) => notes)).toEqual(whole);
  });

  it("tells apart members of one name", () => {
    const members = fakes(["twin", "twin", "other"]);
    const router = consistentHash<(typeof PuppetProtocol)["messages"]>(members, keyOf);
    for (const key of keys) router.cast("note", key);
    for (const { notes } of members) expect(notes.length).toBeGreaterThan(800);
  });

  it.each([0, 4_097, 1.5])("refuses %d replicas", (replicas) => {
    const members: readonly PuppetRef[] = fakes(["one"]);
    expect(() => consistentHash(members, () => 1, { replicas })).toThrow(
      expect.objectContaining({ code: "CONFIG_INVALID" }),
    );
  });
});

describe("a router over actors", () => {
  async function workers(make: (refs: readonly PuppetRef[]) => PuppetRef) {
    const memories = [newMemory(), newMemory(), newMemory()];
    const children = Object.fromEntries(
      memories.map((memory, at) => [
        `w${at}`,
        actor(puppet(memory), { thread: at === 0 ? "main" : "side" }),
      ]),
    );
    const started = await startInline(supervisor({ intensity: 50, children }));
    const refs = memories.map((_, at) => started.system.ref(PuppetProtocol, `w${at}`));
    return { ...started, memories, refs, router: make(refs) };
  }

  it("calls, casts and offers in every thread", async () => {
    const { router, memories } = await workers(roundRobin);
    expect(await Promise.all([1, 2, 3].map((v) => router.call("double", v, DEADLINE)))).toEqual([
      2, 4, 6,
    ]);
    for (let value = 0; value < 30; value++) router.cast("note", value);
    for (let value = 30; value < 60; value++) await router.offer("note", value, DEADLINE);
    await until(() => memories.every(({ notes }) => notes.length === 20));
  });

  it("sends to the mailbox with the fewest messages", async () => {
    const { router, refs, memories } = await workers(leastMailbox);
    let release = (): void => {};
    const hold = script(async (_context: PuppetContext) => {
      await new Promise<void>((resolve) => {
        release = resolve;
      });
    });
    const busy = (refs[1] as PuppetRef).call("run", hold, DEADLINE);
    for (let value = 0; value < 50; value++) refs[1]?.cast("note", 1_000 + value);
    await until(() => refs[1]?.depth === 50);
    for (let value = 0; value < 20; value++) router.cast("note", value);
    expect(router.depth).toBeGreaterThanOrEqual(50);
    await until(() => (memories[0]?.notes.length ?? 0) + (memories[2]?.notes.length ?? 0) === 20);
    release();
    await busy;
  });

  it("passes over a member while its thread is being replaced", async () => {
    const { system, router, refs } = await workers(roundRobin);
    system.kill("w1");
    await until(() => refs[1]?.available === false);
    const replies = await Promise.all([1, 2, 3, 4].map((v) => router.call("double", v, DEADLINE)));
    expect(replies).toEqual([2, 4, 6, 8]);
    await until(() => refs[1]?.available === true && refs[2]?.available === true);
  });

  it("sees from another thread that an actor waits for its restart", async () => {
    const { refs } = await workers(roundRobin);
    const victim = refs[1] as PuppetRef;
    // The second restart in a row is delayed.
    fail(victim);
    await victim.call("double", 1, { ...DEADLINE, onRestart: "retry" });
    fail(victim);
    await until(() => !victim.available);
    await until(() => victim.available);
  });

  it("is no single actor: it is not watched and does not travel", async () => {
    const { router, refs } = await workers(roundRobin);
    const watched = perform(refs[0] as PuppetRef, (context) => {
      context.watch(router, () => {});
    });
    expect((await rejection(watched)).code).toBe("ACTOR_UNKNOWN");
    const sent = (refs[1] as PuppetRef).call("double", router as never, DEADLINE);
    expect((await rejection(sent)).code).toBe("NOT_TRANSFERABLE");
  });

  it("needs a member", () => {
    expect(() => roundRobin([])).toThrow("roundRobin.refs is 0");
  });
});
