/**
 * What runs first in every thread of a pool. Piscina calls `load` once, then `run` for each job
 * that has the thread to itself, or `serve` once for a thread that many small jobs share.
 */
import { BroadcastChannel, parentPort, workerData } from "node:worker_threads";
import type { Outcome } from "./crew.ts";
import { receiveTables } from "./crossing.ts";
import { type JobMap, loadJobs } from "./jobs.ts";
import type { LastWords, ThreadOrder } from "./piscina-host.ts";
import { failed, type JobMessage, JobRun, runJob } from "./run-job.ts";
import { type ServeOrder, SharedWorker } from "./shared-worker.ts";

const { source, notices, tables } = workerData as ThreadOrder;
receiveTables(tables);

// Begun before piscina calls this thread ready; a failure is told to whoever asks first.
const loading: Promise<JobMap> = loadJobs(source);
loading.catch((error: unknown) => failed(error));

/** The newest job; it stays until the next one, for what goes wrong while its result is sent. */
let current: { readonly id: number; readonly run: JobRun } | null = null;

// The error event of a worker loses the class of what was thrown; these words keep it.
process.on("uncaughtExceptionMonitor", (error: unknown) => {
  const outcome = failed(error);
  if (current === null || outcome.kind !== "error") return;
  parentPort?.postMessage({ job: current.id, error: outcome.error } satisfies LastWords);
});

if (notices !== null) {
  const channel = new BroadcastChannel(notices);
  channel.unref();
  channel.onmessage = (event) => {
    const { data } = event as { readonly data: unknown };
    if (current?.id === data) current?.run.notice();
  };
}

/** Says whether the jobs could be loaded. */
export async function load(): Promise<Outcome> {
  try {
    await loading;
    return { kind: "value", value: null };
  } catch (error) {
    return failed(error);
  }
}

/** Runs one job. */
export async function run(message: JobMessage): Promise<Outcome> {
  const functions = await loading;
  const job = new JobRun(message.name, message.deadlineAtMs, message.crossing);
  current = { id: message.id, run: job };
  return await runJob(functions, job, message.input);
}

/** Runs what comes through the port until the port closes. */
export async function serve(order: ServeOrder): Promise<void> {
  await new SharedWorker(await loading, order).closed;
}
