/** An actor that keeps its messages in their rings, with its thread in the calling one. */
import { describe, expect, it } from "vitest";
import type { MailboxPolicy } from "../../../src/runtime/actor.ts";
import { CancellationToken } from "../../../src/runtime/token.ts";
import { actor, supervisor } from "../../../src/runtime/topology.ts";
import { block, createBook, keeper, numbers, startDrill } from "./direct-support.ts";
import { rejection, startInline, until } from "./support.ts";

const DEADLINE = { deadlineMs: 3_000 };

describe("a mailbox of the kind ring is refused", () => {
  const place = (thread: string, mailbox: Partial<MailboxPolicy> = { kind: "ring" }) =>
    actor(keeper(createBook()), { thread, mailbox });

  it.each([
    ["on the main thread", { one: place("main") }, "the main thread is never replaced"],
    [
      "beside another actor",
      { one: place("a"), two: place("a", {}) },
      "needs a thread of its own; a also has two",
    ],
    [
      "when messages would have to give way",
      { one: place("a", { kind: "ring", overflow: "drop-oldest" }) },
      "a message in a ring cannot give way; reject and wait are allowed",
    ],
    [
      "when it is none",
      { one: place("a", { kind: "disk" as never }) },
      'the mailbox kind is "disk"; "heap" or "ring" is allowed',
    ],
  ])("%s", async (_what, children, text) => {
    const error = await rejection(startInline(supervisor({ children })));
    expect(error).toMatchObject({ code: "CONFIG_INVALID" });
    expect(error.message).toContain(text);
  });

  it("for a spawned actor", async () => {
    const { system } = await startInline(supervisor({ children: { one: place("a") } }));
    const base = keeper(createBook());
    const definition = { ...base, mailbox: { ...base.mailbox, kind: "ring" as const } };
    expect(() => system.spawn(definition)).toThrow('its mailbox cannot be a "ring"');
  });
});

describe("an actor that keeps its messages in their rings", () => {
  it("serves emergencies first, then control, and bulk in its turn", async () => {
    const { book, keeper: ref } = await startDrill();
    const held = ref.call("hold", 0, DEADLINE);
    await until(() => book.begun.length === 1);
    for (const value of numbers(100)) ref.cast("bulk", value);
    for (const value of numbers(200, 1_000)) ref.cast("note", value);
    ref.cast("alarm", 5_000);
    ref.cast("first", 6_000);
    book.release();
    await held;
    await until(() => book.notes.length === 302);
    expect(book.notes.slice(0, 2)).toEqual([5_000, 6_000]);
    const control = book.notes.filter((value) => value >= 1_000 && value < 5_000);
    expect(control).toEqual(numbers(200, 1_000));
    expect(book.notes.filter((value) => value < 1_000)).toEqual(numbers(100));
    const firstBulk = book.notes.indexOf(0);
    expect(firstBulk).toBeGreaterThan(32);
    expect(firstBulk).toBeLessThan(66);
  });

  it("answers, forwards, asks others, and does not keep their answers waiting", async () => {
    const { keeper: ref, book } = await startDrill({ capacity: 64 });
    const payload = { text: "x".repeat(40_000) };
    expect(await ref.call("echo", payload, DEADLINE)).toEqual(payload);
    expect(await ref.call("pass", payload, DEADLINE)).toEqual(payload);
    const asked = ref.call("ask", payload, DEADLINE);
    for (const value of numbers(60)) ref.cast("note", value);
    expect(await asked).toEqual(payload);
    await until(() => book.notes.length === 60);
  });

  it("refuses what exceeds its capacity, and tells who waits that there is room", async () => {
    const drill = await startDrill({ capacity: 8, overflow: "reject" });
    const { keeper: ref, book, system } = drill;
    const held = ref.call("hold", 0, DEADLINE);
    await until(() => book.begun.length === 1);
    // The place of the message in hand is given back with its record.
    expect(numbers(10).filter((value) => ref.cast("note", value))).toHaveLength(7);
    const offers = numbers(20, 100).map((value) => ref.offer("note", value, DEADLINE));
    book.release();
    await held;
    await Promise.all(offers);
    await until(() => book.notes.length === 27);
    expect(book.notes.slice(7)).toEqual(numbers(20, 100));
    await until(() => system.status().every(({ mailboxDepth }) => mailboxDepth === 0));
  });

  it("never begins what was withdrawn while it waited", async () => {
    const { keeper: ref, book } = await startDrill();
    const held = ref.call("hold", 0, DEADLINE);
    await until(() => book.begun.length === 1);
    const token = new CancellationToken();
    const gone = rejection(ref.call("hold", 1, { ...DEADLINE, token }));
    const late = rejection(ref.call("hold", 2, { deadlineMs: 20 }));
    token.cancel();
    expect((await gone).code).toBe("CANCELLED");
    expect((await late).code).toBe("DEADLINE_EXCEEDED");
    book.release();
    await held;
    expect(await ref.call("echo", 1, DEADLINE)).toBe(1);
    expect(book.begun).toEqual([0]);
  });

  it("puts nothing aside, and its children are not reached from other threads", async () => {
    const { keeper: ref } = await startDrill();
    expect((await rejection(ref.call("aside", null, DEADLINE))).code).toBe("STASH_FULL");
    expect((await rejection(ref.call("child", null, DEADLINE))).code).toBe("NOT_TRANSFERABLE");
    expect(await ref.call("echo", 1, DEADLINE)).toBe(1);
  });

  it("restarts in its thread and begins the message that crashed it once more", async () => {
    const drill = await startDrill();
    const { keeper: ref, book, letters, system } = drill;
    for (const value of numbers(50)) ref.cast("note", value);
    ref.cast("throwing", 7);
    for (const value of numbers(50, 50)) ref.cast("note", value);
    const failing = rejection(ref.call("throwingCall", 8, DEADLINE));
    await until(() => book.notes.length === 100);
    expect((await failing).code).toBe("HANDLER_FAILED");
    expect(book.notes).toEqual(numbers(100));
    expect(book.begun).toEqual([7, 7, 8]);
    expect(letters()).toMatchObject([{ message: "throwing", reason: "quarantined", count: 1 }]);
    await until(() => system.restarts === 3);
    expect(system.status().map(({ mailboxDepth }) => mailboxDepth)).toEqual([0, 0]);
  });

  it("gives casts of its own their turn among those of others", async () => {
    const { keeper: ref, book } = await startDrill();
    for (const value of numbers(20)) ref.cast("toSelf", value);
    for (const value of numbers(100, 100)) ref.cast("note", value);
    await until(() => book.notes.length === 120);
    expect(book.notes.filter((value) => value < 100)).toEqual(numbers(20));
    expect(book.notes.indexOf(19)).toBeLessThan(60);
  });

  it("discards what it has not begun when it is stopped, and counts it", async () => {
    const drill = await startDrill({}, {}, { restart: "temporary" });
    const { keeper: ref, book, letters, system } = drill;
    block(book);
    const held = rejection(ref.call("hold", 0, DEADLINE));
    await until(() => book.begun.length === 1);
    for (const value of numbers(30)) ref.cast("note", value);
    const waiting = rejection(ref.call("echo", 1, DEADLINE));
    system.crash("keeper");
    book.release();
    await held.catch(() => null);
    await until(() => letters().reduce((sum, { count }) => sum + count, 0) >= 30);
    expect((await waiting).code).toBe("ACTOR_STOPPED");
    expect(book.notes).toEqual([]);
  });
});
