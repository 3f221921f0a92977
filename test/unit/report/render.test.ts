import { describe, expect, it } from "vitest";
import type { MetricRow } from "../../../src/protocols/actors/durable.ts";
import { type ReportInput, renderReport } from "../../../src/runtime/cli/report/render.ts";
import { point, started, summary } from "../ui/run-events.ts";
import { EVENTS, fakeRows } from "./fake-run.ts";

const EMPTY: ReportInput = { title: "run", summary: null, rows: [], events: [] };
const FULL: ReportInput = {
  title: "20260101-120000-spirals-ab12",
  summary: summary(),
  rows: fakeRows(),
  events: EVENTS,
  data: started().dataset.report,
  configuration: { topology: "local-cpu", options: { batchSize: 32, widths: [16, 16] } },
};
const full = renderReport(FULL);

/** The text of the document without its markup, in one line. */
const words = (html: string): string =>
  html
    .replace(/<style>.*?<\/style>/s, "")
    .replace(/<[^>]+>/g, " ")
    .replace(/\s+/g, " ");

describe("the report", () => {
  it("loads nothing from anywhere and runs nothing", () => {
    expect(full).not.toMatch(/<script|<link|<img|<iframe|<object|@import|\bsrc=|\bon[a-z]+="/i);
    expect(full).not.toMatch(/https?:|url\((?!#)/i);
    expect(full).toContain("default-src &#39;none&#39;; style-src");
  });

  it("closes every element it opens", () => {
    const open: string[] = [];
    for (const [, slash, name = ""] of full.matchAll(/<(\/?)([a-zA-Z]\w*)[^>]*>/g)) {
      if (name === "meta") continue;
      if (slash === "") open.push(name);
      else expect(open.pop()).toBe(name);
    }
    expect(open).toEqual([]);
  });

  it("has light and dark colours", () => {
    expect(full).toContain("color-scheme:light dark");
    expect(full).toContain("@media (prefers-color-scheme:dark)");
  });

  it("begins with the outcome, the scores and what growth did", () => {
    const text = words(full);
    expect(text).toContain("20260101-120000-spirals-ab12 completed");
    expect(text).toContain("validation accuracy 98.3 % 70.1 % before growth, +28.2 points");
    expect(text).toContain("test accuracy 97.9 %");
    expect(text).toContain("parameters 1,058 host 354, 2.99 times the host");
    expect(text).toContain("Growth helped: validation accuracy 70.1 %");
  });

  it("draws each plot with its axes, units and legend", () => {
    const names = ["Loss", "Accuracy", "Parameters of the network", "Gradient norm", "Speed"];
    for (const name of names) expect(full).toContain(`aria-label="${name} over steps"`);
    const loss = /aria-label="Loss over steps">(.*?)<\/svg>/s.exec(full)?.[1] ?? "";
    expect(loss).toContain('text-anchor="middle">1,000</text>');
    expect(loss).toContain('text-anchor="end">0.1</text>');
    expect(loss).toContain(">optimizer step</text>");
    expect(loss.match(/class="curve (\w+)"/g)).toEqual([
      'class="curve raw"',
      'class="curve training"',
      'class="curve validation"',
    ]);
    expect(loss).toContain("step 620: seed-1 (gated_feedforward) culled");
    expect(loss).not.toContain("NaN");
    expect(words(full)).toContain("training, single steps training, epoch mean validation");
    expect(words(full)).toContain("logarithmic axis");
  });

  it("puts one step at one place in every plot", () => {
    const axes = [...full.matchAll(/x="([\d.]+)" y="\d+" text-anchor="middle">1,500</g)];
    expect(axes.length).toBeGreaterThanOrEqual(6);
    expect(new Set(axes.map(([, x]) => x)).size).toBe(1);
  });

  it("draws each seed's stages to scale", () => {
    const lanes = /aria-label="Stage and alpha[^>]*>(.*?)<\/svg>/s.exec(full)?.[1] ?? "";
    expect(lanes).toContain("FOSSILIZED: steps 1,232 to 2,400");
    const rect = /class="stage-training" x="([\d.]+)"[^>]*width="([\d.]+)"/.exec(lanes);
    // 852 pixels for 2,400 steps from x = 80; seed-1 trains from step 401 to 620.
    expect(Number(rect?.[1])).toBeCloseTo(80 + (401 / 2_400) * 852, 0);
    expect(Number(rect?.[2])).toBeCloseTo((219 / 2_400) * 852, 0);
  });

  it("lists seeds with fate and gate numbers", () => {
    const text = words(full);
    expect(text).toContain("culled at step 620");
    expect(text).toContain(
      "gate G2 stability failed, the seed does not lower the loss enough: shadow loss 0.309 " +
        "&lt; host loss 0.31 (gain 0.3 %, needed 2 %; z 0.6, needed 2) " +
        "TRAINING to CULLED, step 620",
    );
    expect(text).toContain("fossilized at step 2,052");
  });

  it("lists restarts and warnings with the time since the start, not every event", () => {
    const text = words(full);
    expect(text).toContain("3.4 s info supervisor.restarted supervisor actor: Tamiyo (controller)");
    expect(text).toContain("6.1 s warning gate_failure Kasmina (grower)");
    expect(text).not.toContain("trainer.started");
  });

  it("shows the data and the configuration", () => {
    const text = words(full);
    expect(text).toContain("inner 300 50 %");
    expect(text).toContain("topology local-cpu");
    expect(text).toContain("options.batchSize 32");
    expect(text).toContain("options.widths 16, 16");
  });

  it("shows no secret", () => {
    const configuration = { settings: { ESPER_LEYLINE_SECRET: "hunter2" }, dbPassword: "hunter2" };
    const html = renderReport({ ...EMPTY, configuration });
    expect(html).not.toContain("hunter2");
    expect(words(html)).toContain("dbPassword (hidden)");
  });
});

describe("hostile text", () => {
  const evil = `</title><script>alert("1")</script>&'\u202e\u0000`;

  it("is escaped wherever it stands", () => {
    const rows: MetricRow[] = [
      { kind: "step", step: 1, training_loss: 1, seeds: [{ seed_id: evil, stage: "TRAINING" }] },
      { kind: "step", step: 2, training_loss: 2 },
      {
        ...{ kind: "seed", step: 2, seed_id: evil, site_id: evil, blueprint_name: evil },
        ...{ from: "TRAINING", to: "CULLED", reason: evil },
        gate: { gate: "G2_STABILITY", passed: false, reason: evil, numbers: { [evil]: 1 } },
      },
    ];
    const [event] = EVENTS.filter(({ level }) => level === "WARNING");
    const html = renderReport({
      title: evil,
      summary: summary({ datasetName: evil, digest: evil }),
      rows,
      events: [{ ...event!, name: evil, source: evil, attributes: { [evil]: evil } }],
      data: {
        ...started().dataset.report,
        ...{ source: evil, notes: [evil], classBalance: { [evil]: 1 }, dropped: { [evil]: 1 } },
      },
      configuration: { [evil]: { [evil]: evil } },
    });
    expect(html).not.toContain("<script");
    expect(html).not.toContain("\u202e");
    expect(html).not.toContain("\u0000");
    expect(html.split("&lt;script&gt;alert(&quot;1&quot;)").length).toBeGreaterThan(10);
  });
});

describe("short and odd runs", () => {
  it("say that there is not enough data", () => {
    for (const rows of [[], [{ kind: "epoch", step: 1, training_loss: 1, validation_loss: 1 }]]) {
      const html = renderReport({ ...EMPTY, rows });
      expect(html.split("Not enough data for this plot").length - 1).toBe(5);
      expect(html).toContain("No seed was germinated in this run.");
      expect(html).toContain("This run has not ended");
    }
  });

  it("do not call a run uneventful whose events are missing", () => {
    const quiet = EVENTS.filter(({ name }) => name === "trainer.started");
    expect(renderReport(EMPTY)).toContain("No events are on record for this run.");
    const html = renderReport({ ...EMPTY, events: quiet });
    expect(html).toContain("Nothing out of the ordinary was recorded among 1 event.");
  });

  it("can be constant, zero, negative or not a number at all", () => {
    for (const value of [0, 1, -3, Number.NaN, Number.POSITIVE_INFINITY, 1e300, 1e-300]) {
      const rows = [1, 2, 3].map((step) => ({
        ...{ kind: "epoch", step, training_loss: value, validation_loss: value },
        ...{ training_score: value, validation_score: value, total_parameters: value },
      }));
      const html = renderReport({ ...EMPTY, rows });
      expect(html).not.toMatch(/="[^"]*(NaN|Infinity)/);
    }
  });

  it("break a curve where the loss was not a number", () => {
    const losses = [1, 0.9, null, 0.7, 0.6];
    const rows = losses.map((loss, step) => ({ kind: "epoch", step, training_loss: loss }));
    const html = renderReport({ ...EMPTY, rows });
    const path = /class="curve training" d="([^"]*)"/.exec(html)?.[1] ?? "";
    expect(path.match(/M/g)).toHaveLength(2);
  });

  it("cut off a hopeless beginning of a regression and say so", () => {
    const scores = [-400, -2, 0.5, 0.8];
    const rows = scores.map((score, step) => ({ kind: "epoch", step, validation_score: score }));
    const r2 = summary({ scoreName: "R2", task: "regression", last: point() });
    const html = renderReport({ ...EMPTY, rows, summary: r2 });
    expect(html).toContain("values below -1 are cut off");
    expect(html).toContain("R2 (1 is perfect)");
    expect(html).toContain('text-anchor="end">-1</text>');
    expect(html).not.toContain('text-anchor="end">-400</text>');
  });

  it("name what they leave out", () => {
    const rows = Array.from({ length: 260 }, (_, index) => ({
      ...{ kind: "seed", step: index, seed_id: `s${index}`, from: "DORMANT", to: "GERMINATED" },
    }));
    const text = words(renderReport({ ...EMPTY, rows }));
    expect(text).toContain("the first 48 of 260 seeds");
    expect(text).toContain("The first 200 of 260 seeds are shown.");
  });
});

describe("a long run", () => {
  it("of 100,000 rows is drawn within 1.5 s and 1.5 MB", () => {
    const rows = fakeRows(98_000, 1);
    expect(rows.length).toBeGreaterThan(100_000);
    const before = process.cpuUsage();
    const html = renderReport({ ...FULL, rows });
    // Time of this process alone, so that a busy machine does not fail the test.
    const { user, system } = process.cpuUsage(before);
    const seconds = (user + system) / 1e6;
    expect(html.length).toBeLessThan(1_500_000);
    expect(seconds).toBeLessThan(1.5);
    const path = /class="curve raw" d="([^"]*)"/.exec(html)?.[1] ?? "";
    expect(path.match(/[ML]/g)!.length).toBeLessThanOrEqual(1_500);
  });
});
