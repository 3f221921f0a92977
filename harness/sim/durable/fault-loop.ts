/**
 * Every call of a workload fails once and fails for good, one after the other, with each errno;
 * and the power is lost before every call. After each of these the next start must find what was
 * acknowledged and work on.
 */
import { createRandom } from "esper-runtime";
import { SimulatedDisk } from "../disk/disk.ts";
import { failAt } from "../disk/faults.ts";
import { judge, live, settle } from "./attempt.ts";
import { BrokenPromise, type Ending, Told } from "./told.ts";
import type { Workload } from "./workload.ts";

export const ERRNOS = ["EIO", "ENOSPC", "EDQUOT", "EMFILE", "EINTR"] as const;

const CALLS_MAX = 5_000;

export interface LoopResult {
  /** Failed calls, or calls before which the power was lost. */
  readonly points: number;
  /** Restarts that were judged. */
  readonly restarts: number;
}

/** What is judged after each point. */
export const RESTARTS = 3;

interface Left {
  readonly disk: SimulatedDisk;
  readonly ending: Ending;
  readonly judge: typeof judge;
}

const newDisk = (seed: number): SimulatedDisk =>
  new SimulatedDisk({ random: createRandom(seed, "disk") });

/** What a kill, a power loss at its worst and one with luck leave at this moment. */
function leftBy(disk: SimulatedDisk, seed: number): Left[] {
  const lucky = disk.crash({ random: createRandom(seed, "crash") });
  return [
    { disk: disk.killed(), ending: "killed", judge },
    { disk: disk.crash(), ending: "power lost", judge: settle },
    { disk: lucky, ending: "power lost", judge },
  ];
}

async function judgeAll(workload: Workload, left: readonly Left[], told: Told): Promise<void> {
  for (const { disk, ending, judge } of left) await judge(workload, disk, told.copy(), [ending]);
}

/** A disk on which the workload has lived before, as often as it is asked for. */
async function livedOn(workload: Workload, lives: number, seed: number) {
  const disk = newDisk(seed);
  const told = new Told();
  for (let life = 1; life <= lives; life++) await live(workload, disk, told, life);
  return { disk: disk.killed(), told };
}

/** Puts where it happened before what happened. */
async function naming(where: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof BrokenPromise)) throw error;
    throw new BrokenPromise(`${where}: ${error.message}`, { cause: error });
  }
}

/** On a new disk, or on one on which the workload has lived before. */
export interface LoopOptions {
  readonly livesBefore?: number;
}

/**
 * Makes call 1 fail, then 2, ..., until the workload passes untouched.
 * @throws {BrokenPromise} naming the workload, the errno and the call.
 */
export async function everyCallFails(
  workload: Workload,
  { errno, persistent }: { readonly errno: string; readonly persistent: boolean },
  { livesBefore = 0 }: LoopOptions = {},
): Promise<LoopResult> {
  let restarts = 0;
  for (let index = 1; index <= CALLS_MAX; index++) {
    const { disk, told } = await livedOn(workload, livesBefore, index);
    disk.faults = failAt(index, errno, persistent);
    const call = () => disk.trace[index - 1] ?? "none";
    const how = persistent ? "from call" : "at call";
    await naming(`${workload.name}, ${errno} ${how} ${index}`, async () => {
      await live(workload, disk, told, 1);
      if (disk.calls < index) return;
      const left = leftBy(disk, index);
      restarts += left.length;
      await naming(call(), () => judgeAll(workload, left, told));
    });
    if (disk.calls < index) return { points: index - 1, restarts };
  }
  throw new Error(`${workload.name} makes more than ${CALLS_MAX} calls`);
}

/**
 * The power is lost before call 1, then before 2, ..., and after the last.
 * @throws {BrokenPromise} naming the workload and the call.
 */
export async function everyCallCrashes(
  workload: Workload,
  { livesBefore = 0 }: LoopOptions = {},
): Promise<LoopResult> {
  const { disk, told } = await livedOn(workload, livesBefore, 1);
  const moments: { readonly where: string; readonly left: Left[]; readonly told: Told }[] = [];
  const remember = (where: string): void => {
    moments.push({ where, left: leftBy(disk, moments.length), told: told.copy() });
  };
  disk.faults = ({ index, operation, path }) => {
    remember(`${workload.name}, power lost before call ${index}, ${operation} ${path}`);
    return null;
  };
  await live(workload, disk, told, 1);
  remember(`${workload.name}, power lost after the end`);
  for (const { where, left, told: then } of moments) {
    await naming(where, () => judgeAll(workload, left, then));
  }
  return { points: moments.length, restarts: RESTARTS * moments.length };
}
