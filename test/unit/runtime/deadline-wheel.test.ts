import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { systemClock } from "../../../src/runtime/clock.ts";
import { DeadlineEntry, DeadlineWheel, SLOT_MS } from "../../../src/runtime/deadline-wheel.ts";
import { createFakeClock } from "../ui/fake-clock.ts";

const DAY_MS = 86_400_000;

class Alarm extends DeadlineEntry {
  readonly #onExpire: (alarm: Alarm, nowMs: number) => void;

  constructor(onExpire: (alarm: Alarm, nowMs: number) => void) {
    super();
    this.#onExpire = onExpire;
  }

  expire(nowMs: number): void {
    this.#onExpire(this, nowMs);
  }
}

/** A wheel on a clock that stands still, whose timers are counted. */
function setUp(background = false) {
  const clock = createFakeClock();
  const armed = { count: 0 };
  const counting = {
    ...clock,
    after: (delayMs: number, fire: () => void, keep?: boolean) => {
      armed.count += 1;
      return clock.after(delayMs, fire, keep);
    },
  };
  const wheel = new DeadlineWheel(counting, background);
  const fired: string[] = [];
  const alarm = (name: string) => new Alarm(() => fired.push(name));
  const inMs = (delayMs: number) => clock.monotonicMs() + delayMs;
  return { clock, wheel, fired, alarm, inMs, armed };
}

const span = fc.oneof(
  { weight: 4, arbitrary: fc.nat(300) },
  { weight: 2, arbitrary: fc.double({ min: 0, max: 20_000, noNaN: true }) },
  { weight: 1, arbitrary: fc.nat(DAY_MS) },
  { weight: 1, arbitrary: fc.nat(60 * DAY_MS) },
);
const step = fc.record({
  ...{ act: fc.constantFrom("add", "add", "add", "remove", "advance", "turn" as const) },
  ...{ which: fc.nat(19), span },
});

type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

/** Uses a wheel, and knows which of its twenty deadlines is armed for when. */
class Account {
  readonly #clock = createFakeClock();
  readonly #wheel = new DeadlineWheel(this.#clock);
  readonly #due = new Map<Alarm, number>();
  readonly #alarms = Array.from(
    { length: 20 },
    () => new Alarm((alarm, nowMs) => this.#expired(alarm, nowMs)),
  );

  run({ act, which, span }: Step): void {
    const alarm = this.#alarms[which] as Alarm;
    const nowMs = this.#clock.monotonicMs();
    if (act === "advance") this.#clock.advance(span);
    else if (act === "turn") this.#wheel.advance(nowMs);
    else if (act === "remove") expect(this.#wheel.remove(alarm)).toBe(this.#due.delete(alarm));
    else {
      this.#due.set(alarm, nowMs + span);
      this.#wheel.add(alarm, nowMs + span);
    }
    for (const atMs of this.#due.values()) {
      expect(atMs + SLOT_MS).toBeGreaterThanOrEqual(this.#clock.monotonicMs());
    }
    expect(this.#wheel.size).toBe(this.#due.size);
    expect(this.#clock.waiting).toBe(Math.min(1, this.#due.size));
  }

  finish(): void {
    this.#clock.advance(61 * DAY_MS);
    expect([this.#due.size, this.#wheel.size, this.#clock.waiting]).toEqual([0, 0, 0]);
  }

  #expired(alarm: Alarm, nowMs: number): void {
    expect(this.#due.get(alarm)).toBeLessThanOrEqual(nowMs);
    expect(nowMs).toBe(this.#clock.monotonicMs());
    this.#due.delete(alarm);
  }
}

describe("a wheel of deadlines", () => {
  it("expires each exactly once, never early, and late by one slot at most", () => {
    const property = fc.property(fc.array(step, { maxLength: 150, size: "max" }), (steps) => {
      const account = new Account();
      for (const each of steps) account.run(each);
      account.finish();
    });
    fc.assert(property, { numRuns: 100 });
  });

  it("has one timer for all, and none when nothing waits", () => {
    const { clock, wheel, fired, alarm, inMs } = setUp();
    const all = Array.from({ length: 500 }, (_, index) => alarm(`${index}`));
    all.forEach((each, index) => {
      wheel.add(each, inMs(500 - index));
    });
    expect(clock.waiting).toBe(1);
    clock.advance(600);
    expect([fired.length, clock.waiting]).toEqual([500, 0]);
    wheel.add(all[0] as Alarm, inMs(5));
    expect([wheel.remove(all[0] as Alarm), wheel.remove(all[0] as Alarm)]).toEqual([true, false]);
    expect(clock.waiting).toBe(0);
  });

  it("arms no timer anew for a million calls answered in time", () => {
    const { wheel, armed, alarm, inMs } = setUp(true);
    const call = alarm("call");
    for (let count = 0; count < 1_000_000; count++) {
      wheel.add(call, inMs(1_000));
      wheel.remove(call);
    }
    expect([wheel.size, armed.count]).toEqual([0, 1]);
  });

  it("in the background leaves its timer to run out, and is ready for the next entry", () => {
    const { clock, wheel, fired, alarm, inMs } = setUp(true);
    const first = alarm("first");
    wheel.add(first, inMs(100));
    wheel.remove(first);
    expect(clock.waiting).toBe(1);
    clock.advance(1_000);
    expect([fired, clock.waiting]).toEqual([[], 0]);
    wheel.add(alarm("second"), inMs(50));
    clock.advance(52);
    expect(fired).toEqual(["second"]);
  });

  it("moves an entry that is added again", () => {
    const { clock, wheel, fired, alarm, inMs } = setUp();
    const moved = alarm("moved");
    wheel.add(moved, inMs(10));
    wheel.add(moved, inMs(5_000));
    expect([wheel.size, moved.armed]).toEqual([1, true]);
    clock.advance(4_990);
    expect(fired).toEqual([]);
    clock.advance(12);
    expect([fired, moved.armed]).toEqual([["moved"], false]);
  });

  it("lets an entry add and remove others while it expires, itself included", () => {
    const { clock, wheel, fired, alarm, inMs } = setUp();
    const victim = alarm("victim");
    const late = alarm("late");
    let repeats = 0;
    const meddler = new Alarm((self) => {
      fired.push("meddler");
      wheel.remove(victim);
      if (repeats++ === 0) wheel.add(self, inMs(-1_000));
      wheel.add(late, inMs(0));
    });
    wheel.add(meddler, inMs(20));
    wheel.add(victim, inMs(20));
    clock.advance(20);
    // What is due at once when added waits for the next slot.
    expect(fired).toEqual(["meddler"]);
    clock.advance(SLOT_MS);
    expect(fired).toEqual(["meddler", "meddler"]);
    clock.advance(SLOT_MS);
    expect(fired).toEqual(["meddler", "meddler", "late"]);
    expect([victim.armed, wheel.size]).toEqual([false, 0]);
  });

  it("expires all that is due though one entry fails, and lets the failure out", () => {
    const { clock, wheel, fired, alarm, inMs } = setUp();
    const failing = new Alarm(() => {
      throw new RangeError("no such call");
    });
    wheel.add(alarm("one"), inMs(9));
    wheel.add(failing, inMs(9));
    wheel.add(alarm("two"), inMs(9));
    wheel.add(alarm("later"), inMs(90));
    expect(() => clock.advance(12)).toThrow(RangeError);
    expect(fired.sort()).toEqual(["one", "two"]);
    clock.advance(100);
    expect(fired).toContain("later");
  });

  it("can be turned by a busy thread whose timers do not run", () => {
    const { clock, wheel, fired, alarm, inMs } = setUp();
    wheel.add(alarm("a"), inMs(100));
    wheel.add(alarm("b"), inMs(200));
    wheel.advance(inMs(150));
    expect([fired, wheel.size]).toEqual([["a"], 1]);
    clock.advance(202);
    expect(fired).toEqual(["a", "b"]);
  });

  it("forgets everything when closed, and refuses what is no point in time", () => {
    const { clock, wheel, fired, alarm, inMs } = setUp();
    const one = alarm("one");
    wheel.add(one, inMs(1));
    wheel.close();
    clock.advance(100);
    expect([fired, wheel.size, one.armed, clock.waiting]).toEqual([[], 0, false, 0]);
    expect(() => wheel.add(one, Number.NaN)).toThrow("point in time");
  });

  it("is never early on the system's clock", async () => {
    const wheel = new DeadlineWheel(systemClock);
    const early: number[] = [];
    await new Promise<void>((resolve) => {
      let left = 200;
      for (let index = 0; index < 200; index++) {
        const alarm = new Alarm(({ deadlineAtMs }) => {
          if (systemClock.monotonicMs() < deadlineAtMs) early.push(deadlineAtMs);
          left -= 1;
          if (left === 0) resolve();
        });
        wheel.add(alarm, systemClock.monotonicMs() + ((index * 37) % 150) + 0.3);
      }
    });
    expect(early).toEqual([]);
  });
});
