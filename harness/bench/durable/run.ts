/**
 * `bench durable`: every promised figure of the durable layer as a row, both sides measured in this
 * run, on a disk and never in memory. A broken promise makes the exit code 4.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { machine, writeBaseline } from "../../lib/baseline.ts";
import { loadBefore, measureAll } from "../measure.ts";
import { renderTable } from "../runtime/table.ts";
import { appends } from "./appends.ts";
import { checkpoints } from "./checkpoints.ts";
import { claims } from "./claims.ts";
import { describeDisk, realDirectory } from "./disk.ts";
import { logAlone } from "./log-alone.ts";
import type { DurableBench } from "./options.ts";
import { recovery } from "./recovery.ts";
import { reports } from "./reports.ts";

export const DURABLE_BENCHES: readonly DurableBench[] = [
  appends,
  logAlone,
  reports,
  recovery,
  claims,
  checkpoints,
];

export interface DurableBenchRequest {
  /** Names of benches; all when it is left out. */
  readonly only?: readonly string[];
  readonly rounds: number;
  readonly quick?: boolean;
  readonly json?: boolean;
  readonly updateBaselines?: boolean;
  /** Where the logs lie; a temporary folder on a disk when it is left out. */
  readonly directory?: string;
}

/** Runs the benches and says what they found; false when a promise is broken. */
export async function runDurableBench(request: DurableBenchRequest): Promise<boolean> {
  const benches = DURABLE_BENCHES.filter(({ name }) => request.only?.includes(name) ?? true);
  const directory = mkdtempSync(join(realDirectory(request.directory), "esper-bench-"));
  const disk = describeDisk(directory);
  const { rounds, quick = false } = request;
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  say(`bench durable on ${disk.text}`);
  const load = loadBefore({ say });
  try {
    const measured = await measureAll(benches, { directory, rounds, quick, say });
    const rows = [...measured.values()].flat();
    const figures = {
      ...{ rounds, quick, load_before: load, disk },
      benches: Object.fromEntries(measured),
    };
    if (request.json === true) {
      console.log(JSON.stringify({ machine: machine(), figures }, null, 2));
    } else for (const line of renderTable(rows)) console.log(line);
    if (request.updateBaselines === true) {
      writeBaseline("perf/durable", "node dist/harness.js bench durable", figures);
    }
    return rows.every(({ kept }) => kept !== false);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
