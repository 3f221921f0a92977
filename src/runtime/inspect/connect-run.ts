/** Finds the process that works on a run, and connects with it. */
import { EsperError } from "../../protocols/errors.ts";
import type { RunConnection, RunRef } from "../cli/deps.ts";
import type { Clock } from "../clock.ts";
import type { Files } from "../durable/files.ts";
import { openRun } from "../run/run-dir.ts";
import { isRunHeld } from "../run/run-lock.ts";
import { connectControl } from "./control-client.ts";

/**
 * Connects with the run's process.
 * @throws {RUN_NOT_FOUND} @throws {RUN_NOT_RUNNING} @throws {CONTROL_DENIED}
 * @throws {CONTROL_UNREACHABLE}
 */
export async function connectRun(ref: RunRef, files: Files, clock: Clock): Promise<RunConnection> {
  const { runId, directory, manifest, paths } = await openRun(files, ref.runsDirectory, ref.run);
  if (!(await isRunHeld(files, directory))) {
    const { status } = manifest;
    const now = status === "running" ? "its process ended without a word" : `it is ${status}`;
    const text = `the run ${runId} is not running: ${now}`;
    throw new EsperError("RUN_NOT_RUNNING", text, { run: runId, status });
  }
  try {
    const client = await connectControl(paths.control, files, clock);
    const close = (): void => client.close();
    return { runId, directory, inspect: (params) => client.inspect(params), close };
  } catch (error) {
    if (!EsperError.is(error, "RUN_NOT_RUNNING")) throw error;
    const text = `the process of run ${runId} does not answer: it starts, ends, or has no socket`;
    throw new EsperError("CONTROL_UNREACHABLE", text, { run: runId, path: paths.control }, error);
  }
}
