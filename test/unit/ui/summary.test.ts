import { describe, expect, it } from "vitest";
import type { RunSummary } from "../../../src/protocols/run.ts";
import { createPalette } from "../../../src/runtime/cli/ui/palette.ts";
import { judgeGrowth, summaryBlock } from "../../../src/runtime/cli/ui/summary-block.ts";
import { point, summary } from "./run-events.ts";

const text = (overrides: Partial<RunSummary> = {}): string =>
  summaryBlock(summary(overrides), "esper", createPalette(false))
    .map((line) => line.text)
    .join("\n");

describe("the summary", () => {
  it("is this, for a run that grew", () => {
    expect(text()).toBe(
      [
        "",
        "Training complete: 60 epochs, 2,400 steps in 14.2 s",
        "  accuracy             training    validation          test",
        "  before growth          71.2 %        70.1 %             -",
        "  at the end             99.1 %        98.3 %        97.9 %",
        "  change           +27.9 points  +28.2 points",
        "  parameters     354 host -> 1,058 total, 2.99 times the host",
        "  seeds          2 fossilized (kept), 1 culled, 0 still growing; the first after 3.2 s",
        "  restarts       1",
        "  memory         210 MiB resident",
        "  run folder     runs/20260101-120000-spirals-ab12",
        "Growth helped: validation accuracy 70.1 % before the first seed, 98.3 % at the end, " +
          "with 704 parameters more. Training went on meanwhile, so not all of it is growth.",
        "Next:",
        "  # plots of everything above, as one HTML file",
        "  esper report runs/20260101-120000-spirals-ab12",
        "  # score it on data it has not seen",
        "  esper evaluate runs/20260101-120000-spirals-ab12 --data <file>",
      ].join("\n"),
    );
  });

  it("shows no comparison where nothing grew", () => {
    const none = text({ seeds: { fossilized: 0, culled: 0, alive: 0 }, firstGrowthSeconds: null });
    expect(none).not.toContain("before growth");
    expect(none).not.toContain("change");
    expect(none).toContain("  at the end             99.1 %        98.3 %        97.9 %");
  });

  it("has no test column without a test score", () => {
    expect(text({ testScore: null })).not.toContain("  test");
  });

  it("offers to resume only where something is left to train", () => {
    expect(text()).not.toContain("--resume");
    expect(text({ outcome: "stopped" })).toContain("esper --resume runs/2026");
    expect(text({ outcome: "failed" })).toContain("Training failed");
  });

  it("quotes folders with spaces so that commands can be copied", () => {
    expect(text({ directory: "my runs/it's" })).toContain("esper report 'my runs/it'\\''s'");
  });
});

describe("what growth did", () => {
  const verdict = (overrides: Partial<RunSummary>) => judgeGrowth(summary(overrides));

  it("is nothing when no seed was germinated", () => {
    expect(verdict({ seeds: { fossilized: 0, culled: 0, alive: 0 } })).toEqual({
      helped: false,
      text: "The network did not grow: no seed was germinated.",
    });
  });

  it("is no help when no seed passed every gate", () => {
    expect(verdict({ seeds: { fossilized: 0, culled: 3, alive: 1 } })).toEqual({
      helped: false,
      text: "Growth did not help: no seed passed every gate (3 culled, 1 still growing).",
    });
  });

  it("is no help when the score fell", () => {
    const last = point({ validationScore: 0.69 });
    const judged = verdict({ last, beforeGrowth: point({ validationScore: 0.7 }) });
    expect(judged.helped).toBe(false);
    expect(judged.text).toBe(
      "Growth did not help: validation accuracy 70.0 % before the first seed, 69.0 % at the end.",
    );
  });

  it("may be a lower loss at the same score", () => {
    const beforeGrowth = point({ validationLoss: 0.5 });
    const judged = verdict({ beforeGrowth, last: point({ validationLoss: 0.25 }) });
    expect(judged.helped).toBe(true);
    expect(judged.text).toContain("left the score at 85.0 %");
    expect(judged.text).toContain("0.5000 -> 0.2500");
  });

  it("is no help when neither score nor loss moved", () => {
    expect(verdict({ beforeGrowth: point(), last: point() }).helped).toBe(false);
  });

  it("is no help when the score is not a number", () => {
    expect(verdict({ last: point({ validationScore: Number.NaN }) }).helped).toBe(false);
  });
});
