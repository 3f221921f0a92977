import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  displayWidth,
  padEnd,
  padStart,
  printable,
  stripColour,
  truncate,
  wrap,
} from "../../../src/runtime/cli/ui/width.ts";

const red = (text: string): string => `\u001b[31m${text}\u001b[39m`;

describe("display width", () => {
  it("counts columns, not characters", () => {
    expect(displayWidth("abc")).toBe(3);
    expect(displayWidth(red("abc"))).toBe(3);
    expect(displayWidth("日本語")).toBe(6);
    expect(displayWidth("e\u0301")).toBe(1);
    expect(displayWidth("🌱")).toBe(2);
    expect(displayWidth("█▍░")).toBe(3);
  });

  it("pads by columns", () => {
    expect(padEnd("日", 4)).toBe("日  ");
    expect(padStart(red("x"), 3)).toBe(`  ${red("x")}`);
    expect(padEnd("long", 2)).toBe("long");
  });
});

describe("cutting", () => {
  it("leaves what fits and marks what was cut", () => {
    expect(truncate("seed-3", 6)).toBe("seed-3");
    expect(truncate("seed-31", 6)).toBe("seed-…");
    expect(truncate("anything", 0)).toBe("");
  });

  it("never cuts a wide character in half", () => {
    expect(truncate("日本語", 4)).toBe("日…");
    expect(truncate("日本語", 5)).toBe("日本…");
  });

  it("ends a colour that it cuts into", () => {
    expect(truncate(red("abcdef"), 4)).toBe("\u001b[31mabc…\u001b[0m");
  });

  it("is never wider than asked, whatever the text", () => {
    const text = fc.string({ unit: "grapheme", maxLength: 40 }).map(printable);
    fc.assert(
      fc.property(text, fc.integer({ min: 0, max: 30 }), (value, columns) => {
        expect(displayWidth(truncate(value, columns))).toBeLessThanOrEqual(columns);
      }),
    );
  });
});

describe("wrapping", () => {
  it("breaks at spaces and indents what follows", () => {
    expect(wrap("  + one two three", 9, 4)).toEqual(["  + one", "    two", "    three"]);
  });

  it("loses no word and leaves long ones whole", () => {
    const path = "/a/very/long/path/that/does/not/fit";
    const lines = wrap(`see ${path} now`, 12, 2);
    expect(lines.join(" ").split(/\s+/)).toEqual(["see", path, "now"]);
  });

  it("keeps double spaces inside a line", () => {
    expect(wrap("a  b  c", 4, 0)).toEqual(["a  b", "c"]);
  });
});

describe("text of other people", () => {
  it("cannot control the terminal", () => {
    const hostile = "a\u001b[2Jb\u0007c\u202ed\u009b31m";
    const clean = printable(hostile);
    expect(clean).toBe("a\\u{1b}[2Jb\\u{7}c\\u{202e}d\\u{9b}31m");
    expect(printable("two\nlines\tand tab")).toBe("two lines and tab");
  });

  it("keeps letters of every script", () => {
    expect(printable("größe 数 é")).toBe("größe 数 é");
  });
});

it("removes colours again", () => {
  expect(stripColour(`${red("a")} b`)).toBe("a b");
});
