/**
 * One run of the main job with faults in it: starts it as a person would, on a topology whose
 * limits let a hang be noticed soon, and reads from its folder what became of the faults.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Finished, type Running, startProduct } from "../lib/product.ts";

/** Long enough for a seed to grow, short enough for a dozen of drills. */
const RUN = ["--dataset", "spirals", "--seed", "7", "--epochs", "800"] as const;
const DEADLINE_MS = 90_000;

/** After so long without a beat a thread is held to be stuck, unless a drill says otherwise. */
export const STUCK_MS = 500;
export const GRACE_MS = 100;
const HEAP_LIMIT_MB = 96;

/** What a run with faults came to. */
export interface Disturbed {
  readonly run: Finished;
  /** How often the faults struck. */
  readonly strikes: number;
  /** From the first strike to the last restart; null when nothing was restarted. */
  readonly sinceStrikeMs: number | null;
  /** The same from the end of the first thread that ended; null when none did. */
  readonly sinceExitMs: number | null;
  readonly restarts: number;
  /** Why threads ended. */
  readonly exits: readonly string[];
  /** Messages that nobody handled, by reason. */
  readonly deadLetters: Readonly<Record<string, number>>;
}

/**
 * The built-in configuration with limits for every thread; the threads that compute nothing may
 * hold their event loop for `stuckMs`.
 */
export function writeDrillConfig(folder: string, stuckMs = STUCK_MS): string {
  const file = join(folder, `drill-${stuckMs}.config.mjs`);
  const original = new URL("../../actors.config.js", import.meta.url).href;
  const limits = { stuckMs, graceMs: GRACE_MS, heapLimitMb: HEAP_LIMIT_MB };
  // A disk that syncs slowly is no hang.
  const threads = { control: limits, durable: { ...limits, stuckMs: Math.max(stuckMs, 3_000) } };
  const text = `import config from ${JSON.stringify(original)};
const spec = { ...config.topologies["local-cpu"], threads: ${JSON.stringify(threads)}, spares: 1 };
export default { ...config, allowFaults: true, topologies: { "local-cpu": spec } };
`;
  writeFileSync(file, text);
  return file;
}

/** Starts the run; `config` is a file that `writeDrillConfig` wrote. */
export function startDisturbed(
  config: string,
  runs: string,
  faults: readonly string[],
  more: readonly string[] = RUN,
): Running {
  const injected = faults.flatMap((fault) => ["--inject", fault]);
  const args = ["--config", config, "--runs", runs, ...more, ...injected];
  return startProduct(args, { deadlineMs: DEADLINE_MS });
}

/** What is written of a run that has ended. */
export function describeDisturbed(run: Finished): Disturbed {
  const started = run.events.find((event) => event.kind === "started");
  const folder = started?.kind === "started" ? started.directory : null;
  const log = folder === null ? [] : readLines(join(folder, "log.jsonl"));
  const faults = log.filter(({ msg }) => msg === "a fault was injected");
  const restarts = log.filter(({ msg }) => msg === "the actor was restarted");
  const exits = log.filter(({ msg }) => msg === "a thread ended");
  const lastMs = restarts.at(-1)?.time;
  const until = (first: Line | undefined): number | null =>
    first?.time === undefined || lastMs === undefined ? null : lastMs - first.time;
  const events = folder === null ? [] : readLines(join(folder, "events.jsonl"));
  return {
    run,
    strikes: faults.length,
    sinceStrikeMs: until(faults[0]),
    sinceExitMs: until(exits[0]),
    restarts: restarts.length,
    exits: exits.map(({ cause }) => cause ?? "unknown"),
    deadLetters: countLetters(events),
  };
}

/** A line of the log or of the telemetry; only what is looked at here. */
interface Line {
  readonly msg?: string;
  readonly time?: number;
  readonly cause?: string;
  readonly name?: string;
  readonly attributes?: { readonly reason?: string; readonly count?: number };
}

function readLines(file: string): Line[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, "utf8").split("\n");
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as Line);
}

function countLetters(events: readonly Line[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { name, attributes } of events) {
    if (name !== "runtime.dead_letter") continue;
    const { reason = "unknown", count = 1 } = attributes ?? {};
    counts[reason] = (counts[reason] ?? 0) + count;
  }
  return counts;
}
