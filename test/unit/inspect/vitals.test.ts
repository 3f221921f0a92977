import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { afterEach, describe, expect, it } from "vitest";
import { call, cast, protocol } from "../../../src/protocols/protocol.ts";
import { defineActor } from "../../../src/runtime/actor.ts";
import { CHANNELS } from "../../../src/runtime/inspect/channels.ts";
import { LineReader } from "../../../src/runtime/inspect/lines.ts";
import { measureThread } from "../../../src/runtime/inspect/metrics.ts";
import { enrolPool } from "../../../src/runtime/inspect/pool-roll.ts";
import { StatsPublisher } from "../../../src/runtime/inspect/publisher.ts";
import { tellSystemEvent } from "../../../src/runtime/inspect/system-news.ts";
import { Mailbox } from "../../../src/runtime/mailbox.ts";
import { SourceMeter } from "../../../src/runtime/telemetry/meter.ts";
import type { Cell } from "../../../src/runtime/thread/cell.ts";
import type { Cells } from "../../../src/runtime/thread/cells.ts";
import { StatsTable, statsMemory } from "../../../src/runtime/thread/stats.ts";
import { actor, supervisor } from "../../../src/runtime/topology.ts";
import { ThreadBlock, threadBlockMemory } from "../../../src/runtime/wire/thread-block.ts";
import { startInline } from "../runtime/support.ts";

const item = (lane: 0 | 1 | 2 | 3, queuedAtMs: number) => ({
  ...{ lane, queuedAtMs, from: 1, isCall: false, kindIndex: 0 },
});

/** A cell as a publisher and a meter see it, with a clock that stands where it is told to. */
function oneCell() {
  const mailbox = new Mailbox<ReturnType<typeof item>>({ capacity: 9, overflow: "reject" });
  const cell = { name: "a", slot: 1, index: 0, active: null as object | null, stashed: 0, mailbox };
  const cells = { tree: () => [cell], count: 1, end: 2, at: () => undefined };
  const time = { nowMs: 10_000 };
  const clock = {
    nowMs: () => time.nowMs,
    monotonicMs: () => time.nowMs,
    after: () => ({ cancel: () => {} }),
  };
  const table = new StatsTable(statsMemory(1));
  const publisher = new StatsPublisher(table, cells as never as Cells, clock);
  return { mailbox, cell, time, table, publisher };
}

const undo: (() => void)[] = [];
afterEach(() => {
  for (const step of undo.splice(0)) step();
});

describe("a thread that publishes what it has", () => {
  it("does so before it rests when there is something to tell, and not otherwise", () => {
    const { mailbox, time, table, publisher } = oneCell();
    publisher.publish();
    expect(table.publishedAtMs).toBe(10_000);
    time.nowMs += 10;
    publisher.beforeRest(time.nowMs);
    expect(table.publishedAtMs).toBe(10_000);
    mailbox.offer(item(2, 10_005));
    publisher.beforeRest(time.nowMs);
    expect(table.publishedAtMs).toBe(10_010);
    expect(table.readActor(1)).toMatchObject({ depths: [0, 0, 1, 0] });
    mailbox.take();
    time.nowMs += 10;
    publisher.beforeRest(time.nowMs);
    expect(table.readActor(1)).toMatchObject({ depths: [0, 0, 0, 0] });
    time.nowMs += 10;
    publisher.beforeRest(time.nowMs);
    expect(table.publishedAtMs).toBe(10_020);
    time.nowMs += 100;
    publisher.beforeRest(time.nowMs);
    expect(table.publishedAtMs).toBe(10_130);
  });

  it("shows since when a handler waits, also when the next message is alike", () => {
    const { cell, time, table, publisher } = oneCell();
    cell.active = { kind: { index: 3 } };
    publisher.publish();
    time.nowMs += 500;
    publisher.publish();
    expect(table.readActor(1)).toMatchObject({ activeKind: 3, activeSinceMs: 10_000 });
    cell.active = { kind: { index: 3 } };
    publisher.publish();
    expect(table.readActor(1)).toMatchObject({ activeKind: 3, activeSinceMs: 10_500 });
    cell.active = null;
    publisher.publish();
    expect(table.readActor(1).activeKind).toBeNull();
  });
});

describe("what a thread measures", () => {
  it("is the age of its oldest messages and the counters of its block", () => {
    const { mailbox, cell } = oneCell();
    mailbox.offer(item(3, 9_000));
    mailbox.offer(item(3, 9_900));
    const block = new ThreadBlock(threadBlockMemory());
    block.own();
    block.ringFull();
    block.parked();
    block.parked();
    const meter = new SourceMeter("runtime:t");
    const measure = () => measureThread(meter, block, [cell as never as Cell], 10_000);
    measure();
    const points = meter.collect();
    const valueAt = (name: string, lane?: string) =>
      points.find((point) => point.name === name && point.attributes["lane"] === lane)?.value;
    expect(valueAt("runtime.mailbox_oldest_ms", "bulk")).toBe(1_000);
    expect(valueAt("runtime.mailbox_oldest_ms", "control")).toBe(0);
    expect(valueAt("runtime.parks_total")).toBe(2);
    expect(valueAt("runtime.ring_full_total")).toBe(1);
    mailbox.take();
    mailbox.take();
    measure();
    const later = meter.collect();
    expect(later.map(({ name, value }) => [name, value])).toEqual([
      ["runtime.mailbox_oldest_ms", 0],
    ]);
  });
});

const QuietProtocol = protocol("quiet", { ping: call<null, null>(), note: cast<null>() });
const quiet = defineActor(import.meta.url, QuietProtocol, {
  setup: () => null,
  receive: { ping: () => null, note: () => {} },
});

describe("a pool", () => {
  it("is shown with its account by the thread that opened it, until it is closed", async () => {
    const account = {
      ...{ submitted: 10, queued: 1, running: 2, completed: 3, cancelled: 1, timedOut: 2 },
      failed: 1,
    };
    undo.push(enrolPool({ name: "jobs.js", account: () => account }));
    const tree = supervisor({ children: { a: actor(quiet, { thread: "main" }) } });
    const { system } = await startInline(tree);
    const [main] = (await system.inspectOver(0)).threads;
    expect(main!.pools).toEqual([{ name: "jobs.js", account }]);
    undo.pop()!();
    const second = await startInline(tree);
    expect((await second.system.inspectOver(0)).threads[0]!.pools).toEqual([]);
  });
});

describe("the channels of the main thread", () => {
  it("tell of stuck actors and ends of threads, and of nothing else", () => {
    const heard: unknown[] = [];
    for (const { name } of Object.values(CHANNELS)) {
      const listener = (message: unknown): void => void heard.push([name, message]);
      subscribe(name, listener);
      undo.push(() => unsubscribe(name, listener));
    }
    const stuck = { thread: "t", actor: "a", message: "m", ageMs: 5 };
    const exit = { thread: "t", code: 1, cause: "killed" };
    tellSystemEvent({ kind: "actor-stuck", ...stuck });
    tellSystemEvent({ kind: "thread-exit", ...exit });
    tellSystemEvent({ kind: "up" });
    expect(heard).toEqual([
      ["esper:stuck", stuck],
      ["esper:thread-exit", exit],
    ]);
  });
});

describe("a reader of lines", () => {
  it("finds the same lines however the bytes arrive", () => {
    const bytes = Buffer.from("first\n\nsecönd ✓\nthird without an end");
    for (let size = 1; size <= bytes.length; size++) {
      const lines: string[] = [];
      const reader = new LineReader(
        1_000,
        (line) => lines.push(line),
        () => expect.unreachable(),
      );
      for (let at = 0; at < bytes.length; at += size) reader.push(bytes.subarray(at, at + size));
      expect(lines).toEqual(["first", "secönd ✓"]);
    }
  });

  it("gives up once at a line that is too long, and keeps nothing of it", () => {
    const lines: string[] = [];
    const tooLong: number[] = [];
    const reader = new LineReader(
      8,
      (line) => lines.push(line),
      (bytes) => tooLong.push(bytes),
    );
    for (const chunk of ["12345678\n1234", "56789", "0\nshort\n"]) reader.push(Buffer.from(chunk));
    expect(lines).toEqual(["12345678"]);
    expect(tooLong).toEqual([9]);
  });
});
