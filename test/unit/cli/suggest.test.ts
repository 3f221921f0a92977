import { describe, expect, test } from "vitest";
import { didYouMean, editDistance, nearest } from "../../../src/runtime/cli/suggest.ts";

describe("editDistance", () => {
  test.each([
    ["", "", 0],
    ["", "abc", 3],
    ["seed", "seed", 0],
    ["seed", "sede", 1],
    ["kitten", "sitting", 3],
    ["ab", "ba", 1],
    ["epoch", "epochs", 1],
    ["flaw", "lawn", 2],
  ])("%s to %s is %i", (left, right, distance) => {
    expect(editDistance(left, right)).toBe(distance);
    expect(editDistance(right, left)).toBe(distance);
  });
});

describe("nearest", () => {
  const flags = ["--epochs", "--seed", "--dataset", "--data", "--topology"];

  test.each([
    ["--sede", "--seed"],
    ["--TOPOLOGY", "--topology"],
    ["--topol", "--topology"],
    ["--dat", "--data"],
    ["--zzzz", null],
    ["", null],
    ["x".repeat(200), null],
  ])("%s means %s", (given, meant) => {
    expect(nearest(given, flags)).toBe(meant);
  });

  test("prefers the exact word over a longer one that begins like it", () => {
    expect(nearest("--data", ["--dataset", "--data"])).toBe("--data");
  });

  test("says nothing when nothing is near", () => {
    expect(didYouMean("banana", flags)).toBe("");
    expect(didYouMean("--epoch", flags)).toBe("; did you mean --epochs?");
  });
});
