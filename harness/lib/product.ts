/** Starts the product as a user does, as a child process, and reads what it says. */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { RunEvent, RunSummary } from "esper-runtime";

export const RUNTIME = fileURLToPath(new URL("../../runtime.js", import.meta.url));

export interface Finished {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly events: readonly RunEvent[];
  readonly summary: RunSummary | null;
  readonly stderr: string;
  readonly wallMs: number;
  /** Milliseconds from the start of the process to the first germination. */
  readonly firstGrowthMs: number | null;
  /** Highest resident memory seen in /proc while it ran, in MiB; null where there is no /proc. */
  readonly peakMemoryMb: number | null;
}

export interface Running {
  readonly child: ChildProcess;
  readonly finished: Promise<Finished>;
  /** Resolves at the first event that satisfies `wanted`. */
  until(wanted: (event: RunEvent) => boolean): Promise<RunEvent>;
}

export function startProduct(
  args: readonly string[],
  options: { readonly env?: Readonly<Record<string, string>>; readonly deadlineMs?: number } = {},
): Running {
  const startedMs = performance.now();
  const child = spawn(process.execPath, [RUNTIME, ...args, "--json"], {
    env: { ...process.env, ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), options.deadlineMs ?? 600_000);
  const events: RunEvent[] = [];
  const waiters = new Set<(event: RunEvent) => void>();
  let firstGrowthMs: number | null = null;
  let stderr = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  createInterface({ input: child.stdout ?? process.stdin }).on("line", (line) => {
    const event = JSON.parse(line) as RunEvent;
    events.push(event);
    if (event.kind === "seed") firstGrowthMs ??= performance.now() - startedMs;
    for (const waiter of waiters) waiter(event);
  });
  const finished = new Promise<Finished>((resolve) => {
    child.once("close", (exitCode, signal) => {
      clearTimeout(timer);
      const last = events.find((event) => event.kind === "finished");
      resolve({
        exitCode,
        signal,
        events,
        summary: last?.kind === "finished" ? last.summary : null,
        stderr,
        wallMs: performance.now() - startedMs,
        firstGrowthMs,
        peakMemoryMb: last?.kind === "finished" ? last.summary.residentMemoryMb : null,
      });
    });
  });
  const until = (wanted: (event: RunEvent) => boolean): Promise<RunEvent> =>
    new Promise((resolve, reject) => {
      const seen = events.find(wanted);
      if (seen !== undefined) return resolve(seen);
      const waiter = (event: RunEvent): void => {
        if (wanted(event)) {
          waiters.delete(waiter);
          resolve(event);
        }
      };
      waiters.add(waiter);
      child.once("close", () => reject(new Error(`the run ended first: ${stderr}`)));
    });
  return { child, finished, until };
}

export function runProduct(
  args: readonly string[],
  options: Parameters<typeof startProduct>[1] = {},
): Promise<Finished> {
  return startProduct(args, options).finished;
}
