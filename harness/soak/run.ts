/**
 * Runs a soak in a process of its own, so that what is left over at its end is its own, and so that
 * garbage can be collected on request. A broken promise makes the exit code 4.
 */
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { machine, writeBaseline } from "../lib/baseline.ts";
import { printVerdicts } from "../lib/verdict.ts";
import { SoakReport, type SoakRequest } from "./report.ts";

/** Scripts that are a process of their own, by the name of the soak. */
const SOAKS = {
  cancellation: new URL("./cancellation-side.js", import.meta.url),
  "back-pressure": new URL("./back-pressure-side.js", import.meta.url),
} as const;
export type SoakName = keyof typeof SOAKS;

export const SOAK_NAMES = Object.keys(SOAKS) as readonly SoakName[];

export interface SoakOptions extends SoakRequest {
  readonly json?: boolean;
  readonly updateBaselines?: boolean;
}

const BASELINE = "perf/soak";
const Baseline = z.object({ figures: z.record(z.string(), z.unknown()) });

const MINUTE_MS = 60_000;
/** What the rounds of the largest request may take beside its minutes. */
const MOST_MS = 60 * MINUTE_MS;

/** The report is the last line of the output; progress goes on to the person at once. */
function reportOf(name: SoakName, request: SoakRequest): Promise<SoakReport> {
  const script = fileURLToPath(SOAKS[name]);
  const child = spawn(
    process.execPath,
    ["--expose-gc", "--no-warnings", script, JSON.stringify(request)],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const limitMs = MOST_MS + 2 * request.minutes * MINUTE_MS;
  const timer = setTimeout(() => child.kill("SIGKILL"), limitMs);
  let out = "";
  child.stdout.on("data", (chunk: Buffer) => {
    out += chunk.toString();
  });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => {
      clearTimeout(timer);
      if (code !== 0) return reject(new Error(`the soak ended with ${signal ?? code}: ${out}`));
      resolve(SoakReport.parse(JSON.parse(out.trimEnd().split("\n").at(-1) ?? "")));
    });
  });
}

/** The soaks that are in the baseline already: each is measured alone. */
function earlier(): Readonly<Record<string, unknown>> {
  const path = join("baselines", `${BASELINE}.json`);
  return existsSync(path) ? Baseline.parse(JSON.parse(readFileSync(path, "utf8"))).figures : {};
}

/** Runs one soak and says what it found; false when a promise is broken. */
export async function runSoak(name: SoakName, options: SoakOptions): Promise<boolean> {
  const { json = false, updateBaselines = false, ...request } = options;
  const { figures, verdicts } = await reportOf(name, request);
  const result = { request, figures, verdicts };
  if (json) console.log(JSON.stringify({ machine: machine(), soak: name, ...result }, null, 2));
  else printVerdicts(`soak ${name}`, verdicts);
  if (updateBaselines) {
    const soaks = { ...earlier(), [name]: { machine: machine(), ...result } };
    writeBaseline(BASELINE, "node dist/harness.js soak <name>", soaks);
  }
  return verdicts.every(({ kept }) => kept);
}
