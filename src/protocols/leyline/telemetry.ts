import type { TelemetryLevelName } from "../errors.ts";
import type { MessagePriorityName } from "./enums.ts";

/** Attribute values are plain scalars so that every sink can store them. */
export type Attributes = Readonly<Record<string, string | number | boolean>>;

/** Something that happened, as an actor hands it to the telemetry fabric. */
export interface TelemetryEvent {
  readonly name: string;
  readonly level: TelemetryLevelName;
  readonly source: string;
  /** Wall time in milliseconds since 1970: for people, never part of a digest. */
  readonly timeMs: number;
  readonly attributes: Attributes;
}

/** How the values of a metric belong together. */
export type MetricKind = "counter" | "gauge" | "histogram";

/** One measured value. Counters are cumulative; a histogram point carries its quantiles. */
export interface MetricPoint {
  readonly name: string;
  readonly kind: MetricKind;
  readonly source: string;
  readonly value: number;
  readonly attributes: Attributes;
}

const PRIORITY_OF_LEVEL: Readonly<Record<TelemetryLevelName, MessagePriorityName>> = {
  CRITICAL: "CRITICAL",
  ERROR: "HIGH",
  WARNING: "HIGH",
  INFO: "NORMAL",
};

/** The one rule by which every producer's level becomes a message priority. */
export function priorityOf(level: TelemetryLevelName): MessagePriorityName {
  return PRIORITY_OF_LEVEL[level];
}
