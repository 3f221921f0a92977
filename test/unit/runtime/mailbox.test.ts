import { describe, expect, it } from "vitest";
import type { Lane } from "../../../src/protocols/protocol.ts";
import { Fifo } from "../../../src/runtime/fifo.ts";
import { Mailbox, type Queued, WAITING_ROOM } from "../../../src/runtime/mailbox.ts";

interface Item extends Queued {
  readonly value: number;
}

const item = (value: number, lane: Lane = "control", kind: Item["kind"] = "cast"): Item => ({
  ...{ value, lane, kind, name: "note" },
});

function takeAll(mailbox: Mailbox<Item>): number[] {
  const taken: number[] = [];
  for (let next = mailbox.take(); next !== undefined; next = mailbox.take()) taken.push(next.value);
  return taken;
}

describe("lanes", () => {
  it("are served system, emergency, control, bulk, each in order of arrival", () => {
    const mailbox = new Mailbox<Item>({ capacity: 10, overflow: "reject" });
    const lanes: Lane[] = ["bulk", "control", "emergency", "system"];
    for (const round of [0, 1]) {
      lanes.forEach((lane, index) => {
        mailbox.offer(item(index + 10 * round, lane));
      });
    }
    expect(takeAll(mailbox)).toEqual([3, 13, 2, 12, 1, 11, 0, 10]);
  });

  it.each(["control", "emergency", "system"] as Lane[])(
    "give bulk one turn in 64 however much %s there is",
    (lane) => {
      const mailbox = new Mailbox<Item>({ capacity: 1_000, overflow: "reject" });
      for (let value = 0; value < 1_000; value++) mailbox.offer(item(value, lane));
      if (lane === "control") for (let value = 0; value < 100; value++) mailbox.take();
      for (let value = 0; value < 100; value++) mailbox.offer(item(-1, "bulk"));
      const taken = Array.from({ length: 640 }, () => mailbox.take()?.value ?? 0);
      expect(taken.filter((value) => value === -1)).toHaveLength(10);
    },
  );

  it("keep room for the urgent when the rest is full", () => {
    const mailbox = new Mailbox<Item>({ capacity: 2, overflow: "reject" });
    for (const value of [1, 2]) mailbox.offer(item(value, "bulk"));
    expect(mailbox.offer(item(3)).kind).toBe("refused");
    expect(mailbox.offer(item(4, "emergency")).kind).toBe("queued");
    expect(mailbox.offer(item(5, "system")).kind).toBe("queued");
    expect(mailbox.offer(item(6, "system")).kind).toBe("refused");
  });
});

describe("overflow", () => {
  it("reject refuses the newcomer", () => {
    const mailbox = new Mailbox<Item>({ capacity: 1, overflow: "reject" });
    mailbox.offer(item(1));
    expect(mailbox.offer(item(2))).toEqual({ kind: "refused" });
    expect(takeAll(mailbox)).toEqual([1]);
  });

  it("wait admits calls in order as room appears, and refuses casts", () => {
    const mailbox = new Mailbox<Item>({ capacity: 2, overflow: "wait" });
    const kinds = [1, 2, 3, 4].map((value) => mailbox.offer(item(value, "control", "call")).kind);
    expect(kinds).toEqual(["queued", "queued", "waiting", "waiting"]);
    expect(mailbox.offer(item(9)).kind).toBe("refused");
    mailbox.take();
    // A newcomer does not overtake those who wait.
    expect(mailbox.offer(item(5, "control", "call")).kind).toBe("waiting");
    expect(takeAll(mailbox)).toEqual([2, 3, 4, 5]);
  });

  it("wait is bounded itself", () => {
    const mailbox = new Mailbox<Item>({ capacity: 1, overflow: "wait" });
    for (let value = 0; value <= WAITING_ROOM; value++) mailbox.offer(item(value, "bulk", "call"));
    expect(mailbox.offer(item(0, "bulk", "call")).kind).toBe("refused");
    expect(mailbox.size).toBe(WAITING_ROOM + 1);
  });

  it("drop-oldest gives up bulk first and never a higher lane for a lower", () => {
    const mailbox = new Mailbox<Item>({ capacity: 2, overflow: "drop-oldest" });
    mailbox.offer(item(1));
    mailbox.offer(item(2, "bulk"));
    expect(mailbox.offer(item(3))).toMatchObject({ dropped: { value: 2 } });
    expect(mailbox.offer(item(4))).toMatchObject({ dropped: { value: 1 } });
    expect(mailbox.offer(item(5, "bulk"))).toEqual({ kind: "refused" });
    expect(takeAll(mailbox)).toEqual([3, 4]);
  });

  it("latest-wins replaces the queued cast of that name, and never a call", () => {
    const mailbox = new Mailbox<Item>({ capacity: 2, overflow: "latest-wins" });
    mailbox.offer(item(1, "control", "call"));
    mailbox.offer(item(2));
    expect(mailbox.offer(item(3))).toMatchObject({ dropped: { value: 2 } });
    expect(mailbox.offer(item(4, "control", "call"))).toEqual({ kind: "refused" });
    expect(mailbox.offer({ ...item(5), name: "other" })).toEqual({ kind: "refused" });
    expect(takeAll(mailbox)).toEqual([1, 3]);
  });
});

describe("exceptions to the order", () => {
  it("a message put back is the next of its lane, also in a full mailbox", () => {
    const mailbox = new Mailbox<Item>({ capacity: 2, overflow: "reject" });
    mailbox.offer(item(1));
    mailbox.offer(item(2));
    const first = mailbox.take() as Item;
    mailbox.offer(item(3));
    mailbox.putBack(first);
    expect(takeAll(mailbox)).toEqual([1, 2, 3]);
  });

  it("a withdrawn message is gone and makes room for one that waits", () => {
    const mailbox = new Mailbox<Item>({ capacity: 1, overflow: "wait" });
    const first = item(1, "control", "call");
    mailbox.offer(first);
    mailbox.offer(item(2, "control", "call"));
    expect(mailbox.remove(first)).toBe(true);
    expect(mailbox.remove(first)).toBe(false);
    expect(takeAll(mailbox)).toEqual([2]);
  });

  it("drain empties everything", () => {
    const mailbox = new Mailbox<Item>({ capacity: 1, overflow: "wait" });
    for (const value of [1, 2]) mailbox.offer(item(value, "bulk", "call"));
    mailbox.offer(item(3, "system"));
    expect(mailbox.drain().map(({ value }) => value)).toEqual([3, 1, 2]);
    expect(mailbox.size).toBe(0);
  });
});

describe("a fifo", () => {
  it("equals an array under 20,000 random operations", () => {
    const fifo = new Fifo<number>();
    let model: number[] = [];
    let state = 1;
    const draw = (bound: number) => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return (state >>> 16) % bound;
    };
    for (let step = 0; step < 20_000; step++) {
      const operation = draw(8);
      if (operation < 3) {
        fifo.push(step);
        model.push(step);
      } else if (operation < 6) expect(fifo.shift()).toBe(model.shift());
      else if (operation === 6) {
        fifo.unshift(step);
        model = [step, ...model];
      } else {
        const wanted = model[draw(Math.max(1, model.length))];
        expect(fifo.remove((value) => value === wanted)).toBe(wanted);
        model = model.filter((value) => value !== wanted);
      }
      expect(fifo.size).toBe(model.length);
    }
    expect(fifo.drain()).toEqual(model);
  });

  it("keeps order over many takes from a long queue", () => {
    const fifo = new Fifo<number>();
    for (let value = 0; value < 5_000; value++) fifo.push(value);
    for (let value = 0; value < 5_000; value++) expect(fifo.shift()).toBe(value);
    expect(fifo.shift()).toBeUndefined();
  });
});
