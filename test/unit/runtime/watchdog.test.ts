import { beforeEach, describe, expect, it } from "vitest";
import { OCCUPATION } from "../../../src/runtime/thread/occupation.ts";
import { Watchdog } from "../../../src/runtime/thread/watchdog.ts";
import { ThreadBlock, threadBlockMemory } from "../../../src/runtime/wire/thread-block.ts";
import { createFakeClock } from "../ui/fake-clock.ts";

const POLICY = { stuckMs: 100, graceMs: 50, heapLimitMb: null, spare: true };

let clock: ReturnType<typeof createFakeClock>;
let block: ThreadBlock;
let told: string[];
let changing: boolean;
let idleMs: number;
let onAsk: () => void;
let watchdog: Watchdog;

beforeEach(() => {
  clock = createFakeClock();
  block = new ThreadBlock(threadBlockMemory());
  told = [];
  changing = false;
  idleMs = 0;
  onAsk = () => {};
  watchdog = new Watchdog({
    clock,
    transitionLimitMs: 1_000,
    isChanging: () => changing,
    ask: () => onAsk(),
    idleMs: () => idleMs,
    stuck: ({ actor, kind, ageMs }) => told.push(`stuck ${actor}/${kind} ${ageMs}`),
    end: ({ ageMs }) => told.push(`end ${ageMs}`),
  });
  watchdog.watch("side", block, POLICY);
});

describe("a thread that hangs", () => {
  it("in a handler is told after the limit and ended after the grace, once", () => {
    block.enter(3, 2, 0);
    clock.advance(10);
    clock.advance(100);
    expect(told).toEqual(["stuck 3/2 100"]);
    clock.advance(1_000);
    expect(told).toEqual(["stuck 3/2 100", "end 150"]);
  });

  it("lives when it lets go within the grace, and is watched anew", () => {
    block.enter(3, 2, 0);
    clock.advance(140);
    block.leave();
    onAsk = () => block.beat();
    block.beat();
    clock.advance(5_000);
    expect(told).toEqual(["stuck 3/2 100"]);
    onAsk = () => {};
    block.enter(3, 0, 0);
    clock.advance(300);
    expect(told).toEqual(["stuck 3/2 100", "stuck 3/0 100", "end 150"]);
  });

  it("has the whole grace, though it let go and its loop has not turned yet", () => {
    block.enter(3, 2, 0);
    clock.advance(110);
    block.leave();
    clock.advance(30);
    expect(told).toEqual(["stuck 3/2 100"]);
    block.beat();
    clock.advance(100);
    expect(told).toEqual(["stuck 3/2 100"]);
  });

  it("between two messages is ended after one and a half times the limit", () => {
    clock.advance(140);
    expect(told).toEqual([]);
    clock.advance(10);
    expect(told).toEqual(["stuck -1/0 150", "end 150"]);
  });

  it("in a setup or a stop has the limit of those", () => {
    block.enter(1, OCCUPATION.setup, 0);
    clock.advance(1_000);
    expect(told).toEqual([]);
    clock.advance(10);
    expect(told).toEqual(["stuck 1/-1 1000"]);
  });

  it("after an await of a setup has the same limit", () => {
    changing = true;
    clock.advance(990);
    expect(told).toEqual([]);
    clock.advance(20);
    expect(told).toEqual(["stuck -1/0 1000", "end 1000"]);
  });
});

describe("a thread that does not hang", () => {
  it("is asked to beat at half the limit and left alone when it does", () => {
    const askedAt: number[] = [];
    onAsk = () => {
      askedAt.push(clock.monotonicMs());
      block.beat();
    };
    clock.advance(10_000);
    expect(told).toEqual([]);
    expect(askedAt.length).toBeGreaterThan(100);
  });

  it("and merely gets no processor is known by its loop, which waits", () => {
    const timer = (): void => {
      idleMs += 1;
      clock.after(10, timer);
    };
    timer();
    clock.advance(10_000);
    expect(told).toEqual([]);
  });

  it("is not held to be stuck when the main thread stood still", () => {
    block.enter(3, 2, 0);
    clock.advance(20);
    // The timer of the watchdog fires late, as it does on a main thread that is blocked.
    let jumped = 0;
    const late = new Watchdog({
      clock: { ...clock, monotonicMs: () => clock.monotonicMs() + jumped },
      ...{ transitionLimitMs: 1_000, isChanging: () => false, ask: () => {}, idleMs: () => 0 },
      stuck: () => told.push("late stuck"),
      end: () => told.push("late end"),
    });
    late.watch("side", block, POLICY);
    watchdog.unwatch("side");
    clock.advance(30);
    jumped = 60_000;
    clock.advance(10);
    expect(told).toEqual([]);
    clock.advance(60);
    expect(told).toEqual(["late stuck"]);
  });

  it("costs no timer when nothing is watched", () => {
    watchdog.unwatch("side");
    expect(clock.waiting).toBe(0);
  });
});
