/** Lets the simulated disk loose on everything durable, or repeats one history and shows it. */
import type { SimulatedDisk } from "../disk/disk.ts";
import { explore, exploreSeeds } from "./exploration.ts";
import { ERRNOS, everyCallCrashes, everyCallFails, type LoopResult } from "./fault-loop.ts";
import { BrokenPromise } from "./told.ts";
import type { Workload } from "./workload.ts";
import { DURABLE_WORKLOADS } from "./workloads.ts";

export interface DurableRequest {
  readonly seeds: number;
  /** Repeats the history of this seed and shows what the disk was asked. */
  readonly seed?: number;
}

const TRACE_LINES = 60;

/** True when every promise was kept. */
export async function runDurable(
  names: readonly string[],
  { seeds, seed }: DurableRequest,
): Promise<boolean> {
  const wanted = DURABLE_WORKLOADS.filter(({ name }) => names.length === 0 || names.includes(name));
  let kept = true;
  for (const workload of wanted) {
    const work = () => (seed === undefined ? all(workload, seeds) : one(workload, seed));
    kept = (await told(workload, work)) && kept;
  }
  return kept;
}

/** Prints how it went. */
async function told(workload: Workload, work: () => Promise<string>): Promise<boolean> {
  try {
    console.log(`kept    ${workload.name}: ${await work()}`);
    return true;
  } catch (error) {
    if (!(error instanceof BrokenPromise)) throw error;
    console.log(`BROKEN  ${error.message}`);
    return false;
  }
}

async function all(workload: Workload, seeds: number): Promise<string> {
  let points = 0;
  let restarts = 0;
  const add = (result: LoopResult): void => {
    points += result.points;
    restarts += result.restarts;
  };
  for (const livesBefore of [0, 1]) {
    add(await everyCallCrashes(workload, { livesBefore }));
    for (const errno of ERRNOS) {
      for (const persistent of [false, true]) {
        add(await everyCallFails(workload, { errno, persistent }, { livesBefore }));
      }
    }
  }
  const { calls } = await exploreSeeds(workload, { first: 1, count: seeds });
  return (
    `${points} failures and power losses, one a run, with ${restarts} restarts; ` +
    `${seeds} random histories with ${calls} calls`
  );
}

async function one(workload: Workload, seed: number): Promise<string> {
  const disks: SimulatedDisk[] = [];
  try {
    await explore(workload, seed, (disk) => disks.push(disk));
  } finally {
    for (const [life, { trace }] of disks.entries()) {
      console.log(`life ${life + 1}\n  ${trace.slice(-TRACE_LINES).join("\n  ")}`);
    }
  }
  return `seed ${seed}, ${disks.length} lives`;
}
