/**
 * How much of a worker's time reaches the task, against the length of the task: our two kinds of
 * thread pool beside piscina with its defaults, in turns, one worker and 64 tasks in flight.
 */
import { fileURLToPath } from "node:url";
import { openPool, systemClock } from "esper-runtime";
import { Piscina } from "piscina";
import { median, quantile } from "../../lib/statistics.ts";
import { burning } from "./pool-jobs.ts";

const GRAINS_US = [5, 20, 100, 1_000] as const;
const IN_FLIGHT = 64;
const DEADLINE_MS = 30_000;

/** One contender at one grain; latencies are from the call to its answer, 64 in flight. */
export interface PoolRow {
  readonly contender: string;
  readonly grain_us: number;
  readonly tasks: number;
  readonly tasks_per_second: number;
  /** Share of the worker's time spent in the task. */
  readonly efficiency: number;
  readonly ratio_to_piscina: number;
  readonly p50_us: number;
  readonly p95_us: number;
  readonly p99_us: number;
}

type Measured = Omit<PoolRow, "ratio_to_piscina">;

interface Contender {
  readonly name: string;
  run(us: number): Promise<number>;
  close(): Promise<void>;
}

async function ours(cooperative: boolean): Promise<Contender> {
  const pool = await openPool(burning, {
    ...{ kind: "threads", workers: 1, clock: systemClock, cooperative },
  });
  return {
    name: cooperative ? "ours, cooperative" : "ours, preemptible",
    run: (us) => pool.run("burn", us, { deadlineMs: DEADLINE_MS }),
    close: () => pool.close(),
  };
}

function piscina(): Contender {
  const filename = fileURLToPath(new URL("./pool-jobs.js", import.meta.url));
  const pool = new Piscina({ filename, name: "burn", minThreads: 1, maxThreads: 1 });
  return {
    name: "piscina, defaults",
    run: async (us) => (await pool.run(us)) as number,
    close: () => pool.destroy(),
  };
}

/** Keeps 64 tasks in flight until `tasks` are done, and checks that each was. */
async function drive({ name, run }: Contender, grainUs: number, tasks: number): Promise<Measured> {
  const latencies: number[] = [];
  let left = tasks;
  let sum = 0;
  const beganMs = performance.now();
  const lane = async (): Promise<void> => {
    while (left-- > 0) {
      const sentMs = performance.now();
      const returned = await run(grainUs);
      sum += returned;
      latencies.push((performance.now() - sentMs) * 1_000);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
  const tookMs = performance.now() - beganMs;
  if (sum !== tasks * grainUs) throw new Error(`${name}: ${sum} is not ${tasks} x ${grainUs}`);
  return {
    ...{ contender: name, grain_us: grainUs, tasks },
    tasks_per_second: Math.round((tasks / tookMs) * 1_000),
    efficiency: (tasks * grainUs) / 1_000 / tookMs,
    p50_us: quantile(latencies, 0.5),
    p95_us: quantile(latencies, 0.95),
    p99_us: quantile(latencies, 0.99),
  };
}

/** The run with the median efficiency. */
function middle(runs: readonly Measured[]): Measured {
  const wanted = median(runs.map(({ efficiency }) => efficiency));
  const best = [...runs].sort(
    (a, b) => Math.abs(a.efficiency - wanted) - Math.abs(b.efficiency - wanted),
  )[0];
  if (best === undefined) throw new Error("no run was made");
  return best;
}

async function atGrain(
  contenders: readonly Contender[],
  grainUs: number,
  options: PoolBenchOptions,
): Promise<PoolRow[]> {
  const tasks = Math.ceil(Math.max(400, (options.secondsPerRun * 1e6) / Math.max(40, grainUs)));
  const runs = new Map<string, Measured[]>();
  for (const contender of contenders) await drive(contender, grainUs, Math.ceil(tasks / 5));
  for (let round = 0; round < options.rounds; round++) {
    for (const contender of contenders) {
      const measured = await drive(contender, grainUs, tasks);
      runs.set(contender.name, [...(runs.get(contender.name) ?? []), measured]);
    }
  }
  const rows = [...runs.values()].map(middle);
  const base = rows.at(-1)?.efficiency ?? Number.NaN;
  return rows.map((row) => ({ ...row, ratio_to_piscina: row.efficiency / base }));
}

export interface PoolBenchOptions {
  readonly rounds: number;
  /** What one run takes about. */
  readonly secondsPerRun: number;
}

/** Every contender at every grain; piscina is the last of each grain. */
export async function benchPool(
  options: PoolBenchOptions = { rounds: 3, secondsPerRun: 1 },
): Promise<{ readonly figures: readonly PoolRow[] }> {
  const contenders = [await ours(true), await ours(false), piscina()];
  const figures: PoolRow[] = [];
  try {
    for (const grainUs of GRAINS_US) figures.push(...(await atGrain(contenders, grainUs, options)));
  } finally {
    await Promise.all(contenders.map((contender) => contender.close()));
  }
  return { figures };
}
