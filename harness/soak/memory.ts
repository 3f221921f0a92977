/**
 * Memory over time, each time after a forced collection. Points of different kinds of work have
 * different levels, so a slope is fitted through the points of each kind about their own mean. It
 * is judged only after five minutes; before that it says more about the start than about a leak.
 */
import type { Verdict } from "../lib/verdict.ts";

/** Memory at one moment, after a collection. */
export interface MemoryPoint {
  readonly minutes: number;
  readonly group: string;
  readonly rssMib: number;
  readonly heapMib: number;
}

export interface Slopes {
  readonly minutes: number;
  readonly points: number;
  readonly rssMibPerMinute: number;
  readonly heapMibPerMinute: number;
}

const MIB = 2 ** 20;
const MINUTE_MS = 60_000;
const JUDGED_FROM_MINUTES = 5;
const AT_MOST = 1;

/** Collects what this thread no longer needs; the bytes that are left. */
export async function collected(): Promise<number> {
  if (globalThis.gc === undefined) throw new Error("run with --expose-gc");
  // What a finalizer frees is free only after a turn of the event loop.
  for (let round = 0; round < 2; round++) {
    await globalThis.gc();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Least squares through the points of all groups, each about its own mean. */
function slope(points: readonly MemoryPoint[], value: (point: MemoryPoint) => number): number {
  let covariance = 0;
  let variance = 0;
  for (const group of new Set(points.map((point) => point.group))) {
    const own = points.filter((point) => point.group === group);
    const meanX = own.reduce((sum, { minutes }) => sum + minutes, 0) / own.length;
    const meanY = own.reduce((sum, point) => sum + value(point), 0) / own.length;
    for (const point of own) {
      covariance += (point.minutes - meanX) * (value(point) - meanY);
      variance += (point.minutes - meanX) ** 2;
    }
  }
  return variance === 0 ? 0 : covariance / variance;
}

export class MemoryTrack {
  readonly #points: MemoryPoint[] = [];
  readonly #others: () => Promise<number>;
  readonly #startedMs = performance.now();

  /** `others` collects in the other threads and tells the bytes that are left there. */
  constructor(others: () => Promise<number>) {
    this.#others = others;
  }

  async sample(group: string): Promise<void> {
    const heap = (await this.#others()) + (await collected());
    this.#points.push({
      minutes: (performance.now() - this.#startedMs) / MINUTE_MS,
      group,
      rssMib: process.memoryUsage.rss() / MIB,
      heapMib: heap / MIB,
    });
  }

  get points(): readonly MemoryPoint[] {
    return this.#points;
  }
}

/** Over the last half of the run. */
export function slopesOf(points: readonly MemoryPoint[]): Slopes {
  const last = points.at(-1)?.minutes ?? 0;
  const half = points.filter(({ minutes }) => minutes >= last / 2);
  return {
    minutes: last,
    points: half.length,
    rssMibPerMinute: slope(half, ({ rssMib }) => rssMib),
    heapMibPerMinute: slope(half, ({ heapMib }) => heapMib),
  };
}

/** Whether the process keeps what it should give back. */
export function memoryVerdicts(slopes: Slopes): Verdict[] {
  const { minutes, points, rssMibPerMinute, heapMibPerMinute } = slopes;
  const isJudged = minutes >= JUDGED_FROM_MINUTES;
  const over = `over the last half of ${minutes.toFixed(1)} min, ${points} points`;
  const judge = (what: string, perMinute: number): Verdict => ({
    promise: `${what} grows by less than ${AT_MOST} MiB/min after collection`,
    measured:
      `${perMinute.toFixed(2)} MiB/min ${over}` +
      (isJudged ? "" : `; not judged below ${JUDGED_FROM_MINUTES} min`),
    kept: !isJudged || perMinute < AT_MOST,
  });
  return [judge("resident memory", rssMibPerMinute), judge("heap", heapMibPerMinute)];
}
