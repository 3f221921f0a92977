/** Latencies of single operations, kept in a histogram of the platform with three digits. */
import { createHistogram } from "node:perf_hooks";
import { z } from "zod";

/** Microseconds. */
export const Percentiles = z.object({
  count: z.number(),
  min: z.number(),
  p50: z.number(),
  p90: z.number(),
  p95: z.number(),
  p99: z.number(),
  p999: z.number(),
  max: z.number(),
});
export type Percentiles = z.infer<typeof Percentiles>;

const NANOSECONDS = 1_000;

/** Collects microseconds and tells their percentiles. */
export class Latencies {
  readonly #histogram = createHistogram({ lowest: 1, highest: 60_000_000_000, figures: 3 });

  record(microseconds: number): void {
    this.#histogram.record(Math.max(1, Math.round(microseconds * NANOSECONDS)));
  }

  percentiles(): Percentiles {
    const at = (share: number): number => this.#histogram.percentile(share) / NANOSECONDS;
    return {
      count: this.#histogram.count,
      min: this.#histogram.min / NANOSECONDS,
      p50: at(50),
      p90: at(90),
      p95: at(95),
      p99: at(99),
      p999: at(99.9),
      max: this.#histogram.max / NANOSECONDS,
    };
  }
}

/** The percentiles of values that were collected in another thread. */
export function percentilesOf(microseconds: Iterable<number>): Percentiles {
  const latencies = new Latencies();
  for (const value of microseconds) latencies.record(value);
  return latencies.percentiles();
}
