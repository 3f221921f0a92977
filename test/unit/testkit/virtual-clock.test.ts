import { expect, it } from "vitest";
import { MAX_DELAY_MS } from "../../../src/runtime/clock.ts";
import { VirtualClock } from "../../../src/runtime/testkit/virtual-clock.ts";

function recorder() {
  const clock = new VirtualClock();
  const began = clock.monotonicMs();
  const fired: string[] = [];
  const after = (delayMs: number, name: string) =>
    clock.after(delayMs, () => fired.push(`${name}@${clock.monotonicMs() - began}`));
  return { clock, fired, after };
}

it("stands still until it is told to move", () => {
  const { clock, fired, after } = recorder();
  after(0, "at once");
  expect([fired.length, clock.waiting]).toEqual([0, 1]);
  clock.advance(0);
  expect(fired).toEqual(["at once@0"]);
});

it("fires in the order of the times, equal ones in the order they were set", () => {
  const { clock, fired, after } = recorder();
  after(5, "late");
  after(2, "first");
  after(2, "second");
  after(1, "early");
  clock.advance(10);
  expect(fired).toEqual(["early@1", "first@2", "second@2", "late@5"]);
});

it("fires what a timer sets, if its time comes too", () => {
  const { clock, fired, after } = recorder();
  clock.after(3, () => {
    after(4, "inside");
    after(40, "outside");
  });
  clock.advance(10);
  expect(fired).toEqual(["inside@7"]);
  expect(clock.waiting).toBe(1);
});

it("never fires what was cancelled", () => {
  const { clock, fired, after } = recorder();
  const timer = after(5, "cancelled");
  clock.after(1, () => timer.cancel());
  timer.cancel();
  timer.cancel();
  clock.advance(10);
  expect(fired).toEqual([]);
  expect(clock.waiting).toBe(0);
});

it("moves wall time with monotonic time, and neither back", () => {
  const { clock } = recorder();
  const wall = clock.nowMs();
  clock.advance(1_500);
  expect(clock.nowMs() - wall).toBe(1_500);
  expect(() => clock.passTo(clock.monotonicMs() - 1)).toThrow(/is not before/);
});

it("takes delays as the platform does, and refuses what is no number", () => {
  const { clock, fired, after } = recorder();
  after(-5, "past");
  after(Number.POSITIVE_INFINITY, "far");
  clock.advance(0);
  expect(fired).toEqual(["past@0"]);
  expect((clock.nextDueAtMs ?? 0) - clock.monotonicMs()).toBe(MAX_DELAY_MS);
  expect(() => clock.after(Number.NaN, () => {})).toThrow(/number of milliseconds/);
});
