import { describe, expect, it } from "vitest";
import { EsperError } from "../../../src/protocols/errors.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import { Credits, Tally } from "../../../src/runtime/thread/credits.ts";
import { DeadLetters } from "../../../src/runtime/thread/dead-letters.ts";
import type { ThreadDriver } from "../../../src/runtime/thread/driver.ts";
import { Host } from "../../../src/runtime/thread/host.ts";
import { createInlineChannel } from "../../../src/runtime/thread/inline-link.ts";
import { PendingCall } from "../../../src/runtime/thread/pending.ts";
import { RunQueue } from "../../../src/runtime/thread/run-queue.ts";
import { Threads } from "../../../src/runtime/thread/threads.ts";
import type { DeadLetter } from "../../../src/runtime/thread/types.ts";
import type { HostSeed, Route } from "../../../src/runtime/thread/wire.ts";
import { CancellationToken } from "../../../src/runtime/token.ts";

describe("the table of credits", () => {
  it("grants as many places as there are, apart for the urgent", () => {
    const credits = Credits.allocate(2);
    const take = (urgent: boolean) => credits.take(1, urgent, false, 2);
    expect([take(false), take(false), take(false)]).toEqual(["granted", "granted", "full"]);
    expect(take(true)).toBe("granted");
    expect(credits.depth(1)).toBe(3);
    expect(credits.depth(0)).toBe(0);
    credits.release(1, false);
    expect(take(false)).toBe("granted");
  });

  it("is shared by everyone who has its memory", () => {
    const here = Credits.allocate(1);
    const there = new Credits(here.memory);
    there.take(0, false, false, 9);
    expect(here.depth(0)).toBe(1);
  });

  it("tells at its closing how many casts were open, and refuses from then on", () => {
    const credits = Credits.allocate(1);
    for (let cast = 0; cast < 3; cast++) credits.take(0, false, true, 9);
    credits.take(0, false, false, 9);
    credits.release(0, false);
    credits.closeCast(0);
    expect(credits.close(0)).toBe(2);
    expect(credits.take(0, false, true, 9)).toBe("closed");
    expect(credits.take(0, true, false, 9)).toBe("closed");
    expect(credits.depth(0)).toBe(0);
  });

  it("keeps the tally apart for every actor", () => {
    const tally = Tally.allocate(2);
    tally.countProcessed(1);
    tally.countProcessed(1);
    tally.countFailed(0);
    expect([tally.processed(0), tally.processed(1), tally.failed(0)]).toEqual([0, 2, 1]);
  });
});

describe("dead letters", () => {
  it("are reported at once, and a flood of equal ones in one more report", async () => {
    const letters: DeadLetter[] = [];
    const dead = new DeadLetters((letter) => letters.push(letter));
    const message = { name: "note", lane: "bulk", from: "main" } as const;
    for (let count = 0; count < 500; count++) dead.add("one", message, "mailbox-full");
    expect(letters.map(({ count }) => count)).toEqual([1]);
    dead.add("two", message, "mailbox-full");
    await new Promise((resolve) => setImmediate(resolve));
    expect(letters.map(({ actor, count }) => [actor, count])).toEqual([
      ["one", 1],
      ["two", 1],
      ["one", 499],
    ]);
  });
});

describe("the run queue", () => {
  it("lets timers run while actors keep each other busy for ever", async () => {
    const queue = new RunQueue(systemClock);
    let turns = 0;
    const busy = {
      turn() {
        turns += 1;
        queue.spend();
        queue.schedule(busy);
      },
    };
    queue.schedule(busy);
    // Every round needs a timer to fire, and the busy actor must have had its turns meanwhile.
    for (let round = 0; round < 100 && turns <= 100; round++) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    queue.close();
    expect(turns).toBeGreaterThan(100);
  });
});

describe("a token", () => {
  it("is one word seen by every copy, and each copy runs its own listeners once", () => {
    const here = new CancellationToken();
    const there = new CancellationToken(here.handle);
    const ran: string[] = [];
    here.onCancel(() => ran.push("here"));
    there.onCancel(() => ran.push("there"));
    here.cancel();
    expect(there.cancelled).toBe(true);
    expect(ran).toEqual(["here"]);
    there.cancel();
    there.cancel();
    expect(ran).toEqual(["here", "there"]);
    expect(there.signal.aborted).toBe(true);
  });
});

describe("a pending call", () => {
  function pending(deadlineMs: number) {
    const outcome: unknown[] = [];
    const call = new PendingCall(
      {
        ...{ id: 1, what: "one.echo", token: null },
        deadlineAtMs: systemClock.monotonicMs() + deadlineMs,
        resolve: (value) => outcome.push(value),
        reject: (error) => outcome.push(error.code),
      },
      systemClock,
    );
    let late = 0;
    call.onLate = () => {
      late += 1;
    };
    return { call, outcome, late: () => late };
  }

  it("settles once, and counts a reply that comes after", () => {
    const { call, outcome, late } = pending(1_000);
    call.fail(new EsperError("MAILBOX_FULL", "full"));
    call.reply(5);
    expect(outcome).toEqual(["MAILBOX_FULL"]);
    expect(late()).toBe(1);
  });

  it("takes no reply after the deadline though its timer has not run yet", () => {
    const { call, outcome, late } = pending(3);
    const endsAt = performance.now() + 6;
    while (performance.now() < endsAt);
    call.reply(5);
    expect(outcome).toEqual(["DEADLINE_EXCEEDED"]);
    expect(late()).toBe(1);
  });
});

describe("threads", () => {
  it("report one that does not end, and start its replacement all the same", async () => {
    const route: Route = {
      ...{ name: "one", protocol: "probe", thread: "side", slot: 0, index: 0 },
      ...{ capacity: 1, overflow: "reject" },
    };
    const mainCredits = Credits.allocate(1).memory;
    const seed: Omit<HostSeed, "thread" | "epoch" | "credits"> = {
      ...{ runSeed: 1, incarnation: 1, routes: [route], tally: Tally.allocate(1).memory },
      ...{ collector: null, encodeLocal: false, setupLimitMs: 100 },
    };
    const main = new Host({
      seed: { ...seed, thread: "main", epoch: 1, credits: mainCredits },
      actors: [],
      clock: systemClock,
      report: () => {},
    });
    const spawned: number[] = [];
    const driver: ThreadDriver = {
      spawn(hostSeed, _actors, events) {
        spawned.push(hostSeed.epoch);
        setImmediate(() => events.report({ kind: "ready" }));
        return { control: () => {}, terminate: () => new Promise<never>(() => {}) };
      },
      connect: () => {},
      connectHere: () => createInlineChannel(false)[0],
    };
    const told: string[] = [];
    const impatient = {
      ...systemClock,
      after: (delayMs: number, fire: () => void, background?: boolean) =>
        systemClock.after(delayMs / 100, fire, background),
    };
    const threads = new Threads({
      ...{ driver, clock: impatient, main, mainCredits, actors: [], routes: [route], seed },
      report: () => {},
      died: (thread) => told.push(`died ${thread}`),
      stuck: (thread, limitMs) => told.push(`stuck ${thread} ${limitMs}`),
    });
    await threads.ensure("side");
    threads.kill("side");
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(told).toEqual(["stuck side 5000", "died side"]);
    await threads.ensure("side");
    expect(spawned).toEqual([1, 2]);
    main.close();
  });
});
