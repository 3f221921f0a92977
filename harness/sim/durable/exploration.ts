/**
 * Random histories of a durable thing: several lives on one disk that fails by chance and loses
 * power at a random call, the next life on what is left. One seed is one history.
 */
import { createRandom, type Random } from "esper-runtime";
import { SimulatedDisk } from "../disk/disk.ts";
import { type FaultPlan, type FaultRates, faultsByChance } from "../disk/faults.ts";
import { live, settle } from "./attempt.ts";
import { BrokenPromise, type Ending, Told } from "./told.ts";
import type { Workload } from "./workload.ts";

const LIVES_MAX = 4;
/** Longer than most lives are, so that some end in order. */
const CALLS_OF_A_LIFE = 60;
const TURNS_MAX = 4;
const TIGHT_BYTES = 6_000;

/** Which faults a history has: many have none, so that the crashes alone are seen too. */
function drawRates(random: Random): FaultRates {
  if (random.integer(3) === 0) return {};
  const rates: Record<string, number> = {};
  for (const fault of ["short", "EINTR", "ENOSPC", "EDQUOT", "EIO", "EMFILE"]) {
    if (random.integer(3) === 0) rates[fault] = 0.2 * random.next() ** 2;
  }
  return rates;
}

interface History {
  readonly workload: Workload;
  readonly seed: number;
  readonly random: Random;
  readonly rates: FaultRates;
  told: Told;
}

/** One life, ended by a power loss, a kill or in order; returns what is left for the next. */
async function oneLife(
  history: History,
  disk: SimulatedDisk,
  life: number,
): Promise<{ readonly disk: SimulatedDisk; readonly ending: Ending }> {
  const { workload, random, seed, rates } = history;
  const last = disk.calls + 1 + random.integer(CALLS_OF_A_LIFE);
  const chance: FaultPlan = faultsByChance(createRandom(seed, `faults ${life}`), rates);
  const killed = random.integer(4) === 0;
  const take = (): SimulatedDisk =>
    killed ? disk.killed() : disk.crash({ random: createRandom(seed, `crash ${life}`) });
  const { told } = history;
  const taken: { readonly disk: SimulatedDisk; readonly told: Told }[] = [];
  disk.faults = (call) => {
    if (call.index < last) return chance(call);
    if (taken.length === 0) taken.push({ disk: take(), told: told.copy() });
    // What runs on is no part of the history; it must only end.
    return "EIO";
  };
  await live(workload, disk, told, random.integer(2 ** 30));
  const left = taken[0] ?? { disk: take(), told };
  history.told = left.told;
  return { disk: left.disk, ending: killed ? "killed" : "power lost" };
}

/**
 * One history; `watch` sees the disk of each life. Returns the number of calls the disks answered.
 * @throws {BrokenPromise}
 */
export async function explore(
  workload: Workload,
  seed: number,
  watch: (disk: SimulatedDisk) => void = () => undefined,
): Promise<number> {
  const random = createRandom(seed, "history");
  const turns = createRandom(seed, "turns");
  const capacity = random.integer(6) === 0 ? TIGHT_BYTES : Number.POSITIVE_INFINITY;
  let disk = new SimulatedDisk({
    random: createRandom(seed, "disk"),
    turns: () => turns.integer(TURNS_MAX),
  });
  const history = { workload, seed, random, rates: drawRates(random), told: new Told() };
  const lives = 1 + random.integer(LIVES_MAX);
  let calls = 0;
  let endings: Ending[] = [];
  for (let life = 1; life <= lives; life++) {
    disk.capacityBytes = capacity;
    watch(disk);
    const next = await oneLife(history, disk, life);
    calls += disk.calls;
    disk = next.disk;
    endings.push(next.ending);
    // Without this the next life is the first to see what was left.
    if (random.integer(2) === 0 && life < lives) continue;
    // The one who starts it again has made room.
    disk.capacityBytes = Number.POSITIVE_INFINITY;
    await settle(workload, disk, history.told, endings);
    endings = [];
  }
  return calls;
}

/** What to type to see one history again. */
export const replayCommand = ({ name }: Workload, seed: number): string =>
  `node dist/harness.js sim durable ${name} --seed ${seed}`;

/** Histories of consecutive seeds. @throws {BrokenPromise} with the command that repeats it. */
export async function exploreSeeds(
  workload: Workload,
  { first, count }: { readonly first: number; readonly count: number },
): Promise<{ readonly calls: number }> {
  let calls = 0;
  for (let seed = first; seed < first + count; seed++) {
    try {
      calls += await explore(workload, seed);
    } catch (error) {
      if (!(error instanceof BrokenPromise)) throw error;
      const message = `${workload.name}, seed ${seed}: ${error.message}`;
      const replay = `\n\n  ${replayCommand(workload, seed)}\n`;
      throw new BrokenPromise(message + replay, { cause: error });
    }
  }
  return { calls };
}
