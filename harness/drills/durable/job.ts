/**
 * The full main job killed with SIGKILL at random moments and resumed each time. Whatever the
 * moments were, the run must end like one that nobody disturbed: same digest, same rows.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createRandom, type Random } from "esper-runtime";
import { z } from "zod";
import { type Finished, type Running, runProduct, startProduct } from "../../lib/product.ts";
import type { Verdict } from "../../lib/verdict.ts";

export interface JobRequest {
  readonly kills: number;
  readonly seed: number;
  readonly directory: string;
}

/** What the kills came to. */
export interface JobFigures {
  readonly kills: number;
  /** Jobs that were killed, each as often as it lived long enough. */
  readonly jobs: number;
  readonly undisturbedMs: number;
  /** Steps at which the runs went on. */
  readonly resumedFrom: readonly number[];
  /** Jobs whose digest, or whose rows, differ from the undisturbed run. */
  readonly otherDigests: readonly string[];
  readonly otherRows: readonly string[];
  /** Runs that were not resumed, or did not end. */
  readonly failures: readonly string[];
}

/** Long enough for a seed to grow; a few seconds. */
const RUN = ["--dataset", "spirals", "--seed", "7", "--epochs", "800"] as const;
const KILLS_OF_A_JOB = 5;
/** A life is killed within this share of the steps left, so that several fit into one job. */
const LIFE_SHARE = 0.7;
/** Then within so long, so that kills fall anywhere between two steps. */
const SCATTER_MS = 20;
/** Of the resumed lives, those killed by the time since their start: while they are prepared. */
const EARLY_SHARE = 0.25;
const EARLY_TIME_SHARE = 0.4;
const DEADLINE_MS = 120_000;

const Row = z.record(z.string(), z.unknown());

/** The run's rows without what may differ between equal runs. */
function rowsOf({ summary }: Finished): string {
  if (summary === null) return "";
  const text = readFileSync(join(summary.directory, "metrics.jsonl"), "utf8");
  const lines = text.split("\n").filter((line) => line !== "");
  return lines
    .map((line) => {
      const row = Object.entries(Row.parse(JSON.parse(line)));
      return JSON.stringify(row.filter(([name]) => !name.endsWith("_wall")));
    })
    .join("\n");
}

interface Ground {
  readonly request: JobRequest;
  readonly random: Random;
  readonly undisturbed: Finished;
  readonly rows: string;
}

/** When to kill a life: so long after its start, or at a share of the steps that it has left. */
interface Moment {
  readonly afterMs: number;
  readonly share: number | null;
}

/** A run has a folder from its first event on; one that is resumed may be killed before that. */
function drawMoment({ random, undisturbed }: Ground, resumed: boolean): Moment {
  const early = random.next() < EARLY_SHARE;
  const share = LIFE_SHARE * random.next();
  if (early && resumed)
    return { afterMs: EARLY_TIME_SHARE * share * undisturbed.wallMs, share: null };
  return { afterMs: SCATTER_MS * random.next(), share };
}

/** Resolves at the moment, or when the run ended before it. */
async function awaitStep(running: Running, share: number, steps: number): Promise<void> {
  const begun = running
    .until(({ kind }) => kind === "started")
    .then((event) => {
      const from = event.kind === "started" ? (event.resumedFromStep ?? 0) : 0;
      const target = from + share * (steps - from);
      return running.until((each) => each.kind === "epoch" && each.point.step >= target);
    });
  // A run that ends first is told of by its end.
  await Promise.race([begun.catch(() => undefined), running.finished]);
}

/** Starts or resumes the job and kills it; it may have ended before. */
async function liveOnce(ground: Ground, runs: string, resumed: boolean): Promise<Finished> {
  const moment = drawMoment(ground, resumed);
  const args = resumed ? ["--resume", "latest"] : RUN;
  const running = startProduct([...args, "--runs", runs], { deadlineMs: DEADLINE_MS });
  const steps = ground.undisturbed.summary?.steps ?? 0;
  if (moment.share !== null) await awaitStep(running, moment.share, steps);
  const timer = setTimeout(() => running.child.kill("SIGKILL"), moment.afterMs);
  const ended = await running.finished;
  clearTimeout(timer);
  return ended;
}

const resumedStep = ({ events }: Finished): number | null => {
  const started = events.find((event) => event.kind === "started");
  return started?.kind === "started" ? started.resumedFromStep : null;
};

interface Job {
  readonly end: Finished;
  readonly kills: number;
  readonly resumedFrom: readonly number[];
}

async function killJob(ground: Ground, runs: string, kills: number): Promise<Job> {
  const lives: Finished[] = [await liveOnce(ground, runs, false)];
  let last = lives[0];
  let done = 0;
  while (last !== undefined && last.signal === "SIGKILL") {
    done += 1;
    last =
      done < kills
        ? await liveOnce(ground, runs, true)
        : await runProduct(["--resume", "latest", "--runs", runs], { deadlineMs: DEADLINE_MS });
    lives.push(last);
  }
  if (last === undefined) throw new Error("a job without a life");
  const resumedFrom = lives.map(resumedStep).filter((step) => step !== null);
  return { end: last, kills: done, resumedFrom };
}

/** Kills main jobs so many times in all; each is resumed after every kill, to its end. */
export async function killJobs(
  request: JobRequest,
  say: (line: string) => void,
): Promise<JobFigures> {
  const random = createRandom(request.seed, "kill-job");
  const undisturbed = await runProduct([...RUN, "--runs", join(request.directory, "undisturbed")]);
  if (undisturbed.summary === null) throw new Error(`the job cannot run: ${undisturbed.stderr}`);
  const { digest } = undisturbed.summary;
  const ground = { request, random, undisturbed, rows: rowsOf(undisturbed) };
  const otherDigests: string[] = [];
  const otherRows: string[] = [];
  const failures: string[] = [];
  const resumedFrom: number[] = [];
  let kills = 0;
  let jobs = 0;
  while (kills < request.kills && jobs < 2 * request.kills) {
    jobs += 1;
    const runs = join(request.directory, `job-${jobs}`);
    const job = await killJob(ground, runs, Math.min(KILLS_OF_A_JOB, request.kills - kills));
    kills += job.kills;
    resumedFrom.push(...job.resumedFrom);
    say(`job: ${kills} of ${request.kills} kills`);
    const { summary, exitCode, stderr } = job.end;
    if (summary === null) failures.push(`job ${jobs}: exit ${exitCode}: ${stderr.trim()}`);
    else if (summary.digest !== digest) otherDigests.push(`job ${jobs}: ${summary.digest}`);
    else if (rowsOf(job.end) !== ground.rows) otherRows.push(`job ${jobs}`);
  }
  const undisturbedMs = Math.round(undisturbed.wallMs);
  return { ...{ kills, jobs, undisturbedMs, resumedFrom, otherDigests, otherRows, failures } };
}

/** One verdict a promise. */
export function jobVerdicts(figures: JobFigures, wanted: number): Verdict[] {
  const { kills, jobs, resumedFrom, otherDigests, otherRows, failures } = figures;
  const steps = resumedFrom.join(", ");
  return [
    {
      promise: `the main job, SIGKILL ${wanted} times: resumed each time, trained to its end`,
      measured:
        failures.length > 0
          ? failures.join("; ")
          : `${kills} kills, went on at step ${steps}; ${jobs} jobs of ${figures.undisturbedMs} ms`,
      // A drill in which every run began anew would have resumed nothing.
      kept: failures.length === 0 && kills >= wanted && resumedFrom.some((step) => step > 0),
    },
    {
      promise: "its result is bit-identical to that of an undisturbed run",
      measured: otherDigests.length === 0 ? `${jobs} equal digests` : otherDigests.join("; "),
      kept: otherDigests.length === 0 && failures.length === 0,
    },
    {
      promise: "its rows are those of an undisturbed run: none missing, none twice",
      measured: otherRows.length === 0 ? `${jobs} equal` : `other rows: ${otherRows.join(", ")}`,
      kept: otherRows.length === 0 && failures.length === 0,
    },
  ];
}
