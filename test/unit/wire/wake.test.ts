import { describe, expect, it } from "vitest";
import {
  CONDEMNED,
  DEAD,
  IDLE,
  RUNNING,
  ThreadBlock,
  threadBlockMemory,
} from "../../../src/runtime/wire/thread-block.ts";
import { park, resume, wakeIfIdle } from "../../../src/runtime/wire/wake.ts";

/** A thread's block as its owner and as another thread see it. */
function block() {
  const memory = threadBlockMemory();
  const own = new ThreadBlock(memory);
  own.own();
  return { own, other: new ThreadBlock(memory), memory };
}

describe("a thread that parks", () => {
  it("sleeps when there is no work, and one waker must ring", () => {
    const { own, other } = block();
    expect(park(own, () => false)).toBe(true);
    expect(other.state).toBe(IDLE);
    expect([wakeIfIdle(other), wakeIfIdle(other)]).toEqual([true, false]);
    expect(own.state).toBe(RUNNING);
    expect(other.read()).toMatchObject({ parks: 1, wakes: 1 });
  });

  it("goes on when work came before it was idle", () => {
    const { own } = block();
    expect(park(own, () => true)).toBe(false);
    expect([own.state, own.read().parks]).toEqual([RUNNING, 0]);
  });

  it("goes on when a waker was quicker than its look for work", () => {
    const { own, other } = block();
    const rung: boolean[] = [];
    const parked = park(own, () => {
      rung.push(wakeIfIdle(other));
      return true;
    });
    expect([parked, rung, own.state]).toEqual([false, [true], RUNNING]);
  });

  it("is woken by a waker that comes between the look and the sleep", () => {
    const { own, other } = block();
    let claimed = false;
    const parked = park(own, () => {
      claimed = wakeIfIdle(other);
      return false;
    });
    // Its bell is on the way: it sleeps until then.
    expect([parked, claimed]).toEqual([true, true]);
  });

  it("is never rung while it runs", () => {
    const { own, other } = block();
    expect(wakeIfIdle(other)).toBe(false);
    park(own, () => false);
    resume(own);
    expect(wakeIfIdle(other)).toBe(false);
  });

  it("may park again after a bell that rang for nothing and changed no state", () => {
    const { own, other } = block();
    park(own, () => false);
    expect(park(own, () => false)).toBe(true);
    expect(wakeIfIdle(other)).toBe(true);
  });
});

describe("a condemned or replaced thread", () => {
  it.each([
    ["condemned", CONDEMNED],
    ["dead", DEAD],
  ] as const)("can neither be woken nor wake up: %s", (_name, state) => {
    const { own, other } = block();
    if (state === CONDEMNED) other.condemn();
    else other.die();
    expect(park(own, () => true)).toBe(true);
    resume(own);
    expect([own.state, own.isOwner, wakeIfIdle(other)]).toEqual([state, false, false]);
  });

  it("cannot change the state of its replacement", () => {
    const { own, memory } = block();
    park(own, () => false);
    const replacement = new ThreadBlock(memory);
    const epoch = replacement.own();
    expect([replacement.state, replacement.epoch]).toEqual([RUNNING, epoch]);
    expect([own.isOwner, replacement.isOwner]).toEqual([false, true]);
    park(own, () => false);
    expect(replacement.state).toBe(RUNNING);
    park(replacement, () => false);
    resume(own);
    expect(replacement.state).toBe(IDLE);
  });

  it("gets an epoch of its own each time", () => {
    const memory = threadBlockMemory();
    const epochs = [1, 2, 3].map(() => new ThreadBlock(memory).own());
    expect(epochs).toEqual([1, 2, 3]);
  });
});

describe("a thread's block", () => {
  it("shows the handler that runs, and a new heartbeat for each", () => {
    const { own, other } = block();
    expect(other.read()).toMatchObject({ actor: null, heartbeat: 0 });
    own.enter(0, 3, 12.5);
    expect(other.read()).toMatchObject({ actor: 0, kind: 3, handlerStartedAtMs: 12.5 });
    own.leave();
    own.enter(4_000, 5, 14);
    expect(other.read()).toMatchObject({ actor: 4_000, heartbeat: 2 });
    own.leave();
    expect(other.read().actor).toBeNull();
  });

  it("counts what the loop does", () => {
    const { own, other } = block();
    own.beat();
    own.spun();
    own.ringFull();
    own.ringFull();
    own.showLag(7.25);
    const expected = { heartbeat: 1, spins: 1, ringFull: 2, loopLagMs: 7.25 };
    expect(other.read()).toMatchObject(expected);
  });

  it("has one word for all urgent rings", () => {
    const { own, other } = block();
    const before = own.urgent;
    other.bumpUrgent();
    other.bumpUrgent();
    expect(own.urgent - before).toBe(2);
  });

  it("refuses memory of another size", () => {
    expect(() => new ThreadBlock(new SharedArrayBuffer(64))).toThrow(/thread block/);
  });
});
