/**
 * What runs first in a child process of a pool: one job at a time, told over the channel. It ends
 * with its parent, even in the middle of a computation.
 */
import { Worker } from "node:worker_threads";
import { dehydrate, EsperError, invariant } from "../../protocols/errors.ts";
import { type JobMap, loadJobs } from "./jobs.ts";
import type { FromChild, ToChild } from "./process-messages.ts";
import { failed, JobRun, runJob, unsendable } from "./run-job.ts";

const WATCH = new URL("./process-watch.js", import.meta.url);

let functions: JobMap | null = null;
let current: { readonly id: number; readonly run: JobRun } | null = null;

function tell(message: FromChild): void {
  invariant(process.send !== undefined, "the process entry runs in a forked process");
  process.send(message);
}

async function load(message: ToChild & { readonly kind: "load" }): Promise<void> {
  // A thread of its own: this one may compute for ever when the parent dies.
  new Worker(WATCH, { workerData: message.parentPid }).unref();
  try {
    functions = await loadJobs(message.source);
    tell({ kind: "loaded", error: null });
  } catch (error) {
    const outcome = failed(error);
    tell({ kind: "loaded", error: outcome.kind === "error" ? outcome.error : dehydrate(error) });
  }
}

async function run(message: ToChild & { readonly kind: "run" }): Promise<void> {
  const { id, name, input, deadlineAtMs } = message;
  invariant(functions !== null, "a job comes after the jobs were loaded");
  const job = new JobRun(name, deadlineAtMs, null);
  current = { id, run: job };
  const outcome = await runJob(functions, job, input);
  current = null;
  try {
    tell({ kind: "ended", id, outcome });
  } catch (error) {
    // The channel throws its own kinds of error; when it is closed, this process ends anyway.
    if (!process.connected) return;
    const why = error instanceof Error ? error.message : String(error);
    tell({ kind: "ended", id, outcome: unsendable(why) });
  }
}

process.on("message", (message: ToChild) => {
  if (message.kind === "load") load(message).catch(crash);
  else if (message.kind === "run") run(message).catch(crash);
  else if (current?.id === message.id) current.run.notice();
});

/** Thrown outside any promise, it ends this process with its text on the error output. */
function crash(error: unknown): void {
  setImmediate(() => {
    throw error instanceof Error ? error : new EsperError("HANDLER_FAILED", String(error));
  });
}

// A terminal sends Ctrl-C to every process of the group; the parent decides when this one ends.
process.on("SIGINT", () => current?.run.notice());
process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
