import { describe, expect, it } from "vitest";
import type { ActorSnapshot, SystemSnapshot } from "../../dist/runtime/inspect/snapshot.js";
import type { TelemetryBatch } from "../../src/protocols/actors/durable.ts";
import {
  collector,
  StoreProtocol,
  store,
  WorkProtocol,
  work,
} from "../fixtures/actors/thread-actors.mjs";
import { until } from "../unit/runtime/support.ts";
import { actor, CancellationToken, startThreads, supervisor } from "./built.ts";

function find(snapshot: SystemSnapshot, name: string): ActorSnapshot {
  const found = snapshot.tree.children.find((child) => child.name === name);
  if (found?.kind !== "actor") throw new Error(`no actor ${name}`);
  return found;
}

const threadOf = (snapshot: SystemSnapshot, name: string) =>
  snapshot.threads.find((thread) => thread.name === name)!;

const pair = () =>
  supervisor({
    intensity: 10,
    children: {
      busy: actor(work, { thread: "hot" }),
      calm: actor(work, { thread: "cold" }),
    },
  });

describe("a system whose thread hangs", () => {
  it("is shown as it is, at once, without the thread's help", async () => {
    const { system } = await startThreads(pair());
    const ref = system.ref(WorkProtocol, "busy");
    await ref.call("echo", 1, { deadlineMs: 1_000 });
    const token = new CancellationToken();
    const hanging = ref.call("spin", { limitMs: 8_000 }, { deadlineMs: 9_000, token });
    const settled = hanging.catch(() => "cancelled");
    await until(() => find(system.inspect(), "busy").current !== null);
    for (let index = 0; index < 25; index++) ref.cast("count", 1);
    await system.inspectOver(300);
    const beganAt = performance.now();
    const snapshot = system.inspect();
    expect(performance.now() - beganAt).toBeLessThan(50);
    const { current, mailbox, state } = find(snapshot, "busy");
    expect(current).toMatchObject({ message: "spin", waiting: false });
    expect(current!.forMs).toBeGreaterThan(250);
    expect(state).toBe("running");
    expect(mailbox).toMatchObject({ depth: 25, onTheWay: 25 });
    const hot = threadOf(snapshot, "hot");
    expect(hot.publishedAgeMs).toBeGreaterThan(250);
    expect(hot.state).toBe("running");
    expect(hot.heartbeatAgeMs).toBeGreaterThan(100);
    const ring = threadOf(snapshot, "main").rings.find(({ to }) => to === "hot");
    expect(ring).toMatchObject({ lane: "control" });
    expect(ring!.usedBytes).toBeGreaterThanOrEqual(25 * 16);
    expect(threadOf(snapshot, "cold").publishedAgeMs).toBeLessThan(250);
    token.cancel();
    expect(await settled).toBe("cancelled");
    await ref.call("counted", null, { deadlineMs: 2_000 });
    const after = await system.inspectOver(20);
    expect(find(after, "busy")).toMatchObject({ current: null, processed: 28 });
    expect(find(after, "busy").mailbox.depth).toBe(0);
    expect(threadOf(after, "main").rings).toEqual([]);
  });

  it("is shown with how busy each thread is", async () => {
    const { system } = await startThreads(pair());
    const over = system.inspectOver(400);
    const answer = system
      .ref(WorkProtocol, "busy")
      .call("spin", { limitMs: 450 }, { deadlineMs: 5_000 });
    const snapshot = await over;
    expect(threadOf(snapshot, "hot").utilisation).toBeGreaterThan(0.7);
    expect(threadOf(snapshot, "cold").utilisation).toBeLessThan(0.3);
    const { memory, parks } = threadOf(snapshot, "cold");
    expect(memory!.heapUsedBytes).toBeGreaterThan(1_000_000);
    expect(memory!.heapLimitBytes).toBeGreaterThan(memory!.heapUsedBytes);
    expect(parks).toBeGreaterThan(0);
    expect(snapshot.process.rssBytes).toBeGreaterThan(memory!.heapUsedBytes);
    await answer;
  });
});

describe("a thread that dies", () => {
  it("is shown with the start it is at, and its actor with its failures", async () => {
    const { system } = await startThreads(pair());
    system.kill("busy");
    const isBack = ({ starts, state }: ActorSnapshot) => starts === 2 && state === "running";
    await until(() => isBack(find(system.inspect(), "busy")), 8_000);
    const snapshot = await system.inspectOver(20);
    expect(threadOf(snapshot, "hot").epoch).toBe(2);
    expect(threadOf(snapshot, "cold").epoch).toBe(1);
    expect(find(snapshot, "busy").failures.recent).toBe(1);
    expect(snapshot.tree.failures.recent).toBe(1);
    expect(snapshot.zombies).toBe(0);
  });
});

describe("traces over real threads", () => {
  it("reach the telemetry collector as one trace of several threads", async () => {
    const { system } = await startThreads(
      supervisor({
        children: {
          store: actor(store, { thread: "main" }),
          nissa: actor(collector, { thread: "durable" }),
          a: actor(work, { thread: "left" }),
          b: actor(work, { thread: "right" }),
        },
      }),
      { telemetry: { actor: "nissa" }, tracing: { sampleRatio: 1, telemetry: true } },
    );
    const order = { to: "b", payload: "hello", deadlineMs: 2_000 };
    await system.ref(WorkProtocol, "a").call("forward", order, { deadlineMs: 5_000 });
    const spansKept = async () => {
      const batches: TelemetryBatch[] = await system
        .ref(StoreProtocol, "store")
        .call("kept", null, { deadlineMs: 1_000 });
      const events = batches.flatMap((batch) => batch.events);
      return events.filter(({ name }) => name === "runtime.span").map((event) => event.attributes);
    };
    const named = (spans: readonly Readonly<Record<string, unknown>>[], name: string) =>
      spans.find((span) => span["name"] === name);
    let spans: Awaited<ReturnType<typeof spansKept>> = [];
    const endsAt = performance.now() + 5_000;
    const isThere = () => named(spans, "a.forward") && named(spans, "b.echo");
    while (!isThere() && performance.now() < endsAt) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      spans = await spansKept();
    }
    const outer = named(spans, "a.forward")!;
    const inner = named(spans, "b.echo")!;
    expect(outer).toMatchObject({ thread: "main", actor: "a", kind: "call", status: "ok" });
    expect(inner).toMatchObject({ thread: "left", actor: "b", trace_id: outer["trace_id"] });
    expect(inner["parent_id"]).toBe(outer["span_id"]);
    expect(Number(inner["duration_ms"])).toBeLessThanOrEqual(Number(outer["duration_ms"]));
    expect(spans.some((span) => span["actor"] === "nissa")).toBe(false);
  });
});
