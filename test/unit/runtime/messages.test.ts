import { describe, expect, it } from "vitest";
import { CancellationToken } from "../../../src/runtime/token.ts";
import { actor, supervisor } from "../../../src/runtime/topology.ts";
import { createMemory, ProbeProtocol, probe } from "../../fixtures/actors/probe.ts";
import { rejection, startInline, until } from "./support.ts";

const DEADLINE = { deadlineMs: 1_000 };

/** What a program without types can write. */
interface Loose {
  call(name: string, payload: unknown, options: unknown): Promise<unknown>;
  offer(name: string, payload: unknown, options: unknown): Promise<void>;
}

function two(first = probe(), second = probe()) {
  return supervisor({
    children: {
      one: actor(first, { thread: "main" }),
      two: actor(second, { thread: "side" }),
    },
  });
}

describe.each(["one", "two"])("calls to the actor %s", (name) => {
  it("answers with the handler's reply", async () => {
    const { system } = await startInline(two());
    const ref = system.ref(ProbeProtocol, name);
    expect(await ref.call("echo", { a: [1, 2] }, DEADLINE)).toEqual({ a: [1, 2] });
  });

  it("copies payload and reply as between threads", async () => {
    const { system } = await startInline(two());
    const payload = { list: [1] };
    const reply = await system.ref(ProbeProtocol, name).call("echo", payload, DEADLINE);
    expect(reply).toEqual(payload);
    expect(reply).not.toBe(payload);
  });

  it("refuses a payload that cannot cross threads and gives its place back", async () => {
    const { system } = await startInline(
      two(
        probe(createMemory(), { mailbox: { capacity: 1 } }),
        probe(createMemory(), { mailbox: { capacity: 1 } }),
      ),
    );
    const ref = system.ref(ProbeProtocol, name);
    const error = await rejection(ref.call("echo", { f: () => 1 }, DEADLINE));
    expect(error.code).toBe("NOT_TRANSFERABLE");
    expect(await ref.call("echo", 5, DEADLINE)).toBe(5);
    expect(system.status().find((status) => status.name === name)?.mailboxDepth).toBe(0);
  });

  it("fails with DEADLINE_EXCEEDED in time and counts the late reply", async () => {
    const { system } = await startInline(two());
    const ref = system.ref(ProbeProtocol, name);
    const began = performance.now();
    const error = await rejection(ref.call("slow", { delayMs: 500 }, { deadlineMs: 30 }));
    expect(error.code).toBe("DEADLINE_EXCEEDED");
    expect(performance.now() - began).toBeLessThan(400);
    expect(await ref.call("echo", 1, DEADLINE)).toBe(1);
  });

  it("does not handle a message whose deadline passed in the mailbox", async () => {
    const memory = createMemory();
    const { system, events } = await startInline(two(probe(memory), probe(memory)));
    const ref = system.ref(ProbeProtocol, name);
    const first = ref.call("slow", { delayMs: 60 }, DEADLINE);
    const late = rejection(ref.call("fail", { how: "bug" }, { deadlineMs: 10 }));
    expect((await late).code).toBe("DEADLINE_EXCEEDED");
    await first;
    await until(() => events.some((event) => event.kind === "dead-letter"));
    expect(events).toContainEqual(
      expect.objectContaining({ kind: "dead-letter", reason: "deadline-passed", message: "fail" }),
    );
    expect(memory.setups).toBe(2);
    expect(events.some((event) => event.kind === "crashed")).toBe(false);
  });

  it("settles with CANCELLED at once, and the running handler sees it", async () => {
    const { system } = await startInline(two());
    const ref = system.ref(ProbeProtocol, name);
    const token = new CancellationToken();
    const call = rejection(ref.call("slow", { delayMs: 5_000 }, { deadlineMs: 9_000, token }));
    await ref.call("urgent", 1, { deadlineMs: 20 }).catch(() => {});
    token.cancel();
    expect((await call).code).toBe("CANCELLED");
    // The handler ended early, else this call would wait for five seconds.
    expect(await ref.call("echo", 1, DEADLINE)).toBe(1);
  });

  it("says for what reason it was cancelled", async () => {
    const { system } = await startInline(two());
    const ref = system.ref(ProbeProtocol, name);
    const token = new CancellationToken();
    const call = rejection(ref.call("echo", 1, { ...DEADLINE, token }));
    token.cancel("stopped");
    expect(await call).toMatchObject({ code: "CANCELLED", details: { reason: "stopped" } });
    const late = await rejection(ref.call("echo", 1, { ...DEADLINE, token }));
    expect(late).toMatchObject({ code: "CANCELLED", details: { reason: "stopped" } });
  });

  it.each([
    undefined,
    {},
    { deadlineMs: Number.NaN },
    { deadlineMs: "5" },
    { deadlineMs: 2 ** 40 },
  ])("is refused without a deadline that can be kept: %j", async (options) => {
    const { system } = await startInline(two());
    const ref = system.ref(ProbeProtocol, name) as unknown as Loose;
    for (const sent of [ref.call("echo", 1, options), ref.offer("note", 1, options)]) {
      const error = await rejection(sent);
      expect(error).toMatchObject({ code: "CONFIG_INVALID", details: { path: "deadlineMs" } });
    }
  });

  it("never handles a queued call that was cancelled", async () => {
    const memory = createMemory();
    const { system, events } = await startInline(two(probe(memory), probe(memory)));
    const ref = system.ref(ProbeProtocol, name);
    const token = new CancellationToken();
    const first = ref.call("slow", { delayMs: 30 }, DEADLINE);
    const queued = rejection(ref.call("fail", { how: "bug" }, { deadlineMs: 900, token }));
    token.cancel();
    expect((await queued).code).toBe("CANCELLED");
    await first;
    expect(await ref.call("echo", 1, DEADLINE)).toBe(1);
    expect(events.some((event) => event.kind === "crashed")).toBe(false);
  });

  it("passes a coded error with its details and does not crash the actor", async () => {
    const memory = createMemory();
    const { system } = await startInline(two(probe(memory), probe(memory)));
    const ref = system.ref(ProbeProtocol, name);
    const error = await rejection(ref.call("fail", { how: "coded" }, DEADLINE));
    expect(error).toMatchObject({ code: "BLUEPRINT_UNKNOWN", details: { a: 1 } });
    expect(memory.setups).toBe(2);
    expect(system.restarts).toBe(0);
  });
});

describe("addressing", () => {
  it("refuses an unknown actor by name and makes the cast a dead letter", async () => {
    const { system, events } = await startInline(two());
    const ref = system.ref(ProbeProtocol, "nobody");
    const error = await rejection(ref.call("echo", 1, DEADLINE));
    expect(error.code).toBe("ACTOR_UNKNOWN");
    expect(error.message).toContain("one, two");
    expect(ref.cast("note", 1)).toBe(false);
    expect(events).toContainEqual(
      expect.objectContaining({ kind: "dead-letter", reason: "actor-unknown", actor: "nobody" }),
    );
  });

  it("refuses a message the protocol does not have", async () => {
    const { system } = await startInline(two());
    const ref = system.ref(ProbeProtocol, "one");
    const error = await rejection(ref.call("nonsense" as "echo", 1, DEADLINE));
    expect(error.code).toBe("MESSAGE_UNKNOWN");
    expect(() => ref.cast("echo" as "note", 1)).toThrow(/no cast named echo/);
  });

  it("refuses a call of an actor to itself instead of waiting for ever", async () => {
    const { system } = await startInline(two());
    const began = performance.now();
    const error = await rejection(system.ref(ProbeProtocol, "one").call("reenter", null, DEADLINE));
    expect(error.code).toBe("HANDLER_FAILED");
    expect(error.message).toContain("calls itself");
    expect(performance.now() - began).toBeLessThan(500);
  });

  it("lets actors of different threads call each other", async () => {
    const { system } = await startInline(two());
    const ref = system.ref(ProbeProtocol, "one");
    const order = { to: "two", payload: "hello", deadlineMs: 500 };
    expect(await ref.call("forward", order, DEADLINE)).toBe("hello");
  });

  it("draws an actor's random numbers from the run seed and its name", async () => {
    const { system } = await startInline(two());
    const again = await startInline(two());
    const draw = (from: typeof system, name: string) =>
      from.ref(ProbeProtocol, name).call("random", null, DEADLINE);
    expect(await draw(system, "one")).toBe(await draw(again.system, "one"));
    expect(await draw(system, "one")).not.toBe(await draw(again.system, "two"));
  });
});

describe("mailboxes", () => {
  it.each(["one", "two"])(
    "%s refuses beyond its capacity and says how full it is",
    async (name) => {
      const small = () => probe(createMemory(), { mailbox: { capacity: 3 } });
      const { system, events } = await startInline(two(small(), small()));
      const ref = system.ref(ProbeProtocol, name);
      const busy = ref.call("slow", { delayMs: 40 }, DEADLINE);
      await until(() => system.status().every(({ mailboxDepth }) => mailboxDepth === 0));
      expect([1, 2, 3, 4].map((value) => ref.cast("note", value))).toEqual([
        true,
        true,
        true,
        false,
      ]);
      const error = await rejection(ref.call("echo", 1, DEADLINE));
      expect(error).toMatchObject({ code: "MAILBOX_FULL", details: { depth: 3, capacity: 3 } });
      // An emergency has a capacity of its own.
      expect(await ref.call("urgent", 9, DEADLINE)).toBe(9);
      await busy;
      expect(events).toContainEqual(
        expect.objectContaining({ kind: "dead-letter", reason: "mailbox-full", message: "note" }),
      );
    },
  );

  it.each(["one", "two"])("%s lets calls wait for room under `wait`, in order", async (name) => {
    const memory = createMemory();
    const waiting = () => probe(memory, { mailbox: { capacity: 2, overflow: "wait" } });
    const { system } = await startInline(two(waiting(), waiting()));
    const ref = system.ref(ProbeProtocol, name);
    const calls = Array.from({ length: 50 }, (_, index) => ref.call("echo", index, DEADLINE));
    expect(await Promise.all(calls)).toEqual(Array.from({ length: 50 }, (_, index) => index));
  });

  it("keeps the newest under drop-oldest and counts the dropped", async () => {
    const memory = createMemory();
    const definition = probe(memory, { mailbox: { capacity: 3, overflow: "drop-oldest" } });
    const { system, events } = await startInline(two(definition));
    const ref = system.ref(ProbeProtocol, "one");
    for (let value = 1; value <= 5; value++) expect(ref.cast("note", value)).toBe(true);
    await until(() => memory.notes.length === 3);
    expect(memory.notes).toEqual([3, 4, 5]);
    await until(() => events.length >= 2);
    const dead = events.flatMap((event) => (event.kind === "dead-letter" ? [event.count] : []));
    expect(dead.reduce((sum, count) => sum + count, 0)).toBe(2);
  });

  it("keeps the latest value of a cast under latest-wins", async () => {
    const memory = createMemory();
    const definition = probe(memory, { mailbox: { capacity: 1, overflow: "latest-wins" } });
    const { system } = await startInline(two(definition));
    const ref = system.ref(ProbeProtocol, "one");
    ref.cast("note", 1);
    ref.cast("note", 2);
    await until(() => memory.notes.length > 0);
    expect(memory.notes).toEqual([2]);
  });
});
