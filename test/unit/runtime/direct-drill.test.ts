/** What the death of its thread leaves of an actor that keeps its messages in their rings. */
import { describe, expect, it } from "vitest";
import { block, type Drill, numbers, startDrill } from "./direct-support.ts";
import { rejection, until } from "./support.ts";

const DEADLINE = { deadlineMs: 3_000 };
const RETRY = { deadlineMs: 3_000, onRestart: "retry" } as const;

/** The thread holds a message in hand, and dies. */
async function killInHand({ system, book }: Drill, begun: number): Promise<void> {
  await until(() => book.begun.length === begun);
  const { restarts } = system;
  system.kill("keeper");
  await until(() => system.restarts > restarts);
}

const balanced = ({ system }: Drill) =>
  until(() => system.status().every(({ mailboxDepth }) => mailboxDepth === 0));

describe("the death of the thread", () => {
  it("loses nothing, repeats nothing, and keeps the order of each sender", async () => {
    const drill = await startDrill();
    const { keeper: ref, other, book, system, letters } = drill;
    let sent = 0;
    for (let round = 0; round < 20; round++) {
      const flood = other.call(
        "flood",
        { to: "keeper", from: 100_000 + sent, count: 20 },
        DEADLINE,
      );
      for (const value of numbers(20, sent)) expect(ref.cast("note", value)).toBe(true);
      sent += 20;
      if (round % 2 === 0) await flood;
      const { restarts } = system;
      system.kill("keeper");
      for (const value of numbers(20, sent)) expect(ref.cast("note", value)).toBe(true);
      await flood;
      await other.call("flood", { to: "keeper", from: 100_000 + sent, count: 20 }, DEADLINE);
      sent += 20;
      await until(() => system.restarts > restarts);
      // Far enough apart for the supervision to start it again at once.
      await new Promise((resolve) => setTimeout(resolve, 12));
    }
    await until(() => book.notes.length >= sent * 2);
    expect(book.notes.filter((value) => value < 100_000)).toEqual(numbers(sent));
    expect(book.notes.filter((value) => value >= 100_000)).toEqual(numbers(sent, 100_000));
    expect(letters()).toEqual([]);
    await balanced(drill);
  });

  it("leaves calls that wait to the replacement, and the one in hand is begun again", async () => {
    const drill = await startDrill();
    const { keeper: ref, book } = drill;
    const held = ref.call("hold", 1, DEADLINE);
    const waiting = [2, 3, 4].map((value) => ref.call("echo", value, DEADLINE));
    await killInHand(drill, 1);
    const meanwhile = ref.call("echo", { five: "x".repeat(30_000) }, DEADLINE);
    book.release();
    expect(await held).toBe(1);
    expect(await Promise.all(waiting)).toEqual([2, 3, 4]);
    expect(await meanwhile).toEqual({ five: "x".repeat(30_000) });
    expect(book.begun).toEqual([1, 1]);
    await balanced(drill);
  });

  it("quarantines a message that was begun twice, and goes on behind it", async () => {
    const drill = await startDrill();
    const { keeper: ref, book, letters } = drill;
    ref.cast("holdCast", 1);
    const poison = rejection(ref.call("hold", 2, DEADLINE));
    for (const value of numbers(10)) ref.cast("note", value);
    await killInHand(drill, 1);
    await killInHand(drill, 2);
    await killInHand(drill, 3);
    await killInHand(drill, 4);
    expect((await poison).code).toBe("HANDLER_FAILED");
    await until(() => book.notes.length === 10);
    expect(book.begun).toEqual([1, 1, 2, 2]);
    expect(letters()).toMatchObject([
      { actor: "keeper", message: "holdCast", reason: "quarantined", count: 1, from: "main" },
      { actor: "keeper", message: "hold", reason: "quarantined", count: 1 },
    ]);
    await balanced(drill);
  });

  it("counts an attempt that crashed the actor only", async () => {
    const drill = await startDrill();
    const { keeper: ref, book, system, letters } = drill;
    ref.cast("holdCast", 1);
    await until(() => book.begun.length === 1);
    system.crash("keeper");
    book.release();
    await until(() => system.restarts === 1);
    block(book);
    ref.cast("holdCast", 2);
    await until(() => book.begun.includes(2));
    await killInHand(drill, 2);
    ref.cast("note", 3);
    await killInHand(drill, 3);
    await until(() => book.notes.length === 1);
    expect(book.begun).toEqual([1, 2, 2]);
    expect(letters()).toMatchObject([{ message: "holdCast", reason: "quarantined" }]);
  });

  it("keeps a buffer that is given away meanwhile; one already posted is lost", async () => {
    let onExit = (): void => {};
    const drill = await startDrill(
      {},
      { onEvent: ({ kind }) => (kind === "thread-exit" ? onExit() : undefined) },
    );
    const { keeper: ref, book, system } = drill;
    const given = new ArrayBuffer(64);
    const echoed = new Promise<unknown>((resolve) => {
      onExit = () => resolve(ref.call("echo", given, { ...DEADLINE, transfer: [given] }));
    });
    system.kill("keeper");
    expect(await echoed).toMatchObject({ byteLength: 64 });
    expect(given.byteLength).toBe(0);
    ref.cast("holdCast", 2);
    const other = new ArrayBuffer(64);
    const lost = rejection(ref.call("echo", other, { ...DEADLINE, transfer: [other] }));
    await killInHand(drill, 1);
    book.release();
    expect((await lost).message).toContain("which is not there");
    expect(await ref.call("echo", 1, RETRY)).toBe(1);
    await balanced(drill);
  });

  it("keeps waiting senders waiting, and tells them when there is room", async () => {
    const drill = await startDrill({ capacity: 4, overflow: "wait" });
    const { keeper: ref, book, letters } = drill;
    ref.cast("holdCast", 1);
    for (const value of numbers(40)) expect(ref.cast("note", value)).toBe(true);
    const offers = numbers(10, 40).map((value) => ref.offer("note", value, DEADLINE));
    await killInHand(drill, 1);
    book.release();
    await Promise.all(offers);
    await until(() => book.notes.length === 50);
    expect(book.notes).toEqual(numbers(50));
    expect(letters()).toEqual([]);
  });

  it("counts what the actor had sent to itself as dead letters", async () => {
    const drill = await startDrill();
    const { keeper: ref, letters } = drill;
    for (const value of numbers(5)) ref.cast("toSelf", value);
    // The first of its own casts is in its heap when the thread dies within the same turn.
    ref.cast("holdCast", 1);
    await killInHand(drill, 1);
    drill.book.release();
    await until(() => drill.book.notes.length + letters().length >= 5);
    const dead = letters().reduce((sum, { count }) => sum + count, 0);
    expect(drill.book.notes.length + dead).toBe(5);
    await balanced(drill);
  });

  it("of an actor that is not started again counts all it held", async () => {
    const drill = await startDrill({}, {}, { restart: "temporary" });
    const { keeper: ref, book, letters, system } = drill;
    ref.cast("holdCast", 1);
    for (const value of numbers(30)) ref.cast("note", value);
    const waiting = rejection(ref.call("echo", 1, DEADLINE));
    await until(() => book.begun.length === 1);
    system.kill("keeper");
    expect((await waiting).code).toBe("ACTOR_STOPPED");
    expect(letters().reduce((sum, { count }) => sum + count, 0)).toBe(31);
    expect((await rejection(ref.call("echo", 1, DEADLINE))).code).toBe("ACTOR_STOPPED");
  });
});

describe("the death of a sender", () => {
  it("leaves what it had sent, also when the receiver dies too", async () => {
    const drill = await startDrill();
    const { keeper: ref, other, book, system, letters } = drill;
    for (const dies of [false, true]) {
      block(book);
      const begun = book.begun.length;
      book.notes.length = 0;
      ref.cast("holdCast", 0);
      await until(() => book.begun.length === begun + 1);
      await other.call("flood", { to: "keeper", from: 0, count: 50 }, RETRY);
      const { restarts } = system;
      system.kill("other");
      await until(() => system.restarts === restarts + 1);
      await other.call("flood", { to: "keeper", from: 50, count: 50 }, RETRY);
      if (dies) await killInHand(drill, begun + 1);
      book.release();
      await until(() => book.notes.length === 100);
      expect(book.notes).toEqual(numbers(100));
    }
    expect(letters()).toEqual([]);
    await balanced(drill);
  });
});
