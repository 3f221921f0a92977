/**
 * Fewer points, same picture: every bucket keeps its lowest and its highest point, so that no peak
 * gets lost, and a gap stays a gap.
 */

/** `y` is null where the value was not a finite number. */
export interface Point {
  readonly x: number;
  readonly y: number | null;
}

/** At most `limit` points, in order, first and last among them. @param limit At least 8. */
export function downsample(points: readonly Point[], limit: number): readonly Point[] {
  if (points.length <= limit) return points;
  // Low, high and a gap from each bucket, beside the two ends.
  const buckets = Math.floor((limit - 2) / 3);
  const inner = points.length - 2;
  const kept: Point[] = [];
  const keep = (index: number): void => {
    const point = points[index];
    if (point !== undefined) kept.push(point);
  };
  keep(0);
  for (let bucket = 0; bucket < buckets; bucket++) {
    const start = 1 + Math.floor((bucket * inner) / buckets);
    const end = 1 + Math.floor(((bucket + 1) * inner) / buckets);
    for (const index of extremes(points, start, end)) keep(index);
  }
  keep(points.length - 1);
  return kept;
}

/** Ascending indices of the lowest, the highest and the first missing value in [start, end). */
function extremes(points: readonly Point[], start: number, end: number): number[] {
  let low: number | null = null;
  let high: number | null = null;
  let gap: number | null = null;
  const valueAt = (index: number): number => points[index]?.y ?? Number.NaN;
  for (let index = start; index < end; index++) {
    const value = valueAt(index);
    if (Number.isNaN(value)) {
      gap ??= index;
      continue;
    }
    if (low === null || value < valueAt(low)) low = index;
    if (high === null || value > valueAt(high)) high = index;
  }
  const indices = [low, high, gap].filter((index) => index !== null);
  return [...new Set(indices)].sort((left, right) => left - right);
}
