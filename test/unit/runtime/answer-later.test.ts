import { describe, expect, it } from "vitest";
import { EsperError } from "../../../src/protocols/errors.ts";
import type { MailboxPolicy } from "../../../src/runtime/actor.ts";
import { actor, supervisor } from "../../../src/runtime/topology.ts";
import { newMemory, PuppetProtocol, puppet } from "../../fixtures/actors/puppet.ts";
import { rejection, startInline, until } from "./support.ts";

const DEADLINE = { deadlineMs: 2_000 };
const OPEN_LIMIT = 1_024;

interface Work {
  readonly value: number;
  resolve(answer: number): void;
  reject(error: unknown): void;
}

interface Way {
  readonly thread: string;
  readonly how: "a promise" | "no promise";
}

const WAYS: readonly Way[] = ["main", "side"].flatMap((thread): Way[] => [
  { thread, how: "a promise" },
  { thread, how: "no promise" },
]);

/** An actor whose `double` is answered when the test says so. */
async function start(
  { thread, how }: Way,
  mailbox: Partial<MailboxPolicy> = {},
  shutdownMs = 1_000,
  handlerLimitMs?: number,
) {
  const open: Work[] = [];
  const memory = newMemory();
  const definition = puppet(memory, {
    mailbox,
    supervision: {
      ...{ intensity: 10, shutdownMs },
      ...(handlerLimitMs === undefined ? {} : { handlerLimitMs }),
    },
    onDouble(context, value) {
      if (how === "a promise") {
        return context.answerLater(
          new Promise<number>((resolve, reject) => open.push({ value, resolve, reject })),
        );
      }
      const answer = context.openAnswer<number>();
      const resolve = (given: number): void => answer.answer(given);
      open.push({ value, resolve, reject: (error) => answer.fail(error) });
      return answer.pending;
    },
  });
  const children = {
    server: actor(definition, { thread }),
    near: actor(puppet(), { thread: "main" }),
  };
  const { system } = await startInline(supervisor({ children }), {});
  return { system, memory, open, server: system.ref(PuppetProtocol, "server") };
}

describe.each(WAYS)("an answer that comes later, by $how, from the thread $thread", (way) => {
  it("lets the actor serve others meanwhile, and comes in any order", async () => {
    const { server, open, memory } = await start(way);
    const answers = [1, 2, 3].map((value) => server.call("double", value, DEADLINE));
    await until(() => open.length === 3);
    server.cast("note", 7);
    await until(() => memory.notes.length === 1);
    for (const { value, resolve } of open.reverse()) resolve(value * 10);
    expect(await Promise.all(answers)).toEqual([10, 20, 30]);
  });

  it("may be a coded error, which is no crash", async () => {
    const { server, open, memory } = await start(way);
    const call = rejection(server.call("double", 1, DEADLINE));
    await until(() => open.length === 1);
    open[0]?.reject(new EsperError("WAL_FULL", "no room", {}));
    expect((await call).code).toBe("WAL_FULL");
    expect(memory.lives).toBe(1);
  });

  it("ends with a crash of the actor, its own or another message's", async () => {
    const { server, open, memory } = await start(way);
    const calls = [1, 2].map((value) => rejection(server.call("double", value, DEADLINE)));
    await until(() => open.length === 2);
    open[1]?.reject(new TypeError("a bug"));
    expect((await calls[1])?.code).toBe("HANDLER_FAILED");
    expect((await calls[0])?.code).toBe("ACTOR_RESTARTING");
    await until(() => memory.lives === 2);
    open[0]?.resolve(5);
    const again = server.call("double", 4, DEADLINE);
    await until(() => open.length === 3);
    open[2]?.resolve(8);
    expect(await again).toBe(8);
  });

  it("is bounded: with 1,024 open the actor takes up no more until one is given", async () => {
    const { server, open } = await start(way, { capacity: 4_096 });
    const calls = Array.from({ length: OPEN_LIMIT + 6 }, (_, index) =>
      server.call("double", index, { deadlineMs: 10_000 }),
    );
    await until(() => open.length === OPEN_LIMIT);
    await new Promise((resolve) => setImmediate(resolve));
    expect(open).toHaveLength(OPEN_LIMIT);
    open[3]?.resolve(33);
    await until(() => open.length === OPEN_LIMIT + 1);
    for (const { value, resolve } of open) resolve(value);
    await until(() => open.length === OPEN_LIMIT + 6);
    for (const { value, resolve } of open) resolve(value);
    const answers = await Promise.all(calls);
    expect(answers[3]).toBe(33);
    expect(answers.at(-1)).toBe(OPEN_LIMIT + 5);
  });

  it("is waited for by a stop, after the last words", async () => {
    const { server, open, memory, system } = await start(way);
    const call = server.call("double", 1, DEADLINE);
    await until(() => open.length === 1);
    const stopped = system.stop({ graceMs: 1_000 });
    await until(() => memory.stops > 0);
    open[0]?.resolve(2);
    expect(await call).toBe(2);
    await stopped;
  });

  it("that never comes holds a stop no longer than its grace", async () => {
    const { server, open, system } = await start(way, {}, 50);
    const call = rejection(server.call("double", 1, DEADLINE));
    await until(() => open.length === 1);
    await system.stop({ graceMs: 500 });
    expect((await call).code).toBe("ACTOR_STOPPED");
  });

  it("that is given a second time is passed over", async () => {
    const { server, open, memory } = await start(way);
    const call = server.call("double", 1, DEADLINE);
    await until(() => open.length === 1);
    open[0]?.resolve(2);
    open[0]?.resolve(3);
    open[0]?.reject(new TypeError("too late to matter"));
    expect(await call).toBe(2);
    expect(memory.lives).toBe(1);
  });

  it("that takes longer than the actor may is a failure of the actor", async () => {
    const { server, open, memory } = await start(way, {}, 1_000, 20);
    const quick = server.call("double", 1, DEADLINE);
    await until(() => open.length === 1);
    open[0]?.resolve(2);
    expect(await quick).toBe(2);
    const slow = rejection(server.call("double", 1, DEADLINE));
    expect((await slow).code).toBe("HANDLER_TIMEOUT");
    await until(() => memory.lives === 2);
  });
});

it("may be given before the handler has returned", async () => {
  const definition = puppet(newMemory(), {
    onDouble(context, value) {
      const answer = context.openAnswer<number>();
      answer.answer(2 * value);
      return answer.pending;
    },
  });
  const children = { server: actor(definition, { thread: "side" }) };
  const { system } = await startInline(supervisor({ children }), {});
  const server = system.ref(PuppetProtocol, "server");
  expect(await Promise.all([1, 2].map((value) => server.call("double", value, DEADLINE)))).toEqual([
    2, 4,
  ]);
});

it("can only be promised for a call in hand", async () => {
  let thrown: unknown = null;
  const definition = puppet(newMemory(), {
    onNote: (context) => {
      try {
        context.answerLater(Promise.resolve(1));
      } catch (error) {
        thrown = error;
      }
    },
  });
  const children = { server: actor(definition, { thread: "main" }) };
  const { system } = await startInline(supervisor({ children }), {});
  system.ref(PuppetProtocol, "server").cast("note", 1);
  await until(() => thrown !== null);
  expect(thrown).toMatchObject({ code: "MESSAGE_UNKNOWN" });
});
