/**
 * Which checkpoints may go. Never the newest verified one and never the newest final one; what
 * nobody has verified goes only when enough verified ones are newer than it. Pure.
 */
import { type CheckpointEntry, newestFirst } from "./checkpoint-index.ts";

/** How many checkpoints are kept, and for how long. */
export interface Retention {
  /** Verified ones, the newest included; the newest final one is kept besides. */
  readonly keep: number;
  /** Older ones go, however few they are. */
  readonly maxAgeMs: number;
}

const DAY_MS = 86_400_000;

/** Two to fall back on, and a week to look at them. */
export const DEFAULT_RETENTION: Retention = { keep: 3, maxAgeMs: 7 * DAY_MS };

/** The checkpoints to remove, as of `nowMs`. */
export function doomed(
  entries: readonly CheckpointEntry[],
  { keep, maxAgeMs }: Retention,
  nowMs: number,
): readonly CheckpointEntry[] {
  const present = [...entries].sort(newestFirst);
  const isGood = (entry: CheckpointEntry): boolean =>
    entry.verifiedMs !== null && entry.flaw === null;
  const newestGood = present.find(isGood);
  const newestFinal = present.find(({ final }) => final);
  let good = 0;
  return present.filter((entry) => {
    const isSpare = good >= keep;
    const isFinal = entry === newestFinal;
    if (isGood(entry) && !isFinal) good += 1;
    if (entry === newestGood || isFinal) return false;
    return isSpare || (isGood(entry) && nowMs - entry.savedMs > maxAgeMs);
  });
}
