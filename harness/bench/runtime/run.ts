/**
 * The bench of the actor runtime: every promised figure as a row, both sides measured in this run.
 * A broken promise makes the exit code 4; a peer that is not installed is skipped aloud.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { machine, writeBaseline } from "../../lib/baseline.ts";
import { loadBefore, measureAll } from "../measure.ts";
import { findErlang } from "../peers/erlang.ts";
import { calls } from "./calls.ts";
import { cancellation } from "./cancellation.ts";
import { casts } from "./casts.ts";
import { emergency } from "./emergency.ts";
import { idleActors } from "./idle-actors.ts";
import type { BenchOptions, RuntimeBench } from "./options.ts";
import { pool } from "./pool-rows.ts";
import { recovery } from "./recovery.ts";
import { residentFlood } from "./resident-flood.ts";
import { savina } from "./savina.ts";
import { renderTable } from "./table.ts";
import { threadPingPong } from "./thread-ping-pong.ts";

export const RUNTIME_BENCHES: readonly RuntimeBench[] = [
  casts,
  calls,
  savina,
  threadPingPong,
  emergency,
  cancellation,
  recovery,
  residentFlood,
  idleActors,
  pool,
];

export interface RuntimeBenchRequest {
  /** Names of benches; all when it is left out. */
  readonly only?: readonly string[];
  readonly json?: boolean;
  readonly quick?: boolean;
  readonly updateBaselines?: boolean;
  readonly peers?: string;
  readonly rounds: number;
  readonly seed: number;
}

function versionOf(name: string): string {
  const text = readFileSync(join("node_modules", name, "package.json"), "utf8");
  const { version } = JSON.parse(text) as { readonly version: string };
  return version;
}

/** Versions of what stood on the other side. */
async function versions(options: BenchOptions): Promise<Record<string, string>> {
  const erlang = await findErlang(options.directory, options.say);
  const names = ["benny", "comlink", "msgpackr", "nact", "piscina"];
  return {
    ...Object.fromEntries(names.map((name) => [name, versionOf(name)])),
    erlang: erlang?.version ?? "not installed",
  };
}

/** Runs the benches and says what they found; false when a promise is broken. */
export async function runRuntimeBench(request: RuntimeBenchRequest): Promise<boolean> {
  const benches = RUNTIME_BENCHES.filter(({ name }) => request.only?.includes(name) ?? true);
  const directory = mkdtempSync(join(tmpdir(), "esper-bench-"));
  const options: BenchOptions = {
    ...{ directory, rounds: request.rounds, seed: request.seed, peers: request.peers ?? null },
    quick: request.quick === true,
    say: (line) => void process.stderr.write(`${line}\n`),
  };
  try {
    const load = loadBefore(options);
    const peers = await versions(options);
    const measured = await measureAll(benches, options);
    const rows = [...measured.values()].flat();
    const { seed, rounds, quick } = options;
    const figures = {
      ...{ seed, rounds, quick, load_before: load, versions: peers },
      benches: Object.fromEntries(measured),
    };
    if (request.json === true) {
      console.log(JSON.stringify({ machine: machine(), figures }, null, 2));
    } else for (const line of renderTable(rows)) console.log(line);
    if (request.updateBaselines === true) {
      writeBaseline("perf/runtime", "node dist/harness.js bench runtime", figures);
    }
    return rows.every(({ kept }) => kept !== false);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
