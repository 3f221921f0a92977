import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { afterEach, describe, expect, it } from "vitest";
import { call, cast, protocol } from "../../../src/protocols/protocol.ts";
import { defineActor } from "../../../src/runtime/actor.ts";
import type { Span } from "../../../src/runtime/inspect/call-watch.ts";
import type { SystemOptions } from "../../../src/runtime/thread/system.ts";
import { parseTraceparent, traceparentOf } from "../../../src/runtime/thread/trace.ts";
import { CancellationToken } from "../../../src/runtime/token.ts";
import { actor, supervisor } from "../../../src/runtime/topology.ts";
import { rejection, startInline, until } from "../runtime/support.ts";

const HopProtocol = protocol("hop", {
  /** Calls itself along the list of actors. */
  pass: call<readonly string[], number>(),
  passLater: call<readonly string[], number>(),
  tell: cast<readonly string[]>(),
  hand: call<string, string>(),
  name: call<null, string>(),
  fail: call<null, null>(),
  crash: cast<null>(),
  wait: call<null, null>(),
  header: call<null, string | null>(),
});
const within = { deadlineMs: 2_000 };

const hop = defineActor(import.meta.url, HopProtocol, {
  mailbox: { capacity: 4, overflow: "reject" },
  supervision: { shutdownMs: 20 },
  setup: () => null,
  receive: {
    pass(_state, [next, ...rest], ctx) {
      return next === undefined ? 0 : ctx.ref(HopProtocol, next).call("pass", rest, within);
    },
    async passLater(_state, [next, ...rest], ctx) {
      await new Promise((resolve) => setImmediate(resolve));
      return next === undefined ? 0 : ctx.ref(HopProtocol, next).call("passLater", rest, within);
    },
    tell(_state, [next, ...rest], ctx) {
      if (next !== undefined) ctx.ref(HopProtocol, next).cast("tell", rest);
    },
    hand: (_state, to, ctx) => ctx.forward(ctx.ref(HopProtocol, to), "name", null),
    name: (_state, _payload, ctx) => ctx.name,
    fail: () => Promise.reject(new Error("a bug")),
    crash: () => {
      throw new Error("a bug");
    },
    wait: () => new Promise(() => {}),
    header: (_state, _payload, _ctx, { traceparent }) => traceparent,
  },
});

const tree = () =>
  supervisor({
    intensity: 10,
    children: {
      a: actor(hop, { thread: "main" }),
      b: actor(hop, { thread: "left" }),
      c: actor(hop, { thread: "left" }),
      d: actor(hop, { thread: "right" }),
    },
  });

const undo: (() => void)[] = [];
afterEach(() => {
  for (const step of undo.splice(0)) step();
});

function listen<T>(name: string): T[] {
  const heard: T[] = [];
  const listener = (message: unknown): void => void heard.push(message as T);
  subscribe(name, listener);
  undo.push(() => unsubscribe(name, listener));
  return heard;
}

async function traced(sampleRatio = 1, options: Partial<SystemOptions> = {}) {
  const spans = listen<Span>("esper:span");
  const { system, ...rest } = await startInline(tree(), { tracing: { sampleRatio }, ...options });
  return { spans, system, ...rest };
}

describe("a trace", () => {
  it.each(["pass", "passLater"] as const)(
    "follows calls (%s) from actor to actor, across threads",
    async (message) => {
      const { spans, system } = await traced();
      await system.ref(HopProtocol, "a").call(message, ["b", "c", "d"], within);
      const path = [...spans].reverse();
      expect(path.map(({ name, thread }) => [name, thread])).toEqual([
        [`a.${message}`, "main"],
        [`b.${message}`, "main"],
        [`c.${message}`, "left"],
        [`d.${message}`, "left"],
      ]);
      expect(new Set(spans.map(({ traceId }) => traceId)).size).toBe(1);
      expect(new Set(spans.map(({ spanId }) => spanId)).size).toBe(4);
      expect(path.map(({ parentId }) => parentId)).toEqual([
        null,
        ...path.slice(0, 3).map(({ spanId }) => spanId),
      ]);
      for (const { traceId, spanId, status, kind, durationMs, startMs } of spans) {
        expect(traceId).toMatch(/^[0-9a-f]{32}$/);
        expect(spanId).toMatch(/^[0-9a-f]{16}$/);
        expect({ status, kind }).toEqual({ status: "ok", kind: "call" });
        expect(durationMs).toBeGreaterThanOrEqual(0);
        expect(Math.abs(startMs - Date.now())).toBeLessThan(5_000);
      }
      // A call lasts at least as long as the call its handler waits for.
      const lengths = path.map(({ durationMs }) => durationMs);
      expect(lengths).toEqual([...lengths].sort((left, right) => right - left));
    },
  );

  it("follows casts, whose spans have no length", async () => {
    const { spans, system } = await traced();
    system.ref(HopProtocol, "a").cast("tell", ["b", "d"]);
    await until(() => spans.length === 3);
    expect(spans.map(({ name, kind, durationMs }) => [name, kind, durationMs])).toEqual([
      ["a.tell", "cast", 0],
      ["b.tell", "cast", 0],
      ["d.tell", "cast", 0],
    ]);
    expect(spans.map(({ parentId }) => parentId)).toEqual([
      null,
      spans[0]!.spanId,
      spans[1]!.spanId,
    ]);
  });

  it("stays one span when a call is forwarded inside a thread", async () => {
    const { spans, system } = await traced();
    expect(await system.ref(HopProtocol, "b").call("hand", "c", within)).toBe("c");
    expect(spans.map(({ name }) => name)).toEqual(["b.hand"]);
  });

  it("is two spans when a call is forwarded to another thread", async () => {
    const { spans, system } = await traced();
    expect(await system.ref(HopProtocol, "b").call("hand", "d", within)).toBe("d");
    await until(() => spans.length === 2);
    const [inner, outer] = [...spans].sort((left) => (left.name === "d.name" ? -1 : 1));
    expect(inner).toMatchObject({ name: "d.name", parentId: outer!.spanId });
  });

  it("tells by its status how a call ended", async () => {
    const { spans, system } = await traced();
    const ref = system.ref(HopProtocol, "d");
    await rejection(ref.call("fail", null, within));
    await rejection(system.ref(HopProtocol, "b").call("wait", null, { deadlineMs: 5 }));
    const token = new CancellationToken();
    const cancelled = rejection(
      system.ref(HopProtocol, "c").call("wait", null, { ...within, token }),
    );
    token.cancel();
    await cancelled;
    expect(spans.map(({ name, status }) => [name, status])).toEqual([
      ["d.fail", "HANDLER_FAILED"],
      ["b.wait", "DEADLINE_EXCEEDED"],
      ["c.wait", "CANCELLED"],
    ]);
  });

  it("is whole or not there, for the given share of all traces", async () => {
    const { spans, system } = await traced(0.5);
    const calls = 200;
    for (let index = 0; index < calls; index++) {
      await system.ref(HopProtocol, "a").call("pass", ["b", "d"], within);
    }
    const traces = new Map<string, number>();
    for (const { traceId } of spans) traces.set(traceId, (traces.get(traceId) ?? 0) + 1);
    expect([...new Set(traces.values())]).toEqual([3]);
    // Five standard deviations around the half of 200.
    expect(Math.abs(traces.size - calls / 2)).toBeLessThan(36);
  });

  it("goes on from one outside, unless that is not recorded", async () => {
    const { spans, system } = await traced(1e-9);
    const ref = system.ref(HopProtocol, "a");
    const ids = ["0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"] as const;
    const call = (traceparent: string) => ref.call("pass", ["b"], { ...within, traceparent });
    await call(`00-${ids.join("-")}-00`);
    await call("nonsense");
    expect(spans).toEqual([]);
    await call(`00-${ids.join("-")}-01`);
    expect(spans.map(({ name, traceId }) => [name, traceId])).toEqual([
      ["b.pass", ids[0]],
      ["a.pass", ids[0]],
    ]);
    expect(spans[1]!.parentId).toBe(ids[1]);
  });

  it("is shown to the handler as it goes on to the world outside", async () => {
    const { spans, system } = await traced();
    const header = await system.ref(HopProtocol, "b").call("header", null, within);
    const { traceId, spanId } = spans[0]!;
    expect(header).toBe(`00-${traceId}-${spanId}-01`);
  });

  it("is not there unless it is asked for", async () => {
    const spans = listen<Span>("esper:span");
    const { system } = await startInline(tree());
    await system.ref(HopProtocol, "a").call("pass", ["b", "d"], within);
    expect(await system.ref(HopProtocol, "b").call("header", null, within)).toBeNull();
    expect(spans).toEqual([]);
  });

  it("refuses a share that is none", async () => {
    for (const sampleRatio of [-0.1, 1.5, Number.NaN, "all" as never]) {
      const failed = await rejection(startInline(tree(), { tracing: { sampleRatio } }));
      expect(failed.code).toBe("CONFIG_INVALID");
      expect(failed.message).toContain(String(sampleRatio));
    }
  });
});

describe("a traceparent", () => {
  const context = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" };

  it("is written and read as the W3C has it", () => {
    const text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    expect(traceparentOf(context)).toBe(text);
    expect(parseTraceparent(text)).toEqual({ ...context, sampled: true });
    const untraced = text.replace(/01$/, "00");
    expect(parseTraceparent(untraced)).toEqual({ ...context, sampled: false });
  });

  it.each([
    "",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
    "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "00-00000000000000000000000000000000-b7ad6b7169203331-01",
    "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
    "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
  ])("is not read from %j", (text) => {
    expect(parseTraceparent(text)).toBeNull();
  });
});

describe("a diagnostics channel", () => {
  it("tells of the ends of calls and of cancellations", async () => {
    const calls = listen<object>("esper:call");
    const cancels = listen<object>("esper:cancel");
    const { system } = await startInline(tree());
    await system.ref(HopProtocol, "b").call("name", null, within);
    const token = new CancellationToken();
    const cancelled = rejection(
      system.ref(HopProtocol, "b").call("wait", null, { ...within, token }),
    );
    token.cancel();
    await cancelled;
    expect(calls).toMatchObject([
      { actor: "b", thread: "main", message: "name", status: "ok" },
      { actor: "b", thread: "main", message: "wait", status: "CANCELLED" },
    ]);
    expect(cancels).toMatchObject([{ actor: "b", message: "wait" }]);
  });

  it("tells of starts, crashes, restarts and stops", async () => {
    const names = ["actor-start", "actor-crash", "actor-restart", "actor-stop"] as const;
    const heard = names.map((name) => listen<{ actor: string }>(`esper:${name}`));
    const [started, crashed, restarted, stopped] = heard;
    const { system } = await startInline(tree());
    expect(started!.map((event) => event.actor)).toEqual(["a", "b", "c", "d"]);
    system.crash("d");
    await until(() => restarted!.length === 1);
    expect(crashed).toMatchObject([{ actor: "d", thread: "right", code: "HANDLER_FAILED" }]);
    expect(restarted).toMatchObject([{ actor: "d", thread: "right", starts: 2 }]);
    expect(started!.at(-1)).toMatchObject({ actor: "d", thread: "right", starts: 2 });
    await system.stop({ graceMs: 1_000 });
    expect(stopped!.map(({ actor: name }) => name)).toEqual(["d", "c", "b", "a"]);
  });

  it("tells of full mailboxes and dead letters", async () => {
    const full = listen<object>("esper:mailbox-full");
    const dead = listen<object>("esper:dead-letter");
    const { system } = await startInline(tree());
    const ref = system.ref(HopProtocol, "b");
    void ref.call("wait", null, within).catch(() => {});
    for (let index = 0; index < 6; index++) ref.cast("tell", []);
    await until(() => full.length > 0);
    expect(full[0]).toMatchObject({ actor: "b", message: "tell", lane: "control", from: "main" });
    expect(dead[0]).toMatchObject({ actor: "b", message: "tell", reason: "mailbox-full" });
  });
});
