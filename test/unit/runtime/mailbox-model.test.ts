/** Random use of a mailbox, judged by an account of every message that knows no queues. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  emergencyCapacity,
  type LaneNumber,
  Mailbox,
  type Queued,
} from "../../../src/runtime/mailbox.ts";

interface Item extends Queued {
  readonly value: number;
  readonly isCall: boolean;
}

type Step =
  | {
      readonly do: "offer";
      readonly lane: LaneNumber;
      readonly from: number;
      readonly times: number;
    }
  | { readonly do: "take"; readonly times: number }
  | { readonly do: "remove" | "put-back"; readonly pick: number };

const SENDERS = 5;
const FRONT = 256;
const OVERFLOWS = ["wait", "reject", "drop-oldest", "latest-wins"] as const;

const lane = fc.constantFrom<LaneNumber>(0, 1, 2, 2, 2, 3, 3);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      ...{ do: fc.constant("offer" as const), lane, from: fc.nat(SENDERS - 1) },
      times: fc.oneof(fc.nat(6), fc.nat(90)),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("take" as const),
      times: fc.oneof(fc.nat(5), fc.nat(80)),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constantFrom("remove" as const, "put-back" as const),
      pick: fc.nat(),
    }),
  },
);
const use = fc.record({
  ...{ capacity: fc.integer({ min: 1, max: 300 }), overflow: fc.constantFrom(...OVERFLOWS) },
  steps: fc.array(step, { minLength: 1, maxLength: 70, size: "max" }),
});

/** What must be true of a mailbox, by bookkeeping alone. */
class Account {
  readonly box: Mailbox<Item>;
  readonly #capacity: number;
  readonly #inPlace: boolean;
  /** All that is queued, in order of arrival; what was put back comes first. */
  #queued: Item[] = [];
  readonly #taken: Item[] = [];
  /** Services of other lanes since a lane was served, for the lanes that wait. */
  readonly #passed = [0, 0, 0, 0];
  #next = 0;
  #putBacks = 0;

  constructor(capacity: number, overflow: (typeof OVERFLOWS)[number]) {
    this.box = new Mailbox<Item>({ capacity, overflow });
    this.#capacity = capacity;
    this.#inPlace = overflow === "latest-wins";
  }

  run(step: Step): void {
    if (step.do === "offer") for (let n = 0; n < step.times; n++) this.#offer(step.lane, step.from);
    else if (step.do === "take") for (let n = 0; n < step.times; n++) this.#take();
    else if (step.do === "remove") this.#remove(step.pick);
    else this.#putBack();
    this.#balance();
  }

  finish(): void {
    while (this.#queued.length > 0) this.#take();
    expect(this.box.take()).toBeUndefined();
    expect(new Set(this.#taken).size).toBe(this.#taken.length);
  }

  #offer(lane: LaneNumber, from: number): void {
    const value = this.#next++;
    const isCall = value % 3 === 0;
    const message = { value, lane, from, isCall, kindIndex: value % 2, queuedAtMs: value };
    const urgent = lane < 2;
    const limit = urgent ? emergencyCapacity(this.#capacity) : this.#capacity;
    const sharing = this.#queued.filter((item) => (urgent ? item.lane === lane : item.lane > 1));
    const full = lane !== 0 && sharing.length >= limit;
    const offer = this.box.offer(message);
    expect(offer === "queued").toBe(!full);
    if (offer === "queued") this.#queued.push(message);
    if (offer === "replaced") this.#replace(message);
  }

  #replace(message: Item): void {
    const gone = this.box.dropped as Item;
    const place = this.#queued.indexOf(gone);
    expect(place).toBeGreaterThanOrEqual(0);
    expect(gone.lane).toBeGreaterThanOrEqual(message.lane);
    const own = (item: Item) => item.from === message.from && item.lane === message.lane;
    if (!this.#inPlace) {
      // Within its sender and lane, what gave way is the oldest, but for what is in the line.
      const older = this.#queued.slice(0, place).filter((item) => own(item) && own(gone));
      expect(older.length).toBeLessThanOrEqual(FRONT + this.#putBacks);
      this.#queued.splice(place, 1);
      this.#queued.push(message);
      return;
    }
    expect([gone.isCall, gone.lane, gone.kindIndex]).toEqual([
      ...[false, message.lane, message.kindIndex],
    ]);
    const newest = this.#queued.findLast(
      (item) => own(item) && !item.isCall && item.kindIndex === message.kindIndex,
    );
    if (newest !== undefined) {
      expect(gone).toBe(newest);
      this.#queued[place] = message;
    } else {
      this.#queued.splice(place, 1);
      this.#queued.push(message);
    }
  }

  #take(): void {
    const message = this.box.take();
    expect(message === undefined).toBe(this.#queued.length === 0);
    if (message === undefined) return;
    this.#judgeTurn(message);
    const sent = (item: Item) => item.from === message.from && item.lane === message.lane;
    expect(message).toBe(this.#queued.find(sent));
    this.#queued.splice(this.#queued.indexOf(message), 1);
    this.#taken.push(message);
  }

  /** The highest lane, unless a lower one has waited its 63 (bulk) or 64 messages. */
  #judgeTurn(message: Item): void {
    const overtook = this.#queued.some((item) => item.lane < message.lane);
    const due = message.lane === 3 ? 63 : 64;
    if (overtook) expect(this.#passed[message.lane]).toBeGreaterThanOrEqual(due);
    this.#passed[message.lane] = 0;
    for (const lane of [1, 2, 3] as const) {
      if (!this.#queued.some((item) => item.lane === lane)) this.#passed[lane] = 0;
      else if (message.lane < lane) this.#passed[lane] = this.#pass(lane);
    }
  }

  #pass(lane: 1 | 2 | 3): number {
    const passed = this.#passed[lane] ?? 0;
    expect(passed).toBeLessThan(lane === 3 ? 63 : 64);
    return passed + 1;
  }

  #remove(pick: number): void {
    const message = this.#queued[pick % Math.max(1, this.#queued.length)];
    if (message === undefined) return;
    expect(this.box.remove(message)).toBe(true);
    expect(this.box.remove(message)).toBe(false);
    this.#queued.splice(this.#queued.indexOf(message), 1);
  }

  #putBack(): void {
    const message = this.#taken.pop();
    if (message === undefined) return;
    // Only the last one taken is put back: nothing of its sender was taken after it.
    this.box.putBack(message);
    this.#putBacks += 1;
    this.#queued.unshift(message);
  }

  #balance(): void {
    expect(this.box.size).toBe(this.#queued.length);
    for (const lane of [0, 1, 2, 3] as const) {
      const mine = this.#queued.filter((item) => item.lane === lane);
      expect(this.box.depth(lane)).toBe(mine.length);
    }
  }
}

describe("a mailbox in any use", () => {
  it("keeps each sender's order, its bounds and its turns, and neither loses nor doubles", () => {
    fc.assert(
      fc.property(use, ({ capacity, overflow, steps }) => {
        const account = new Account(capacity, overflow);
        for (const each of steps) account.run(each);
        account.finish();
      }),
      { numRuns: 30 },
    );
  });

  it("makes a message wait for 256 others and a round for each of its sender before it", () => {
    const flood = fc.array(
      fc.record({ from: fc.nat(SENDERS - 1), times: fc.nat(120), takes: fc.nat(60) }),
      { minLength: 1, maxLength: 40, size: "max" },
    );
    const property = fc.property(flood, (bursts) => {
      const delays = new Delays();
      for (const { from, times, takes } of bursts) {
        for (let count = 0; count < times; count++) delays.offer(from);
        for (let count = 0; count < takes; count++) delays.take();
      }
      while (delays.box.size > 0) delays.take();
    });
    fc.assert(property, { numRuns: 15 });
  });
});

/** How many messages of others each message had to wait for. */
class Delays {
  readonly box = new Mailbox<Item>({ capacity: 1_000_000, overflow: "reject" });
  readonly #sent = new Map<Item, { readonly servedBefore: number; readonly ownAhead: number }>();
  readonly #queued = new Array<number>(SENDERS).fill(0);
  #served = 0;

  offer(from: number): void {
    const ownAhead = this.#queued[from] ?? 0;
    const value = this.#sent.size;
    const message: Item = { value, lane: 2, from, isCall: false, kindIndex: 0, queuedAtMs: 0 };
    this.#sent.set(message, { servedBefore: this.#served, ownAhead });
    this.#queued[from] = ownAhead + 1;
    this.box.offer(message);
  }

  take(): void {
    const message = this.box.take();
    if (message === undefined) return;
    const { servedBefore, ownAhead } = this.#sent.get(message) ?? { servedBefore: 0, ownAhead: -1 };
    expect(ownAhead).toBeGreaterThanOrEqual(0);
    const others = this.#served - servedBefore - ownAhead;
    expect(others).toBeLessThanOrEqual(FRONT + (ownAhead + 1) * (SENDERS - 1));
    this.#queued[message.from] = (this.#queued[message.from] ?? 0) - 1;
    this.#served += 1;
  }
}
