/** Gathers what a run left behind and writes the HTML report. */
import { z } from "zod";
import type { MetricRow } from "../../protocols/actors/durable.ts";
import type { TelemetryEvent } from "../../protocols/leyline/telemetry.ts";
import { renderReport } from "../cli/report/render.ts";
import { atomicWrite, type Files, readTextIfPresent } from "../durable/files.ts";
import type { Run } from "./run-dir.ts";

const rowSchema = z.looseObject({ kind: z.string(), step: z.number() });
const eventSchema = z
  .object({
    name: z.string(),
    level: z.enum(["INFO", "WARNING", "ERROR", "CRITICAL"]),
    source: z.string(),
    time_ms_wall: z.number(),
    attributes: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
  })
  .transform(({ time_ms_wall: timeMs, ...event }) => ({ ...event, timeMs }));

/** The readable lines of a JSON-lines file; a line cut off by a crash is left out. */
async function readLines<T>(files: Files, path: string, schema: z.ZodType<T>): Promise<T[]> {
  const text = (await readTextIfPresent(files, path)) ?? "";
  return text.split("\n").flatMap((line) => {
    if (line === "") return [];
    try {
      const parsed = schema.safeParse(JSON.parse(line));
      return parsed.success ? [parsed.data] : [];
    } catch {
      return [];
    }
  });
}

export async function writeReport(run: Run, file: string, files: Files): Promise<void> {
  const rows: MetricRow[] = await readLines(files, run.paths.metrics, rowSchema);
  const events: TelemetryEvent[] = await readLines(files, run.paths.events, eventSchema);
  const html = renderReport({
    title: run.runId,
    summary: run.manifest.summary,
    rows,
    events,
    data: run.manifest.dataset.report,
    configuration: { ...run.manifest.request, options: run.manifest.options },
  });
  await atomicWrite(files, file, new TextEncoder().encode(html));
}
