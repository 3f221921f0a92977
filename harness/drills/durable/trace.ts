/**
 * A writer under `strace`: SIGKILL cannot show that an acknowledgement waits for the device,
 * because the page cache survives it. The system calls themselves can.
 */
import { spawnSync } from "node:child_process";
import { closeSync, createReadStream, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Verdict } from "../../lib/verdict.ts";
import { readTrace, TRACED, type TraceFigures } from "./trace-read.ts";

export interface TraceRequest {
  readonly appends: number;
  readonly seed: number;
  readonly directory: string;
}

const WRITER = fileURLToPath(new URL("./kill-writer.js", import.meta.url));
const LIFE = 1;
const FIRST_TIME_MS = 1;
/** More than the largest batch: a record cut off in the trace would count as never written. */
const SHOWN_BYTES = 4_194_304;
const DEADLINE_MS = 300_000;

/**
 * Traces a writer for so many appends.
 * @throws {Error} when strace is not installed or may not trace here.
 */
export async function traceWriter(request: TraceRequest): Promise<TraceFigures> {
  const { appends, seed, directory } = request;
  const file = join(directory, "trace.txt");
  const log = join(directory, "traced");
  mkdirSync(log, { recursive: true });
  const writer = [WRITER, log, seed, LIFE, FIRST_TIME_MS, appends].map(String);
  const shown = ["-f", "-tt", "-xx", "-s", String(SHOWN_BYTES), "-e", `trace=${TRACED.join(",")}`];
  // What it tells its parent is read from the trace; the pipe itself goes nowhere.
  const nowhere = openSync("/dev/null", "w");
  const { status, error, stderr } = spawnSync(
    "strace",
    [...shown, "-o", file, process.execPath, ...writer],
    { stdio: ["ignore", "ignore", "pipe", nowhere], encoding: "utf8", timeout: DEADLINE_MS },
  );
  closeSync(nowhere);
  if (status !== 0) {
    const why = error?.message ?? stderr;
    throw new Error(`no trace: ${why.trim()}; install strace, or allow tracing (ptrace_scope)`);
  }
  const lines = createInterface({ input: createReadStream(file, "latin1") });
  return readTrace(lines, seed, LIFE);
}

/** One verdict a promise. */
export function traceVerdicts(figures: TraceFigures, wanted: number): Verdict[] {
  const { acknowledgements, syncs, writes, early } = figures;
  const each = (acknowledgements / Math.max(1, writes)).toFixed(1);
  const some = early.length > 0 ? ` (${early.slice(0, 3).join("; ")})` : "";
  return [
    {
      promise: "system calls: no acknowledgement before the sync of its record returned",
      measured: `${early.length} early${some} of ${acknowledgements}; ${syncs} syncs`,
      kept: early.length === 0 && acknowledged(figures, wanted),
    },
    {
      promise: "appends that wait together share one write and one sync",
      measured: `${each} acknowledgements a write`,
      kept: acknowledgements > writes && writes > 0,
    },
  ];
}

/** Every append of the writer is in the trace: one that is not was not checked. */
const acknowledged = ({ acknowledgements }: TraceFigures, wanted: number): boolean =>
  acknowledgements >= wanted;
