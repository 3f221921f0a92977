/**
 * Counters, gauges and histograms of one source. A measurement never throws and never blocks; the
 * number of series is bounded, and what the bound refuses is counted.
 */
import type { Attributes, MetricKind, MetricPoint } from "../../protocols/leyline/telemetry.ts";
import type { Meter } from "../actor.ts";

const MAX_SERIES = 1_024;
const REFUSED = "runtime.metric_points_refused_total";

/** Quantiles are exact to 2 %: each bucket is 4 % wider than the one before. */
const LOG_RATIO = Math.log(1.04);
const SMALLEST = 1e-9;

/** A histogram over geometric buckets between 1e-9 and 1e12; cumulative. */
export class Histogram {
  readonly #buckets = new Map<number, number>();
  #count = 0;
  #sum = 0;
  #min = Number.POSITIVE_INFINITY;
  #max = Number.NEGATIVE_INFINITY;

  get count(): number {
    return this.#count;
  }

  get mean(): number {
    return this.#count === 0 ? 0 : this.#sum / this.#count;
  }

  get max(): number {
    return this.#max;
  }

  /** Values up to 1e-9, zero and negative ones included, share one bucket. */
  observe(value: number): void {
    const bounded = Math.min(1e12, Math.max(SMALLEST, value));
    const bucket = Math.floor(Math.log(bounded / SMALLEST) / LOG_RATIO);
    this.#buckets.set(bucket, (this.#buckets.get(bucket) ?? 0) + 1);
    this.#count += 1;
    this.#sum += value;
    this.#min = Math.min(this.#min, value);
    this.#max = Math.max(this.#max, value);
  }

  /** The value below which the share `fraction` of all observations lies; 0 when there are none. */
  quantile(fraction: number): number {
    if (this.#count === 0) return 0;
    let left = Math.ceil(fraction * this.#count);
    for (const bucket of [...this.#buckets.keys()].sort((a, b) => a - b)) {
      left -= this.#buckets.get(bucket) ?? 0;
      if (left > 0) continue;
      const middle = SMALLEST * Math.exp((bucket + 0.5) * LOG_RATIO);
      return Math.min(this.#max, Math.max(this.#min, middle));
    }
    return this.#max;
  }
}

interface Series {
  readonly name: string;
  readonly kind: MetricKind;
  readonly attributes: Attributes;
  value: number;
  readonly histogram: Histogram | null;
  changed: boolean;
}

export class SourceMeter implements Meter {
  readonly #source: string;
  readonly #series = new Map<string, Series>();

  constructor(source: string) {
    this.#source = source;
  }

  count(name: string, attributes: Attributes = {}, by = 1): void {
    const series = this.#find(name, "counter", attributes, by);
    if (series === null) return;
    series.value += by;
    series.changed = true;
  }

  /** Sets a counter that is kept elsewhere to its present total. */
  total(name: string, value: number, attributes: Attributes): void {
    const series = this.#find(name, "counter", attributes, value);
    if (series === null || series.value === value) return;
    series.value = value;
    series.changed = true;
  }

  gauge(name: string, value: number, attributes: Attributes = {}): void {
    // A gauge may be NaN: that a loss is not a number is worth showing.
    const series = this.#find(name, "gauge", attributes, 0);
    if (series === null || Object.is(series.value, value)) return;
    series.value = value;
    series.changed = true;
  }

  observe(name: string, value: number, attributes: Attributes = {}): void {
    const series = this.#find(name, "histogram", attributes, value);
    if (series === null) return;
    series.histogram?.observe(value);
    series.changed = true;
  }

  /**
   * The series that changed since the last call. A histogram's value is its mean; its attributes
   * carry `p50`, `p95`, `p99`, `max` and `count` beside its own.
   */
  collect(): MetricPoint[] {
    const points: MetricPoint[] = [];
    for (const series of this.#series.values()) {
      if (!series.changed) continue;
      series.changed = false;
      points.push(this.#point(series));
    }
    return points;
  }

  #point({ name, kind, attributes, value, histogram }: Series): MetricPoint {
    const source = this.#source;
    if (histogram === null) return { name, kind, source, value, attributes };
    const quantiles = {
      p50: histogram.quantile(0.5),
      p95: histogram.quantile(0.95),
      p99: histogram.quantile(0.99),
      max: histogram.max,
      count: histogram.count,
    };
    const { mean } = histogram;
    return { name, kind, source, value: mean, attributes: { ...attributes, ...quantiles } };
  }

  /** Null when the measurement is refused: it is not finite, or there are too many series. */
  #find(name: string, kind: MetricKind, attributes: Attributes, value: number): Series | null {
    const key = seriesKey(name, kind, attributes);
    const known = this.#series.get(key);
    const sound = Number.isFinite(value);
    if (known !== undefined && sound) return known;
    if (!sound || (this.#series.size >= MAX_SERIES && name !== REFUSED)) {
      this.count(REFUSED);
      return null;
    }
    const histogram = kind === "histogram" ? new Histogram() : null;
    // Changed from the start, so that a gauge whose first value is 0 is seen.
    const series: Series = { name, kind, attributes, value: 0, histogram, changed: true };
    this.#series.set(key, series);
    return series;
  }
}

function seriesKey(name: string, kind: MetricKind, attributes: Attributes): string {
  let key = `${kind} ${name}`;
  for (const label of Object.keys(attributes).sort()) key += ` ${label}=${attributes[label]}`;
  return key;
}
