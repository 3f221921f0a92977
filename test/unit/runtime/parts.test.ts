import { describe, expect, it } from "vitest";
import { EsperError } from "../../../src/protocols/errors.ts";
import { call as declareCall, protocol } from "../../../src/protocols/protocol.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import { Credits, Tally } from "../../../src/runtime/thread/credits.ts";
import { DeadLetters } from "../../../src/runtime/thread/dead-letters.ts";
import { RunLoop } from "../../../src/runtime/thread/loop.ts";
import { PendingCall } from "../../../src/runtime/thread/pending.ts";
import type { DeadLetter } from "../../../src/runtime/thread/types.ts";
import { compileProtocol, type Kind } from "../../../src/runtime/wire/protocol-table.ts";

describe("the table of credits", () => {
  it("grants as many places as there are, apart for the urgent", () => {
    const credits = Credits.allocate(2);
    const take = (urgent: boolean) => credits.take(1, urgent ? 1 : 2, false, 2);
    expect([take(false), take(false), take(false)]).toEqual(["granted", "granted", "full"]);
    expect(take(true)).toBe("granted");
    expect(credits.depth(1)).toBe(3);
    expect(credits.depth(0)).toBe(0);
    credits.release(1, 3);
    expect(take(false)).toBe("granted");
  });

  it("is shared by everyone who has its memory", () => {
    const here = Credits.allocate(1);
    const there = new Credits(here.memory);
    there.take(0, 2, false, 9);
    expect(here.depth(0)).toBe(1);
  });

  it("tells at its closing how many casts were open, and refuses from then on", () => {
    const credits = Credits.allocate(1);
    for (let cast = 0; cast < 3; cast++) credits.take(0, 2, true, 9);
    credits.take(0, 2, false, 9);
    credits.release(0, 2);
    credits.closeCast(0);
    expect(credits.close(0)).toBe(2);
    expect(credits.take(0, 2, true, 9)).toBe("closed");
    expect(credits.take(0, 0, false, 9)).toBe("closed");
    expect(credits.depth(0)).toBe(0);
  });

  it("grants what the owner has begun again, to whoever knew of it and to whoever did not", () => {
    const owner = Credits.allocate(1);
    const senders = [new Credits(owner.memory), new Credits(owner.memory)];
    const policy = { capacity: 2, overflow: "reject" } as const;
    owner.open(0, policy);
    const takes = (sender: number, isCast: boolean) => senders[sender]?.take(0, 2, isCast, 2);
    expect([takes(0, true), takes(1, false), takes(0, true)]).toEqual([
      "granted",
      "granted",
      "full",
    ]);
    owner.release(0, 2);
    expect([takes(1, true), takes(0, false)]).toEqual(["granted", "full"]);
    // Another actor in the slot begins with what is in its mailbox, not with what was before.
    owner.release(0, 2);
    owner.close(0);
    owner.open(0, policy, 0, 1, 1);
    expect(owner.depth(0)).toBe(1);
    expect([takes(0, true), takes(1, true)]).toEqual(["granted", "full"]);
    owner.release(0, 2);
    owner.retake(0, 2);
    expect(takes(0, false)).toBe("full");
    expect(owner.close(0)).toBe(2);
    expect(owner.close(0)).toBe(0);
  });

  it("counts on where its words wrap around", () => {
    const credits = Credits.allocate(1);
    credits.open(0, { capacity: 4, overflow: "reject" }, 0, 0, 2 ** 30 - 2);
    const takes = () => credits.take(0, 2, true, 4);
    for (let round = 0; round < 8; round++) {
      expect(takes()).toBe("granted");
      credits.release(0, 2);
      credits.closeCast(0);
    }
    expect(credits.depth(0)).toBe(0);
  });

  it("gives back a place whose message was not sent", () => {
    const credits = Credits.allocate(1);
    expect(credits.take(0, 2, true, 1)).toBe("granted");
    credits.giveBack(0, 2, true);
    expect(credits.depth(0)).toBe(0);
    expect(credits.take(0, 2, false, 1)).toBe("granted");
    expect(credits.close(0)).toBe(0);
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

describe("the loop of a thread", () => {
  it("lets timers run while actors keep each other busy for ever", async () => {
    const loop = new RunLoop({ clock: systemClock, arrivals: null, spinMs: 0 });
    let turns = 0;
    const busy = {
      turn() {
        turns += 1;
        loop.spend();
        loop.schedule(busy);
      },
    };
    loop.schedule(busy);
    // Every round needs a timer to fire, and the busy actor must have had its turns meanwhile.
    for (let round = 0; round < 100 && turns <= 100; round++) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    loop.close();
    expect(turns).toBeGreaterThan(100);
  });

  it("parks when there is nothing to do, also when its slice was used up", async () => {
    let parked = 0;
    let polled = 0;
    const arrivals = {
      poll: () => {
        polled += 1;
        // A poll that takes longer than a slice.
        const endsAt = performance.now() + 6;
        while (polled === 1 && performance.now() < endsAt);
        return polled === 1 ? 1 : 0;
      },
      pollUrgent: () => {},
      pending: () => false,
      resume: () => {},
      park: () => {
        parked += 1;
        return true;
      },
    };
    const loop = new RunLoop({ clock: systemClock, arrivals, spinMs: 0 });
    const long = {
      turn() {
        while (!loop.spend());
      },
    };
    loop.schedule(long);
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(parked).toBeGreaterThan(0);
    loop.close();
  });
});

describe("a pending call", () => {
  const asked = compileProtocol(protocol("one", { echo: declareCall<null, number>() })).list[0];

  function pending(deadlineMs: number) {
    const outcome: unknown[] = [];
    let late = 0;
    const owner = {
      nowMs: () => systemClock.monotonicMs(),
      arm: () => {},
      onSettled: () => {},
      onLateReply: () => {
        late += 1;
      },
    };
    const resolve = (value: unknown) => outcome.push(value);
    const reject = (error: EsperError) => outcome.push(error.code);
    const atMs = systemClock.monotonicMs() + deadlineMs;
    const call = new PendingCall(
      owner,
      "one",
      asked as Kind,
      { sentAtMs: 0, deadlineAtMs: atMs },
      null,
      resolve,
      reject,
    );
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
