/** How telemetry and metric rows look as JSON lines: keys sorted, one value a line. Pure. */
import type { MetricRow } from "../../protocols/actors/durable.ts";
import { canonicalJson } from "../../protocols/leyline/artifact.ts";
import type { MetricPoint, TelemetryEvent } from "../../protocols/leyline/telemetry.ts";
import { encodeLines, wholeLines } from "../../runtime/durable/json-lines.ts";

/** Lines of `events.jsonl`; the wall time is named so that digests can leave it out. */
export function eventLines(events: readonly TelemetryEvent[]): Uint8Array {
  return encodeLines(
    events.map(({ timeMs, ...event }) => canonicalJson({ ...event, time_ms_wall: timeMs })),
  );
}

/** Lines of `runtime.jsonl`: metric points as they arrived. */
export function pointLines(points: readonly MetricPoint[], nowMs: number): Uint8Array {
  return encodeLines(points.map((point) => canonicalJson({ ...point, time_ms_wall: nowMs })));
}

/** Lines of `metrics.jsonl`. A number that JSON cannot hold becomes null. */
export function rowLines(rows: readonly MetricRow[]): Uint8Array {
  return encodeLines(rows.map((row) => canonicalJson(row)));
}

function stepOf(line: string): number | null {
  try {
    const row: unknown = JSON.parse(line);
    const isRow = typeof row === "object" && row !== null && "step" in row;
    return isRow && typeof row.step === "number" ? row.step : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** The rows up to `step`, unchanged. A line that is no row is kept: it is not ours to drop. */
export function rowsUpTo(
  bytes: Uint8Array,
  step: number,
): { readonly kept: Uint8Array; readonly keptRows: number; readonly removed: number } {
  const lines = wholeLines(bytes);
  const kept = lines.filter((line) => (stepOf(line) ?? 0) <= step);
  return {
    kept: encodeLines(kept),
    keptRows: kept.length,
    removed: lines.length - kept.length,
  };
}
