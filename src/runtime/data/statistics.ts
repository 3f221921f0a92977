/** Mean and standard deviation, in one pass that stays exact for large offsets. */

/** What is known of a column of numbers after one pass. */
export interface Moments {
  readonly count: number;
  readonly mean: number;
  /** The standard deviation of the population: divided by count, not count - 1. */
  readonly deviation: number;
}

/** Welford's recurrence (Technometrics 1962): no sum of squares that could cancel. */
export function measureMoments(values: Iterable<number>): Moments {
  let count = 0;
  let mean = 0;
  let squares = 0;
  for (const value of values) {
    count++;
    const delta = value - mean;
    mean += delta / count;
    squares += delta * (value - mean);
  }
  return { count, mean, deviation: count === 0 ? 0 : Math.sqrt(squares / count) };
}

/** True when the spread is nothing but rounding of the mean. */
export function isConstant(moments: Moments): boolean {
  return moments.deviation <= Math.abs(moments.mean) * 1e-12;
}
