/**
 * A thread that dies in every way, again and again, under load from two others: the actor in it
 * keeps its messages in their rings. DIRECT_ROUNDS=20 in the environment makes it the long drill.
 */
import { execFileSync } from "node:child_process";
import { closeSync, constants, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { boardMemory, SinkProtocol, sink } from "../fixtures/actors/direct-actors.mjs";
import { rejection, until } from "../unit/runtime/support.ts";
import { actor, startThreads, supervisor } from "./built.ts";
import { type Account, type How, startDirectDrill } from "./direct-support.ts";

const SCALE = Number(process.env["DIRECT_ROUNDS"] ?? 1);
const LONG_MS = 30_000 + 60_000 * SCALE;

/** Each poison is begun twice, all else is done once and in its order. */
function expectNothingLost(account: Account): void {
  const { sent, poisons, begun, ...failures } = account;
  expect(failures).toEqual({ lost: 0, repeated: 0, disorder: 0, unanswered: 0 });
  expect(begun).toBe(poisons * 2);
  expect(sent).toBeGreaterThan(400);
}

describe("a message that ends the thread by", () => {
  it.each<[How, number]>([
    ["exit", 2],
    ["outside", 2],
    ["loop", 2],
    ["oom", 1],
    ["throw", 5],
  ])(
    "%s is quarantined, and nothing else is lost",
    async (how, rounds) => {
      // A leak takes its time to fill the heap; nobody is stuck meanwhile.
      const alone = { stuckMs: how === "oom" ? 8_000 : 200, graceMs: 20 };
      const drill = await startDirectDrill({ spares: 1, threadOptions: { alone } });
      for (let round = 0; round < rounds * SCALE; round++) {
        await drill.poison(how);
        if (how !== "throw") await drill.poison(how, true);
      }
      expectNothingLost(await drill.finish());
      expect(drill.system.zombies).toBe(0);
    },
    LONG_MS,
  );
});

describe("a thread that is killed", () => {
  it.each([0, 1])(
    "with %i spares loses nothing, and begins again only what it had in hand",
    async (spares) => {
      const drill = await startDirectDrill({ spares });
      const kills = 8 * SCALE;
      for (let round = 0; round < kills; round++) await drill.kill();
      const { lost, repeated, disorder, unanswered, sent } = await drill.finish();
      expect({ lost, disorder, unanswered }).toEqual({ lost: 0, disorder: 0, unanswered: 0 });
      // Only a message that is not done within 20 ms, as on a busy machine, is begun again.
      expect(repeated).toBeLessThanOrEqual(kills / 4);
      expect(sent).toBeGreaterThan(1_000);
      const letters = drill.events.filter(({ kind }) => kind === "dead-letter");
      expect(letters).toEqual([]);
    },
    LONG_MS,
  );

  it(
    "takes no more memory with each death",
    async () => {
      const drill = await startDirectDrill();
      const deaths = async (count: number): Promise<number> => {
        for (let round = 0; round < count; round++) await drill.kill();
        await until(() => drill.system.status().every(({ state }) => state === "running"), 5_000);
        return process.memoryUsage().rss / 2 ** 20;
      };
      const before = await deaths(5);
      const after = await deaths(5 + 10 * (SCALE - 1));
      expect(after - before).toBeLessThan(60);
      expect((await drill.finish()).lost).toBe(0);
    },
    LONG_MS,
  );
});

describe("a thread that cannot be ended", () => {
  it("keeps its rings: what they hold is lost, and counted", async () => {
    const folder = mkdtempSync(join(tmpdir(), "direct-"));
    const fifo = join(folder, "fifo");
    execFileSync("mkfifo", [fifo]);
    const board = boardMemory();
    const children = { sink: actor(sink, { thread: "alone", config: () => ({ board }) }) };
    const { system, events } = await startThreads(supervisor({ children }), {
      threadOptions: { alone: { stuckMs: 100, graceMs: 20 } },
    });
    const ref = system.ref(SinkProtocol, "sink");
    const order = (index: number) => ({ stream: 0, index });
    const dead = (): number =>
      events.reduce((sum, event) => sum + (event.kind === "dead-letter" ? event.count : 0), 0);
    try {
      ref.cast("openFifo", fifo);
      for (let index = 0; index < 20; index++) ref.cast("control", order(index));
      const waiting = rejection(ref.call("answer", order(20), { deadlineMs: 9_000 }));
      await until(() => system.zombies === 1, 8_000);
      expect((await waiting).code).toBe("ACTOR_RESTARTING");
      expect(dead()).toBe(21);
      const retry = { deadlineMs: 8_000, onRestart: "retry" } as const;
      expect(await ref.call("answer", order(21), retry)).toBe(21);
    } finally {
      closeSync(openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK));
      rmSync(folder, { recursive: true });
    }
    await until(() => system.zombies === 0, 8_000);
    expect(system.status().map(({ mailboxDepth }) => mailboxDepth)).toEqual([0]);
    expect(new Int32Array(board)[0]).toBe(0);
    expect(dead()).toBe(21);
  });
});
