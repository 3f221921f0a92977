/** Every bad command line of the corpus is refused with its code, its words, and exit code 2. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type, words } from "./console.ts";

interface Refusal {
  readonly line: string;
  readonly code: string;
  readonly says: readonly string[];
}

const corpus: Refusal[] = JSON.parse(
  readFileSync(new URL("../../corpus/config/command-lines.json", import.meta.url), "utf8"),
);

describe("a bad command line", () => {
  test("the corpus holds at least 60 different ones", () => {
    expect(new Set(corpus.map(({ line }) => line)).size).toBeGreaterThanOrEqual(60);
  });

  test.each(corpus)("$line", async ({ line, code, says }) => {
    const outcome = await type(words(line));
    expect(outcome.stderr).toMatch(new RegExp(`^error ${code}: `));
    for (const part of says) expect(outcome.stderr).toContain(part);
    expect(outcome.code).toBe(2);
    expect(outcome.requests).toEqual([]);
    expect(outcome.asked).toEqual([]);
  });

  test("is told once, on stderr; stdout stays empty", async () => {
    const outcome = await type(["--epoch", "3"]);
    expect(outcome.stdout).toBe("");
    expect(outcome.stderr).toBe("error USAGE: unknown flag --epoch; did you mean --epochs?\n");
  });

  test("with --json is also one JSON line on stdout, even when parsing failed", async () => {
    const outcome = await type(["--json", "--epochs", "x"]);
    expect(outcome.code).toBe(2);
    expect(outcome.stdout.split("\n")).toHaveLength(2);
    expect(JSON.parse(outcome.stdout)).toEqual({
      kind: "error",
      code: "USAGE",
      message: '--epochs: given "x"; allowed: a whole number from 1 to 1000000',
      details: {
        flag: "--epochs",
        given: "x",
        allowed: "a whole number from 1 to 1000000",
      },
    });
  });
});
