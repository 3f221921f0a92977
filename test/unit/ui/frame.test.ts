import { describe, expect, it } from "vitest";
import { FRAME_INTERVAL_MS, Frame } from "../../../src/runtime/cli/ui/frame.ts";
import { createFakeClock } from "./fake-clock.ts";
import { Terminal } from "./terminal.ts";

function setUp(columns = 40, rows = 24) {
  const clock = createFakeClock();
  const terminal = new Terminal(columns);
  const content = { lines: ["one", "two"] };
  const frame = new Frame(
    { write: terminal.write, columns: () => terminal.columns, rows: () => rows, clock },
    () => content.lines,
  );
  return { clock, terminal, content, frame };
}

describe("the frame", () => {
  it("is redrawn at most ten times a second however often it is asked", () => {
    const clock = createFakeClock();
    const times: number[] = [];
    const write = (): void => {
      times.push(clock.monotonicMs());
    };
    const frame = new Frame({ write, columns: () => 40, clock }, () => ["one"]);
    for (let ms = 0; ms < 1_000; ms++) {
      frame.refresh();
      clock.advance(1);
    }
    const gaps = times.slice(1).map((time, index) => time - (times[index] ?? 0));
    expect(gaps).toEqual(Array.from({ length: 10 }, () => FRAME_INTERVAL_MS));
  });

  it("shows the last state after a burst, one interval later at the latest", () => {
    const { clock, terminal, content, frame } = setUp();
    frame.refresh();
    content.lines = ["changed"];
    frame.refresh();
    expect(terminal.text).not.toContain("changed");
    clock.advance(FRAME_INTERVAL_MS);
    expect(terminal.lines).toEqual(["changed", ""]);
  });

  it("draws in place: old frames leave nothing behind", () => {
    const { clock, terminal, content, frame } = setUp();
    content.lines = ["a long first line", "second", "third"];
    frame.refresh();
    clock.advance(200);
    content.lines = ["short"];
    frame.refresh();
    expect(terminal.lines).toEqual(["short", ""]);
  });

  it("lets permanent lines scroll above itself, in order, none lost", () => {
    const { clock, terminal, frame } = setUp();
    for (let index = 0; index < 12; index++) {
      frame.print([`line ${index}`]);
      clock.advance(30);
    }
    clock.advance(200);
    const expected = Array.from({ length: 12 }, (_, index) => `line ${index}`);
    expect(terminal.lines).toEqual([...expected, "one", "two", ""]);
  });

  it("does not let waiting lines pile up without bound", () => {
    const { terminal, frame } = setUp();
    frame.refresh();
    for (let index = 0; index < 300; index++) frame.print([`line ${index}`]);
    expect(terminal.text).toContain("line 250");
  });

  it("cuts lines to the window and frames to its height", () => {
    const { terminal, content, frame } = setUp(20, 4);
    content.lines = ["x".repeat(50), "b", "c", "d", "e", "f"];
    frame.refresh();
    expect(terminal.lines).toEqual([`${"x".repeat(18)}…`, "b", "c", ""]);
  });

  it("cleans up wrapped lines after the window became narrower", () => {
    const { clock, terminal, content, frame } = setUp(40);
    content.lines = ["y".repeat(39)];
    frame.refresh();
    // What a terminal does with a line that no longer fits: it breaks it in two.
    const narrow = new Terminal(20);
    narrow.write(`${"y".repeat(39)}\n`);
    terminal.columns = 20;
    terminal.raw = "";
    clock.advance(200);
    frame.refresh();
    narrow.write(terminal.raw);
    expect(narrow.lines).toEqual([`${"y".repeat(18)}…`, ""]);
  });
});

describe("closing", () => {
  it("gives the cursor back and writes what was waiting", () => {
    const { terminal, frame } = setUp();
    frame.refresh();
    expect(terminal.cursorVisible).toBe(false);
    frame.print(["last words"]);
    frame.close(true);
    expect(terminal.cursorVisible).toBe(true);
    expect(terminal.lines).toEqual(["last words", "one", "two", ""]);
  });

  it("can take the frame away", () => {
    const { terminal, frame } = setUp();
    frame.print(["stays"]);
    frame.close(false);
    expect(terminal.lines).toEqual(["stays", ""]);
  });

  it("gives the cursor back even when the frame can no longer be drawn", () => {
    const clock = createFakeClock();
    const terminal = new Terminal(40);
    let broken = false;
    const frame = new Frame({ write: terminal.write, columns: () => 40, clock }, () => {
      if (broken) throw new Error("cannot draw");
      return ["fine"];
    });
    frame.refresh();
    broken = true;
    expect(() => frame.close(true)).toThrow("cannot draw");
    expect(terminal.cursorVisible).toBe(true);
  });

  it("leaves no timer behind and draws no more", () => {
    const { clock, terminal, frame } = setUp();
    frame.refresh();
    frame.refresh();
    frame.close(true);
    frame.close(true);
    const { writes } = terminal;
    frame.refresh();
    clock.advance(1_000);
    expect(clock.waiting).toBe(0);
    expect(terminal.writes).toBe(writes);
  });

  it("still prints what comes late", () => {
    const { terminal, frame } = setUp();
    frame.close(false);
    frame.print(["late"]);
    expect(terminal.lines).toEqual(["late", ""]);
  });
});
