import { describe, expect, it } from "vitest";
import { call, cast, protocol } from "../../../src/protocols/protocol.ts";
import { defineActor } from "../../../src/runtime/actor.ts";
import type { ActorSnapshot, SystemSnapshot } from "../../../src/runtime/inspect/snapshot.ts";
import { actor, supervisor } from "../../../src/runtime/topology.ts";
import { startInline, until } from "../runtime/support.ts";

const PlainProtocol = protocol("plain", {
  wait: call<null, string>(),
  note: cast<number>(),
  flood: cast<number>({ lane: "bulk" }),
  alarm: cast<null>({ lane: "emergency" }),
  fail: cast<null>(),
  breed: call<number, null>(),
  counted: call<null, number>(),
});

const childProtocol = protocol("child", { sit: cast<null>() });
const child = defineActor(import.meta.url, childProtocol, {
  supervision: { shutdownMs: 20 },
  setup: () => ({}),
  receive: { sit: () => new Promise<void>(() => {}) },
});

const gates: (() => void)[] = [];
const plain = defineActor(import.meta.url, PlainProtocol, {
  mailbox: { capacity: 100, overflow: "reject" },
  setup: () => ({ count: 0 }),
  receive: {
    wait: () =>
      new Promise<string>((resolve) => {
        gates.push(() => resolve("done"));
      }),
    note: (state) => {
      state.count += 1;
    },
    flood: () => {},
    alarm: () => {},
    fail: () => {
      throw new Error("a bug");
    },
    breed: (_state, count, ctx) => {
      for (let index = 0; index < count; index++) {
        const ref = ctx.spawn(child);
        for (let sent = 0; sent <= index; sent++) ref.cast("sit", null);
      }
      return null;
    },
    counted: ({ count }) => count,
  },
});

const tree = () =>
  supervisor({
    intensity: 4,
    periodMs: 60_000,
    children: {
      first: actor(plain, { thread: "main" }),
      inner: supervisor({
        strategy: "rest_for_one",
        children: { second: actor(plain, { thread: "side" }) },
      }),
    },
  });

function find(snapshot: SystemSnapshot, name: string): ActorSnapshot {
  const below = (children: SystemSnapshot["tree"]["children"]): ActorSnapshot[] =>
    children.flatMap((one) => (one.kind === "actor" ? [one] : below(one.children)));
  return below(snapshot.tree.children).find((one) => one.name === name)!;
}

describe("a snapshot", () => {
  it("shows the tree as it was written", async () => {
    const { system } = await startInline(tree());
    const { tree: root, threads, version, process: own } = system.inspect();
    expect(version).toBe(1);
    expect(own.pid).toBe(process.pid);
    expect(root).toMatchObject({
      ...{ kind: "supervisor", name: "root", strategy: "one_for_one" },
      failures: { recent: 0, intensity: 4, periodMs: 60_000 },
      children: [
        { kind: "actor", name: "first", protocol: "plain", thread: "main", state: "running" },
        {
          ...{ kind: "supervisor", name: "root/inner", strategy: "rest_for_one" },
          children: [{ name: "second", thread: "side", starts: 1, restart: "permanent" }],
        },
      ],
    });
    expect(threads.map(({ name, id, epoch }) => [name, id, epoch])).toEqual([
      ["main", 0, 1],
      ["side", 1, 1],
    ]);
    expect(JSON.parse(JSON.stringify(root))).toEqual(root);
  });

  it("shows how many messages wait in which lane, and what the actor waits in", async () => {
    const { system } = await startInline(tree());
    const ref = system.ref(PlainProtocol, "second");
    const answer = ref.call("wait", null, { deadlineMs: 5_000 });
    await until(() => gates.length === 1);
    for (let index = 0; index < 5; index++) ref.cast("note", index);
    for (let index = 0; index < 3; index++) ref.cast("flood", index);
    ref.cast("alarm", null);
    const { mailbox, current } = find(await system.inspectOver(20), "second");
    expect(mailbox).toMatchObject({ depth: 9, onTheWay: 0, capacity: 100, overflow: "reject" });
    expect(mailbox.lanes.map(({ lane, depth }) => [lane, depth])).toEqual([
      ["system", 0],
      ["emergency", 1],
      ["control", 5],
      ["bulk", 3],
    ]);
    const [, emergency, control] = mailbox.lanes;
    expect(mailbox.lanes[0]!.oldestMs).toBeNull();
    expect(emergency!.oldestMs).toBeGreaterThanOrEqual(15);
    expect(control!.oldestMs).toBeLessThan(5_000);
    expect(current).toMatchObject({ message: "wait", waiting: true });
    gates.pop()!();
    expect(await answer).toBe("done");
    expect(await ref.call("counted", null, { deadlineMs: 1_000 })).toBe(5);
    const after = find(await system.inspectOver(0), "second");
    expect(after.mailbox.depth).toBe(0);
    expect(after.current).toBeNull();
    expect(after.processed).toBe(11);
  });

  it("shows rates over the time between two readings", async () => {
    const { system } = await startInline(tree());
    const ref = system.ref(PlainProtocol, "second");
    const over = system.inspectOver(200);
    for (let index = 0; index < 40; index++) ref.cast("note", index);
    const snapshot = await over;
    expect(snapshot.overMs).toBeGreaterThanOrEqual(195);
    const expected = 40 / (snapshot.overMs / 1_000);
    expect(find(snapshot, "second").perSecond).toBeGreaterThan(0.7 * expected);
    expect(find(snapshot, "second").perSecond).toBeLessThan(1.3 * expected);
    expect(find(snapshot, "first").perSecond).toBe(0);
  });

  it("counts failures within the period, of the actor and of its supervisor", async () => {
    const { system, events } = await startInline(tree());
    const ref = system.ref(PlainProtocol, "first");
    ref.cast("fail", null);
    // A message that fails twice is given up, and so is never a third failure.
    await until(() => events.filter(({ kind }) => kind === "restarted").length === 2);
    const snapshot = system.inspect();
    const { failures, starts, failed } = find(snapshot, "first");
    expect(failures.recent).toBe(2);
    expect(starts).toBe(3);
    expect(failed).toBe(2);
    expect(snapshot.tree.failures.recent).toBe(2);
    expect(find(snapshot, "second").failures.recent).toBe(0);
  });

  it("counts dead letters by reason and shows the last of them", async () => {
    const { system } = await startInline(tree());
    const ref = system.ref(PlainProtocol, "second");
    const answer = ref.call("wait", null, { deadlineMs: 5_000 });
    await until(() => gates.length === 1);
    for (let index = 0; index < 103; index++) ref.cast("note", index);
    await system.inspectOver(20);
    gates.pop()!();
    await answer;
    const { deadLetters } = system.inspect();
    expect(deadLetters.byReason["mailbox-full"]).toBeGreaterThan(0);
    expect(deadLetters.total).toBe(deadLetters.byReason["mailbox-full"]);
    expect(deadLetters.last.at(-1)).toMatchObject({
      ...{ actor: "second", message: "note", lane: "control", reason: "mailbox-full" },
    });
    const kept = deadLetters.last.reduce((sum, { count }) => sum + count, 0);
    expect(kept).toBe(deadLetters.total);
  });

  it("shows how many actors were spawned, and those with the most messages", async () => {
    const { system } = await startInline(tree());
    const ref = system.ref(PlainProtocol, "second");
    await ref.call("breed", 12, { deadlineMs: 1_000 });
    const { threads } = await system.inspectOver(30);
    const { count, top } = threads.find(({ name }) => name === "side")!.spawned;
    expect(count).toBe(12);
    // One message of each is in hand.
    expect(top.map(({ depth }) => depth)).toEqual([11, 10, 9, 8, 7, 6, 5, 4]);
    expect(top[0]!.name).toMatch(/^child#\d+$/);
    expect(threads.find(({ name }) => name === "main")!.spawned.count).toBe(0);
  });
});
