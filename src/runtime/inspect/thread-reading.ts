/** One thread of a snapshot, read from the thread's shared memory. */
import { LANES } from "../../protocols/protocol.ts";
import { ringFill } from "../wire/ring.ts";
import { CONDEMNED, DEAD, IDLE } from "../wire/thread-block.ts";
import type { PoolSnapshot, RingSnapshot, ThreadSnapshot, ThreadStateName } from "./snapshot.ts";
import type { ThreadView } from "./thread-view.ts";

/** Time of a loop at an earlier moment. */
export interface LoopMark {
  readonly epoch: number;
  readonly idleMs: number;
  readonly busyMs: number;
}

/** A thread that is not there: it has ended and the next has not been started. */
export function missingThread(name: string, id: number): ThreadSnapshot {
  return {
    ...{ name, id, epoch: 0, state: "missing", heartbeatAgeMs: 0, utilisation: null },
    ...{ parks: 0, wakes: 0, spins: 0, ringFull: 0, rings: [], memory: null },
    ...{ publishedAgeMs: null, spawned: { count: 0, top: [] }, pools: [] },
  };
}

/** `before` is when the rates begin; of an earlier start of the thread it does not count. */
export function readThread(
  view: ThreadView,
  nowMs: number,
  nameOf: (threadId: number) => string,
  before: LoopMark | undefined,
): ThreadSnapshot {
  const { thread: name, threadId: id, epoch, stats, silentMs } = view;
  const { parks, wakes, spins, ringFull, state } = view.block.read();
  const { publishedAtMs } = stats;
  const oldestMs = (atMs: number | null): number | null =>
    atMs === null ? null : ageMs(nowMs, atMs);
  return {
    ...{ name, id, epoch, state: stateName(view.phase, state), heartbeatAgeMs: silentMs },
    ...{ parks, wakes, spins, ringFull, utilisation: utilisation(view, before) },
    rings: readRings(view, nameOf),
    memory: stats.readMemory(),
    publishedAgeMs: publishedAtMs === 0 ? null : ageMs(nowMs, publishedAtMs),
    spawned: {
      count: stats.spawned,
      top: stats.readTop().map(({ oldestAtMs, ...row }) => ({
        ...row,
        oldestMs: oldestMs(oldestAtMs),
      })),
    },
    pools: readPools(view),
  };
}

/** Coarse clocks of threads may be a little ahead of the reader's. */
export function ageMs(nowMs: number, sinceMs: number): number {
  return Math.max(0, Math.round(nowMs - sinceMs));
}

function stateName(phase: ThreadView["phase"], state: number): ThreadStateName {
  if (phase === "loading") return "loading";
  if (state === CONDEMNED) return "condemned";
  if (phase === "dead" || state === DEAD) return "dead";
  return state === IDLE ? "parked" : "running";
}

function utilisation({ epoch, loop }: ThreadView, before: LoopMark | undefined): number | null {
  const known = before !== undefined && before.epoch === epoch;
  const idleMs = loop.idleMs - (known ? before.idleMs : 0);
  const busyMs = loop.busyMs - (known ? before.busyMs : 0);
  const wholeMs = idleMs + busyMs;
  if (!(wholeMs > 0)) return null;
  return Math.min(1, Math.max(0, busyMs / wholeMs));
}

function readRings(
  { rings }: ThreadView,
  nameOf: (threadId: number) => string,
): readonly RingSnapshot[] {
  return [...rings].flatMap(([threadId, lanes]) =>
    lanes.flatMap((memory, lane): RingSnapshot[] => {
      const { usedBytes, capacityBytes } = ringFill(memory);
      const name = LANES[lane];
      if (usedBytes === 0 || name === undefined) return [];
      return [{ to: nameOf(threadId), lane: name, usedBytes, capacityBytes }];
    }),
  );
}

function readPools({ stats }: ThreadView): readonly PoolSnapshot[] {
  return stats.readPools().map(({ name, figures }) => {
    const [submitted = 0, queued = 0, running = 0, completed = 0, ...ended] = figures;
    const [cancelled = 0, timedOut = 0, failed = 0] = ended;
    const account = { submitted, queued, running, completed, cancelled, timedOut, failed };
    return { name, account };
  });
}
