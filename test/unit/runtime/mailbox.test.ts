import { describe, expect, it } from "vitest";
import {
  emergencyCapacity,
  type LaneNumber,
  Mailbox,
  type Queued,
} from "../../../src/runtime/mailbox.ts";

const SYSTEM = 0;
const EMERGENCY = 1;
const CONTROL = 2;
const BULK = 3;

interface Item extends Queued {
  readonly value: number;
}

function item(value: number, lane: LaneNumber = CONTROL, more: Partial<Item> = {}): Item {
  return { value, lane, isCall: false, kindIndex: 0, from: 1, queuedAtMs: value, ...more };
}

type Overflow = "wait" | "reject" | "drop-oldest" | "latest-wins";

function mailbox(capacity: number, overflow: Overflow = "reject"): Mailbox<Item> {
  return new Mailbox<Item>({ capacity, overflow });
}

function takeAll(box: Mailbox<Item>): number[] {
  const taken: number[] = [];
  for (let next = box.take(); next !== undefined; next = box.take()) taken.push(next.value);
  return taken;
}

/** Offers, and answers the value of the message that gave way. */
function offered(box: Mailbox<Item>, message: Item): string | number {
  const offer = box.offer(message);
  return offer === "replaced" ? (box.dropped?.value ?? Number.NaN) : offer;
}

describe("lanes", () => {
  it("are served system, emergency, control, bulk, each in order of arrival", () => {
    const box = mailbox(10);
    for (const round of [0, 10]) {
      for (const lane of [BULK, CONTROL, EMERGENCY, SYSTEM] as const) {
        box.offer(item(lane + round, lane));
      }
    }
    expect(box.hasUrgent).toBe(true);
    expect(takeAll(box)).toEqual([0, 10, 1, 11, 2, 12, 3, 13]);
    expect(box.hasUrgent).toBe(false);
  });

  it.each([SYSTEM, EMERGENCY, CONTROL] as const)(
    "give bulk one turn in 64 however much of lane %i there is",
    (lane) => {
      const box = mailbox(10_000);
      for (let count = 0; count < 100; count++) box.offer(item(-1, BULK));
      let served = 0;
      for (let count = 0; count < 6_400; count++) {
        box.offer(item(count, lane));
        if (box.take()?.value === -1) served += 1;
      }
      expect(served).toBe(100);
    },
  );

  it.each([
    [EMERGENCY, CONTROL],
    [SYSTEM, CONTROL],
    [SYSTEM, EMERGENCY],
  ] as const)("pass lane %i over at most 64 times while one of lane %i waits", (high, low) => {
    const box = mailbox(10_000);
    for (let count = 0; count < 20; count++) {
      box.offer(item(-1, low));
      box.offer(item(-2, BULK));
    }
    let row = 0;
    let longest = 0;
    for (let count = 0; count < 1_200; count++) {
      box.offer(item(count, high));
      const value = box.take()?.value ?? 0;
      row = value === -1 ? 0 : row + (value === -2 ? 0 : 1);
      longest = Math.max(longest, row);
    }
    expect(longest).toBe(64);
    expect(box.depth(low)).toBeLessThanOrEqual(3);
  });

  it("report their depth and the age of their oldest", () => {
    const box = mailbox(100);
    expect([box.depth(BULK), box.oldestQueuedAtMs(BULK)]).toEqual([0, null]);
    for (let count = 0; count < 40; count++) box.offer(item(1_000 + count, BULK));
    // Beyond the front, another sender's older message is not at the head of the lane.
    box.offer(item(5, BULK, { from: 2, queuedAtMs: 900 }));
    expect([box.depth(BULK), box.oldestQueuedAtMs(BULK)]).toEqual([41, 900]);
    expect([box.size, box.depth(CONTROL)]).toEqual([41, 0]);
    for (const queuedAtMs of [2 ** 31 - 5, -(2 ** 31) + 3]) box.offer(item(0, 2, { queuedAtMs }));
    expect(box.oldestQueuedAtMs(CONTROL)).toBe(2 ** 31 - 5);
  });
});

describe("room", () => {
  it("is shared by control and bulk, apart for emergencies, and unlimited for system", () => {
    const box = mailbox(16);
    for (let value = 0; value < 8; value++) {
      box.offer(item(value));
      box.offer(item(value, BULK));
    }
    expect([box.offer(item(0)), box.offer(item(0, BULK))]).toEqual(["refused", "refused"]);
    const reserve = emergencyCapacity(16);
    expect(reserve).toBe(66);
    for (let value = 0; value < reserve; value++) {
      expect(box.offer(item(value, EMERGENCY))).toBe("queued");
    }
    expect(box.offer(item(0, EMERGENCY))).toBe("refused");
    for (let value = 0; value < 5_000; value++) box.offer(item(value, SYSTEM));
    expect(box.size).toBe(16 + reserve + 5_000);
  });

  it("comes back with every message taken or withdrawn", () => {
    const box = mailbox(2, "wait");
    const first = item(1);
    box.offer(first);
    box.offer(item(2, BULK));
    expect(box.offer(item(3))).toBe("refused");
    expect([box.remove(first), box.remove(first)]).toEqual([true, false]);
    expect(box.offer(item(3))).toBe("queued");
    box.take();
    expect(box.offer(item(4))).toBe("queued");
    expect(takeAll(box)).toEqual([4, 2]);
  });
});

describe("overflow", () => {
  it.each(["reject", "wait"] as const)("%s refuses the newcomer", (overflow) => {
    const box = mailbox(1, overflow);
    box.offer(item(1));
    expect(offered(box, item(2))).toBe("refused");
    expect(takeAll(box)).toEqual([1]);
  });

  it("drop-oldest gives up bulk first and never a higher lane for a lower", () => {
    const box = mailbox(2, "drop-oldest");
    box.offer(item(1));
    box.offer(item(2, BULK));
    expect(offered(box, item(3))).toBe(2);
    expect(offered(box, item(4))).toBe(1);
    expect(offered(box, item(5, BULK))).toBe("refused");
    expect(takeAll(box)).toEqual([3, 4]);
  });

  it("drop-oldest gives up the oldest emergency for a new one, and nothing else", () => {
    const box = mailbox(1, "drop-oldest");
    box.offer(item(-1));
    for (let value = 0; value < emergencyCapacity(1); value++) box.offer(item(value, EMERGENCY));
    expect(offered(box, item(99, EMERGENCY))).toBe(0);
    expect(box.depth(CONTROL)).toBe(1);
  });

  it("drop-oldest lets a sender that floods a crowded lane lose its own messages", () => {
    const box = mailbox(100, "drop-oldest");
    for (let value = 0; value < 99; value++) box.offer(item(value, BULK));
    box.offer(item(1_000, BULK, { from: 2 }));
    for (let value = 100; value < 300; value++) {
      expect(offered(box, item(value, BULK))).toBeLessThan(300);
    }
    expect(takeAll(box)).toContain(1_000);
  });

  it("latest-wins replaces the newest queued cast of its kind in place, and never a call", () => {
    const box = mailbox(4, "latest-wins");
    box.offer(item(1, CONTROL, { isCall: true }));
    box.offer(item(2));
    box.offer(item(3));
    box.offer(item(4, CONTROL, { kindIndex: 7 }));
    expect(offered(box, item(5))).toBe(3);
    expect(offered(box, item(6, CONTROL, { isCall: true }))).toBe("refused");
    expect(offered(box, item(7, CONTROL, { kindIndex: 9 }))).toBe("refused");
    expect(offered(box, item(8, BULK))).toBe("refused");
    expect(takeAll(box)).toEqual([1, 2, 5, 4]);
  });

  it("latest-wins prefers the sender's own, and keeps its order with another's", () => {
    const box = mailbox(3, "latest-wins");
    box.offer(item(1));
    box.offer(item(2, CONTROL, { from: 2 }));
    box.offer(item(3, CONTROL, { from: 3, kindIndex: 5 }));
    expect(offered(box, item(4))).toBe(1);
    expect(offered(box, item(5, CONTROL, { from: 3 }))).toBe(2);
    expect(takeAll(box)).toEqual([4, 3, 5]);
  });
});

describe("exceptions to the order", () => {
  it("a message put back is the next of its lane, also in a full mailbox", () => {
    const box = mailbox(2);
    box.offer(item(1));
    box.offer(item(2));
    const first = box.take() as Item;
    box.offer(item(3));
    box.putBack(first);
    expect([box.size, box.offer(item(4))]).toEqual([3, "refused"]);
    expect(takeAll(box)).toEqual([1, 2, 3]);
  });

  it("drain empties everything, highest lane first, and the mailbox can be used again", () => {
    const box = mailbox(100);
    for (let value = 0; value < 50; value++) box.offer(item(value, BULK, { from: value % 3 }));
    box.offer(item(-1, SYSTEM));
    box.offer(item(-2));
    const shown: number[] = [];
    box.forEach(({ value }) => {
      shown.push(value);
    });
    expect([box.size, shown.length, new Set(shown).size]).toEqual([52, 52, 52]);
    const drained = box.drain().map(({ value }) => value);
    expect(drained.slice(0, 2)).toEqual([-1, -2]);
    expect(drained.slice(2).sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, i) => i));
    expect([box.size, box.take(), box.drain()]).toEqual([0, undefined, []]);
    box.offer(item(7, BULK));
    expect(takeAll(box)).toEqual([7]);
  });
});

describe("fairness between senders", () => {
  it("lets a message pass a flood after 256 messages and one round", () => {
    const box = mailbox(2_000);
    for (let value = 0; value < 1_000; value++)
      box.offer(item(value, CONTROL, { from: value % 3 }));
    box.offer(item(-1, CONTROL, { from: 9 }));
    const taken = takeAll(box);
    expect(taken.indexOf(-1)).toBeLessThanOrEqual(256 + 3);
    expect(taken.indexOf(-1)).toBeGreaterThanOrEqual(256);
    expect(taken).toHaveLength(1_001);
  });

  it("passes a single flooding sender just so, again and again", () => {
    const box = mailbox(10_000);
    let next = 0;
    const flood = (count: number) => {
      for (let sent = 0; sent < count; sent++) box.offer(item(next++));
    };
    flood(1_000);
    for (let round = 1; round <= 20; round++) {
      expect(box.offer(item(-round, CONTROL, { from: 2 }))).toBe("queued");
      const ahead = Array.from({ length: 258 }, () => box.take()?.value);
      expect(ahead).toContain(-round);
      flood(240 + round);
    }
    const left = box.size;
    const rest = takeAll(box);
    expect(rest).toHaveLength(left);
    expect(rest).toEqual([...rest].sort((left, right) => left - right));
  });

  it("serves a short lane strictly in order of arrival, whoever sent", () => {
    const box = mailbox(100);
    for (let value = 0; value < 32; value++) box.offer(item(value, BULK, { from: value % 5 }));
    expect(takeAll(box)).toEqual(Array.from({ length: 32 }, (_, value) => value));
  });
});
