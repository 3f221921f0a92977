/** Runs the benches by name, prints their verdicts and writes their figures. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeBaseline } from "../lib/baseline.ts";
import { printVerdicts, type Verdict } from "../lib/verdict.ts";
import { benchLeak } from "./leak.ts";
import { benchMainJob } from "./main-job.ts";
import { benchMessages } from "./messages.ts";
import { benchOverhead } from "./overhead.ts";

type Bench = (directory: string) => Promise<{
  readonly figures: unknown;
  readonly verdicts: readonly Verdict[];
}>;

const BENCHES: Readonly<Record<string, Bench>> = {
  "main-job": benchMainJob,
  overhead: benchOverhead,
  leak: benchLeak,
  messages: benchMessages,
};

/** Runs the named benches (all when none is named); false when a promise is broken. */
export async function runBenches(names: readonly string[], update: boolean): Promise<boolean> {
  let kept = true;
  for (const name of names.length > 0 ? names : Object.keys(BENCHES)) {
    const bench = BENCHES[name];
    if (bench === undefined) {
      throw new Error(`no bench ${name}; there are ${Object.keys(BENCHES).join(", ")}`);
    }
    const directory = mkdtempSync(join(tmpdir(), "esper-bench-"));
    try {
      const { figures, verdicts } = await bench(directory);
      kept = printVerdicts(name, verdicts) && kept;
      if (update) {
        writeBaseline(`perf/${name}`, `node dist/harness.js bench ${name}`, { figures, verdicts });
      }
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }
  return kept;
}
