import { describe, expect, it } from "vitest";
import {
  formatCount,
  formatDuration,
  formatGrowth,
  formatLoss,
  formatNamed,
  formatNumber,
  formatPercent,
  formatScore,
  formatScoreChange,
  plural,
  toWords,
} from "../../../src/runtime/cli/ui/format.ts";

describe("numbers", () => {
  it.each([
    [0, "0"],
    [0.412, "0.412"],
    [0.41238, "0.4124"],
    [-0.5, "-0.5"],
    [352, "352"],
    [1234.56, "1,235"],
    [0.000001, "1e-6"],
    [0.0000015, "1.5e-6"],
    [1.25e9, "1.25e+9"],
    [2e10, "2e+10"],
    [Number.NaN, "n/a"],
    [Number.POSITIVE_INFINITY, "n/a"],
  ])("writes %s as %s", (value, text) => {
    expect(formatNumber(value)).toBe(text);
  });

  it("groups thousands and keeps the sign", () => {
    expect([0, 999, 1_000, 12_345_678, -1_234, -0.2].map(formatCount)).toEqual([
      "0",
      "999",
      "1,000",
      "12,345,678",
      "-1,234",
      "0",
    ]);
  });

  it("keeps losses of one size equally long", () => {
    expect([0.4, 1.23456, 12.3456, 1_234.5, 0.00012, 123_456].map(formatLoss)).toEqual([
      "0.4000",
      "1.2346",
      "12.35",
      "1235",
      "1.2e-4",
      "1.23e+5",
    ]);
  });

  it("says n/a where there is no number, in every form", () => {
    const forms = [formatNumber, formatLoss, formatCount, formatPercent, formatDuration];
    expect(forms.map((form) => form(Number.NaN))).toEqual(forms.map(() => "n/a"));
    expect(formatScore("accuracy", Number.NaN)).toBe("n/a");
    expect(formatScoreChange("R2", Number.NaN)).toBe("n/a");
  });
});

describe("shares and scores", () => {
  it("writes shares as per cent", () => {
    expect([0.317, 0.02, 1, -0.005].map(formatPercent)).toEqual([
      "31.7 %",
      "2 %",
      "100 %",
      "-0.5 %",
    ]);
  });

  it("writes accuracy as per cent and R2 as a number", () => {
    expect(formatScore("accuracy", 0.983)).toBe("98.3 %");
    expect(formatScore("R2", 0.983)).toBe("0.9830");
  });

  it("says how much a network grew", () => {
    expect(formatGrowth(42, 42)).toBe("nothing added");
    expect(formatGrowth(400, 526)).toBe("31.5 % added");
    expect(formatGrowth(42, 674)).toBe("16 times the host");
  });

  it("signs changes, but not a change of nothing", () => {
    expect(formatScoreChange("accuracy", 0.282)).toBe("+28.2 points");
    expect(formatScoreChange("accuracy", -0.01)).toBe("-1.0 points");
    expect(formatScoreChange("accuracy", -0.0001)).toBe("0.0 points");
    expect(formatScoreChange("R2", 0.5)).toBe("+0.5000");
  });
});

describe("durations", () => {
  it.each([
    [0.44, "0.4 s"],
    [14.23, "14.2 s"],
    [59.4, "59.4 s"],
    [59.97, "1 min 00 s"],
    [200, "3 min 20 s"],
    [3_599.7, "1 h 00 min"],
    [7_500, "2 h 05 min"],
  ])("writes %s seconds as %s", (seconds, text) => {
    expect(formatDuration(seconds)).toBe(text);
  });
});

describe("names", () => {
  it("turns any spelling into words", () => {
    expect(["shadowLoss", "shadow_loss", "SHADOW_LOSS", "z", "lossP95"].map(toWords)).toEqual([
      "shadow loss",
      "shadow loss",
      "shadow loss",
      "z",
      "loss p95",
    ]);
  });

  it("writes a number by what its name says it is", () => {
    expect(formatNamed("gain", 0.317)).toBe("31.7 %");
    expect(formatNamed("needed_impact", 0.01)).toBe("1 %");
    expect(formatNamed("learning_rate", 0.01)).toBe("0.01");
  });

  it("counts in words", () => {
    expect([plural(1, "seed"), plural(2, "class"), plural(0, "row")]).toEqual([
      "1 seed",
      "2 classes",
      "0 rows",
    ]);
  });
});
