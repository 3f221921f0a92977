/**
 * `drill durable`: what was acknowledged is there after kill -9, after a full disk, and after the
 * whole main job was killed; and the system calls show that it was on the device first. One seed
 * repeats the moments. A broken promise makes the exit code 4.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { describeDisk, realDirectory } from "../../bench/durable/disk.ts";
import { machine, writeBaseline } from "../../lib/baseline.ts";
import { printVerdicts, type Verdict } from "../../lib/verdict.ts";
import { fillDisk, fullDiskVerdicts } from "./full-disk.ts";
import { jobVerdicts, killJobs } from "./job.ts";
import { killVerdicts, killWriters } from "./kill.ts";
import type { SmallDiskKind } from "./small-disk.ts";
import { traceVerdicts, traceWriter } from "./trace.ts";

export interface DurableDrillRequest {
  /** Names of drills; all but the trace when it is left out. */
  readonly only?: readonly string[];
  readonly kills: number;
  readonly cycles: number;
  readonly jobKills: number;
  readonly appends: number;
  readonly seed: number;
  /** Where the logs lie; a temporary folder on a disk when it is left out. */
  readonly directory?: string;
  readonly disk?: SmallDiskKind;
  readonly json?: boolean;
  readonly updateBaselines?: boolean;
}

interface Outcome {
  readonly figures: unknown;
  readonly verdicts: readonly Verdict[];
}

interface Ground {
  readonly request: DurableDrillRequest;
  /** A folder of this drill's own. */
  readonly directory: string;
  readonly say: (line: string) => void;
}

type Drill = (ground: Ground) => Promise<Outcome>;

const MOST_JOBS = 4;

const kill: Drill = async ({ request, directory, say }) => {
  const jobs = Math.min(MOST_JOBS, availableParallelism());
  const { kills, seed } = request;
  const figures = await killWriters({ kills, seed, jobs, directory }, say);
  return { figures, verdicts: killVerdicts(figures) };
};

const fullDisk: Drill = async ({ request, directory }) => {
  const { cycles, seed, disk: only = null } = request;
  const { figures, disk } = await fillDisk({ cycles, seed, directory, only });
  return { figures: { disk, ...figures }, verdicts: fullDiskVerdicts(figures, disk, cycles) };
};

const job: Drill = async ({ request, directory, say }) => {
  const { jobKills: kills, seed } = request;
  const figures = await killJobs({ kills, seed, directory }, say);
  return { figures, verdicts: jobVerdicts(figures, kills) };
};

const trace: Drill = async ({ request, directory }) => {
  const { appends, seed } = request;
  const figures = await traceWriter({ appends, seed, directory });
  return { figures, verdicts: traceVerdicts(figures, appends) };
};

const DRILLS: Readonly<Record<string, Drill>> = { kill, "full-disk": fullDisk, job, trace };
/** Needs a tracer that not every machine has, so it runs only when it is named. */
const BY_NAME_ONLY: readonly string[] = ["trace"];

/** Names of the drills, in the order in which they run. */
export const DURABLE_DRILLS: readonly string[] = Object.keys(DRILLS);

/** A drill that cannot be carried out is a promise that was not shown. */
async function attempt(name: string, ground: Ground): Promise<Outcome> {
  try {
    const drill = DRILLS[name];
    if (drill !== undefined) return await drill(ground);
    throw new Error(`there is no drill ${name}`);
  } catch (error) {
    const verdict = { promise: `${name}: is carried out`, measured: String(error), kept: false };
    return { verdicts: [verdict], figures: null };
  }
}

/** Runs the drills; false when a promise is broken. */
export async function runDurableDrills(request: DurableDrillRequest): Promise<boolean> {
  const directory = mkdtempSync(join(realDirectory(request.directory), "esper-durable-"));
  const where = describeDisk(directory);
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  const names = request.only ?? DURABLE_DRILLS.filter((name) => !BY_NAME_ONLY.includes(name));
  const { seed } = request;
  const report: Record<string, Outcome> = {};
  say(`drill durable, seed ${seed}, on ${where.text}`);
  try {
    for (const name of names) {
      const own = join(directory, name);
      mkdirSync(own);
      const outcome = await attempt(name, { request, directory: own, say });
      report[name] = outcome;
      if (request.json !== true) printVerdicts(`drill durable: ${name}`, outcome.verdicts);
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  const kept = Object.values(report).every(({ verdicts }) => verdicts.every((one) => one.kept));
  const figures = { seed, disk: where.text, drills: report };
  if (request.json === true) console.log(JSON.stringify({ machine: machine(), kept, ...figures }));
  if (request.updateBaselines === true) {
    writeBaseline("drills/durable", "node dist/harness.js drill durable", figures);
  }
  return kept;
}
