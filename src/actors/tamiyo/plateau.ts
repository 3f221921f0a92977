/**
 * Has training stopped paying? Compares the mean training loss of the last window with the window
 * before it. Windows are counted in optimizer steps, so small and large data sets are judged alike.
 */
import type { EpochPoint } from "../../protocols/leyline/state.ts";

export interface PlateauVerdict {
  /** False until both windows hold enough epochs. */
  readonly ready: boolean;
  /** Relative drop of the training loss from the earlier to the later window. */
  readonly drop: number;
  readonly plateau: boolean;
}

const MIN_POINTS = 2;

function meanLoss(points: readonly EpochPoint[]): number {
  return points.reduce((sum, point) => sum + point.trainingLoss, 0) / points.length;
}

/** Judges the epochs after `sinceStep` only, so that a recent growth is not held against itself. */
export function assessPlateau(
  history: readonly EpochPoint[],
  options: { readonly windowSteps: number; readonly minDrop: number; readonly sinceStep: number },
): PlateauVerdict {
  const points = history.filter((point) => point.step > options.sinceStep);
  const now = points.at(-1)?.step ?? 0;
  const inWindow = points.filter((point) => point.step > now - options.windowSteps).length;
  const size = Math.max(MIN_POINTS, inWindow);
  if (points.length < 2 * size) return { ready: false, drop: 0, plateau: false };
  const later = meanLoss(points.slice(-size));
  const earlier = meanLoss(points.slice(-2 * size, -size));
  const drop = earlier > 0 ? (earlier - later) / earlier : 0;
  return { ready: true, drop, plateau: drop < options.minDrop };
}
