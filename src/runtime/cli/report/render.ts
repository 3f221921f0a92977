/**
 * A run as one HTML file: styles and plots inside, no script, nothing loaded from anywhere,
 * readable in light and dark. Made from what the run wrote down; a short run gives a short report.
 */
import type { MetricRow } from "../../../protocols/actors/durable.ts";
import type { DataReport } from "../../../protocols/dataset.ts";
import type { TelemetryEvent } from "../../../protocols/leyline/telemetry.ts";
import type { RunSummary } from "../../../protocols/run.ts";
import { formatCount, plural } from "../ui/format.ts";
import {
  gradientFigure,
  learningRateFigure,
  lossFigure,
  parametersFigure,
  scoreFigure,
  seedsFigure,
  speedFigure,
} from "./figures.ts";
import { reportHeader } from "./header.ts";
import { readHistory } from "./history.ts";
import { element, type Markup, markup, section } from "./markup.ts";
import { STYLE } from "./style.ts";
import { configurationSection, dataSection, eventTable, seedTable } from "./tables.ts";

/** What the report is made from. */
export interface ReportInput {
  readonly title: string;
  /** Null for a run that has not ended. */
  readonly summary: RunSummary | null;
  /** The rows of `metrics.jsonl`, oldest first. */
  readonly rows: readonly MetricRow[];
  readonly events: readonly TelemetryEvent[];
  /** What the run was asked to do; values under names like `secret` are not shown. */
  readonly configuration?: Readonly<Record<string, unknown>> | null;
  readonly data?: DataReport | null;
}

/** Forbids scripts and every request, also for text that should slip through. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'";

/** The complete HTML document. Never throws because of missing or unknown rows. */
export function renderReport(input: ReportInput): string {
  const { title, summary, rows, events, configuration = null, data = null } = input;
  const history = readHistory(rows);
  const body = element(
    "main",
    {},
    reportHeader(title, summary),
    section("Training", lossFigure(history), scoreFigure(history, summary?.scoreName ?? "score")),
    section("Growth", seedsFigure(history), parametersFigure(history)),
    seedTable(history),
    section(
      "Optimizer and speed",
      gradientFigure(history),
      learningRateFigure(history),
      speedFigure(history),
    ),
    eventTable(events, history),
    data === null ? null : dataSection(data),
    configuration === null ? null : configurationSection(configuration),
    footer(summary, history.rows, history.unknownRows),
  );
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<title>${title} - Esper runtime</title>
<style>${STYLE}</style>
</head>
<body>${body}</body>
</html>
`.text;
}

function footer(summary: RunSummary | null, rows: number, unknownRows: number): Markup {
  const source = `Made from ${plural(rows, "row")} of metrics`;
  const unknown = unknownRows > 0 ? `, ${formatCount(unknownRows)} of them of an unknown kind` : "";
  const digest = summary === null ? null : markup` Digest of the trained state: ${summary.digest}`;
  return markup`<footer>${source}${unknown}.${digest}</footer>`;
}
