/**
 * Exponentially weighted mean and variance, alpha 0.2:
 * mean' = a x + (1 - a) mean; var' = a (x - mean)(x - mean') + (1 - a) var.
 */
const WEIGHT = 0.2;

export interface RunningStats {
  readonly mean: number;
  readonly variance: number;
  readonly last: number;
  readonly count: number;
}

export const NO_STATS: RunningStats = { mean: 0, variance: 0, last: 0, count: 0 };

export function updateStats(stats: RunningStats, value: number): RunningStats {
  if (stats.count === 0) return { mean: value, variance: 0, last: value, count: 1 };
  const mean = WEIGHT * value + (1 - WEIGHT) * stats.mean;
  const variance = WEIGHT * (value - stats.mean) * (value - mean) + (1 - WEIGHT) * stats.variance;
  return { mean, variance: Math.max(0, variance), last: value, count: stats.count + 1 };
}
