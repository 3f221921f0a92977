import { writeFileSync } from "node:fs";
import { test } from "vitest";
import { renderReport } from "../../../src/runtime/cli/report/render.ts";
import { started, summary } from "../ui/run-events.ts";
import { EVENTS, fakeRows } from "./fake-run.ts";

test("demo", () => {
  const html = renderReport({
    title: "20260101-120000-spirals-ab12",
    summary: summary(),
    rows: fakeRows(),
    events: EVENTS,
    data: {
      ...started().dataset.report,
      filled: { age: 12 },
      notes: ["column id looks like a row number and is left out"],
    },
    configuration: {
      topology: "local-cpu",
      seed: 42,
      data: { kind: "builtin", name: "spirals" },
      host: null,
      options: { batchSize: 32, optimizer: "adam", learningRate: 0.01, growth: true },
      secret: "abc",
    },
  });
  writeFileSync("/tmp/report.html", html);
  console.log(html.length);
  writeFileSync(
    "/tmp/report-empty.html",
    renderReport({ title: "empty", summary: null, rows: [], events: [] }),
  );
});
