import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FRONT, LaneQueue, type Sent } from "../../../src/runtime/lane-queue.ts";

interface Item extends Sent {
  readonly value: number;
}

const times = fc.oneof(fc.constantFrom(1, FRONT - 1, FRONT, FRONT + 1), fc.nat(500));
const act = fc.constantFrom("push", "push", "take", "take", "put-back", "remove" as const);
const step = fc.record({ act, from: fc.nat(2), times });

type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

/** A lane that is long for long: bursts of few senders, so that it splits and joins again. */
class Account {
  readonly lane = new LaneQueue<Item>();
  /** What each sender has queued, in its order. */
  readonly #queued: Item[][] = [[], [], []];
  readonly #taken: Item[] = [];
  #next = 0;

  run({ act, from, times }: Step): void {
    if (act === "push") this.push(from, times);
    else if (act === "take") this.take(times);
    else if (act === "put-back") this.putBack(times % 50);
    else this.remove(from, times);
    this.balance();
  }

  push(from: number, times: number): void {
    for (let count = 0; count < times; count++) {
      const value = this.#next++;
      const message = { value, from, isCall: false, kindIndex: 0, queuedAtMs: 0 };
      this.#queued[from]?.push(message);
      this.lane.push(message);
    }
  }

  take(times: number): void {
    for (let count = 0; count < times; count++) {
      const message = this.lane.shift();
      if (message === undefined) break;
      if (message !== this.#queued[message.from]?.shift())
        throw new Error(`order of ${message.from}`);
      this.#taken.push(message);
    }
  }

  putBack(times: number): void {
    for (let count = 0; count < times; count++) {
      const message = this.#taken.pop();
      if (message === undefined) return;
      this.#queued[message.from]?.unshift(message);
      this.lane.unshift(message);
    }
  }

  remove(from: number, place: number): void {
    const own = this.#queued[from] ?? [];
    const [message] = own.splice(place % Math.max(1, own.length), 1);
    if (message !== undefined) expect(this.lane.remove(message)).toBe(true);
  }

  balance(): void {
    expect(this.lane.size).toBe(this.#queued.reduce((sum, own) => sum + own.length, 0));
  }
}

describe("a lane", () => {
  it("keeps each sender's order whether it is one line or a crowd", () => {
    const steps = fc.array(step, { maxLength: 60, size: "max" });
    const property = fc.property(steps, (all) => {
      const account = new Account();
      for (const each of all) account.run(each);
      account.take(100_000);
      expect(account.lane.size).toBe(0);
    });
    fc.assert(property, { numRuns: 200 });
  });

  it("serves one sender alone as a plain queue, also after another was there", () => {
    const account = new Account();
    account.push(0, 1_000);
    account.push(1, 1);
    for (let round = 0; round < 20; round++) {
      account.take(100);
      account.push(0, 100);
    }
    account.push(2, 3);
    account.take(FRONT + 5);
    account.balance();
    // The three of the newcomer were served among the first, though a thousand stood before it.
    expect(account.lane.size).toBe(1_001 + 3 - FRONT - 5);
    account.take(100_000);
    expect(account.lane.size).toBe(0);
  });
});
