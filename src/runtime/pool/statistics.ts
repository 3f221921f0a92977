/** What a pool tells about itself beside its books. */
import type { Histogram } from "../telemetry/meter.ts";
import type { CrewFigures } from "./crew.ts";

/** A distribution in milliseconds; quantiles are exact to 2 %. */
export interface Summary {
  readonly count: number;
  readonly mean: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

/** How long the jobs of a pool waited and ran. */
export interface PoolStatistics extends CrewFigures {
  /** Runs that were turned away because the queue was full or the pool closed. */
  readonly refused: number;
  /** Results that came after their caller had been told of a cancellation or a deadline. */
  readonly discarded: number;
  /** Jobs whose worker was ended because they ignored their token. */
  readonly forced: number;
  /** Jobs that still occupy a worker although their caller has an answer. */
  readonly lingering: number;
  /** Time in the queue. */
  readonly waitMs: Summary;
  /** Time from the hand-over to the answer of the worker. */
  readonly runMs: Summary;
}

/** The figures of a histogram. */
export function summaryOf(histogram: Histogram): Summary {
  return {
    count: histogram.count,
    mean: histogram.mean,
    p50: histogram.quantile(0.5),
    p95: histogram.quantile(0.95),
    p99: histogram.quantile(0.99),
    max: histogram.count === 0 ? 0 : histogram.max,
  };
}
