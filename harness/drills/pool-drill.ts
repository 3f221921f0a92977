/** Jobs that do their worst: one aborts its process, one ignores that it was cancelled. */
import { CancellationToken, EsperError, openPool, systemClock } from "esper-runtime";
import type { Verdict } from "../lib/verdict.ts";
import { abortJobs } from "./abort-job.ts";

const DEADLINE = { deadlineMs: 20_000 };
const GRACE_MS = 100;
/** The end of a worker is not the drill's to hurry. */
const SLACK_MS = 400;

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "none";
  } catch (error) {
    return error instanceof EsperError ? error.code : String(error);
  }
}

/** A native abort in a child process is the failure of its own job alone. */
export async function drillAbort(): Promise<Verdict[]> {
  const pool = await openPool(abortJobs, { kind: "process", workers: 2, clock: systemClock });
  try {
    const aborted = codeOf(pool.run("abort", null, DEADLINE));
    const neighbours = [1, 2, 3, 4].map((n) => pool.run("double", n, DEADLINE));
    const sum = (await Promise.all(neighbours)).reduce((total, n) => total + n, 0);
    const code = await aborted;
    const after = await pool.run("double", 21, DEADLINE);
    const { submitted, completed, failed } = pool.account();
    const books = `${submitted} = ${completed} + ${failed}`;
    return [
      {
        promise: "abort: the job is lost alone, the process is replaced, the books balance",
        measured: `${code}; neighbours ${sum}, after ${after}; ${books}`,
        kept: code === "JOB_LOST" && sum === 20 && after === 42 && submitted === completed + failed,
      },
    ];
  } finally {
    await pool.close();
  }
}

/** A job that polls nothing is ended after its grace, and its neighbour goes on. */
export async function drillIgnored(): Promise<Verdict[]> {
  const options = { kind: "threads", workers: 2, clock: systemClock, graceMs: GRACE_MS } as const;
  const pool = await openPool(abortJobs, options);
  try {
    const token = new CancellationToken();
    const stubborn = codeOf(pool.run("loop", null, { ...DEADLINE, token }));
    await pool.run("double", 1, DEADLINE);
    const startedMs = systemClock.monotonicMs();
    token.cancel();
    const code = await stubborn;
    const tookMs = systemClock.monotonicMs() - startedMs;
    const after = await pool.run("double", 21, DEADLINE);
    return [
      {
        promise: `ignored: a job that ignores its token is over ${GRACE_MS + SLACK_MS} ms after it`,
        measured: `${Math.round(tookMs)} ms, ${code}; after ${after}`,
        kept: code === "CANCELLED" && tookMs <= GRACE_MS + SLACK_MS && after === 42,
      },
    ];
  } finally {
    await pool.close();
  }
}
