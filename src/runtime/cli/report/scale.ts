/** From values to pixels, linear or logarithmic, with ticks at round numbers. Pure. */

/** A mapping from values to positions. */
export interface Scale {
  readonly low: number;
  readonly high: number;
  readonly logarithmic: boolean;
  readonly ticks: readonly number[];
  /** Position of a value between `start` and `end`; values outside the range lie outside. */
  at(value: number): number;
}

/** Ratio of greatest to smallest value from which a logarithmic axis shows more. */
const LOG_RATIO = 30;

/** Lowest and highest finite value, or null when there is none. */
export function extent(
  values: Iterable<number | null>,
): readonly [low: number, high: number] | null {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    if (value === null || !Number.isFinite(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? [low, high] : null;
}

/** Whether the values span so much that a linear axis would hide the small ones. */
export function wantsLogarithm([low, high]: readonly [number, number]): boolean {
  return low > 0 && high / low >= LOG_RATIO;
}

/** A round step that divides `span` into about `count` parts: 1, 2 or 5 times a power of ten. */
function roundStep(span: number, count: number): number {
  const rough = span / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999) ?? 10;
  return step * power;
}

/** Multiples of `step` in [low, high], without the dust of binary fractions. */
function multiples(low: number, high: number, step: number): number[] {
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  const ticks: number[] = [];
  for (let index = first; index <= last; index++)
    ticks.push(Number((index * step).toPrecision(12)));
  return ticks;
}

/** How a scale is laid out. */
export interface ScaleOptions {
  readonly range: readonly [start: number, end: number];
  /** About how many ticks there should be. */
  readonly tickCount: number;
  /** Widens the domain to the next ticks, so that curves do not touch the frame. */
  readonly widen: boolean;
  /** Ticks are at least this far apart, e.g. 1 for counts. */
  readonly smallestStep?: number;
}

/** Equal differences take equal room. @param domain Lowest value first. */
export function linearScale(domain: readonly [number, number], options: ScaleOptions): Scale {
  const [from, to] = domain;
  const margin = from === to ? Math.abs(from) * 0.1 || 1 : 0;
  const step = Math.max(
    roundStep(to - from + 2 * margin, options.tickCount),
    options.smallestStep ?? 0,
  );
  const low = options.widen ? Math.floor((from - margin) / step + 1e-9) * step : from - margin;
  const high = options.widen ? Math.ceil((to + margin) / step - 1e-9) * step : to + margin;
  const [start, end] = options.range;
  const pixels = (end - start) / (high - low);
  return {
    low,
    high,
    logarithmic: false,
    ticks: multiples(low, high, step),
    at: (value) => start + (value - low) * pixels,
  };
}

/** @param domain Both ends above zero. */
export function logScale(domain: readonly [number, number], options: ScaleOptions): Scale {
  const low = Math.log10(domain[0]) - (options.widen ? 0.05 : 0);
  const high = Math.log10(domain[1]) + (options.widen ? 0.05 : 0);
  const [start, end] = options.range;
  const pixels = (end - start) / (high - low);
  return {
    low: 10 ** low,
    high: 10 ** high,
    logarithmic: true,
    ticks: logTicks(low, high, options.tickCount),
    // Zero and below have no logarithm: they lie on the lower edge.
    at: (value) => (value > 0 ? start + (Math.log10(value) - low) * pixels : start),
  };
}

/** Powers of ten; with their double and fivefold when there would be too few, thinned when many. */
function logTicks(low: number, high: number, count: number): number[] {
  const decades = high - low;
  const factors = decades < 3 ? [1, 2, 5] : [1];
  const every = Math.max(1, Math.ceil(decades / (count + 1)));
  const ticks: number[] = [];
  for (let power = Math.floor(low); power <= Math.ceil(high); power++) {
    if (power % every !== 0) continue;
    for (const factor of factors) {
      const exponent = power + Math.log10(factor);
      if (exponent >= low && exponent <= high) {
        ticks.push(Number((factor * 10 ** power).toPrecision(12)));
      }
    }
  }
  return ticks;
}
