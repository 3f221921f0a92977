/**
 * `doctor`: tries what a run needs on this machine, and says for each thing what was found and
 * what to do about it. It starts no run and leaves no file behind.
 */
import { availableParallelism, freemem } from "node:os";
import { dirname, join, resolve } from "node:path";
import { EsperError } from "../../../protocols/errors.ts";
import { loadSettings, SETTINGS } from "../../config/settings.ts";
import { findTopology } from "../../config/topologies.ts";
import { listActors } from "../../config/validate-tree.ts";
import { EXIT } from "../../run/exit.ts";
import { freeBytesAt, requireFreeSpace, sizeText } from "../../run/free-space.ts";
import type { EsperConfig, TopologySpec } from "../../topology.ts";
import type { CliDeps } from "../deps.ts";
import type { GlobalValues } from "../options.ts";
import { alignColumns } from "./use-run.ts";

const MIN_NODE = 20;
const MIN_CORES = 2;
const MIN_FREE_MB = 512;
/** A disk that syncs slower than this makes every signed command wait noticeably. */
const SLOW_SYNC_MS = 100;
const SYNCS = 5;

/** One thing that was tried. */
export interface Check {
  readonly name: string;
  /** "slow" works, but a run will be slower than it could be. */
  readonly state: "ok" | "slow" | "failed";
  readonly found: string;
  readonly remedy: string | null;
}

/** Runs all checks; exits with 3 when one failed. */
export async function runDoctor(values: GlobalValues, deps: CliDeps): Promise<number> {
  const checks = [nodeCheck(process.versions.node), coresCheck(), memoryCheck()];
  checks.push(await attempt("settings", async () => settingsFound(deps)));
  let config: EsperConfig | null = null;
  let topology: TopologySpec | null = null;
  const loading = await attempt("configuration", async () => {
    const loaded = await deps.loadConfig(values.config);
    config = loaded.config;
    const named = findTopology(config, values.topology);
    topology = named.spec;
    return `${loaded.file}, topology ${named.name}, ${listActors(topology.tree).length} actors`;
  });
  checks.push(loading);
  checks.push(...(await checkMachine(config, topology, values, deps)));
  const ok = checks.every(({ state }) => state !== "failed");
  if (values.json) deps.stdout.write(`${JSON.stringify({ kind: "doctor", ok, checks })}\n`);
  else deps.stdout.write(`${doctorText(checks)}\n`);
  return ok ? EXIT.done : EXIT.dependency;
}

/** What can be tried only once the configuration is known. */
async function checkMachine(
  config: EsperConfig | null,
  topology: TopologySpec | null,
  values: GlobalValues,
  deps: CliDeps,
): Promise<Check[]> {
  if (config === null || topology === null) return [];
  const { engine } = topology;
  const runs = resolve(values.runs ?? config.runDirectory);
  return [
    await attempt(`engine ${engine}`, () => deps.probeEngine(engine)),
    await checkDisk(runs, deps),
  ];
}

async function attempt(name: string, work: () => Promise<string>): Promise<Check> {
  try {
    return { name, state: "ok", found: await work(), remedy: null };
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    return { name, state: "failed", found: "not usable", remedy: message };
  }
}

/** Node's version against the oldest that is supported. */
export function nodeCheck(version: string): Check {
  const ok = Number.parseInt(version, 10) >= MIN_NODE;
  return {
    name: "node",
    state: ok ? "ok" : "failed",
    found: version,
    remedy: ok ? null : `install Node ${MIN_NODE} or newer`,
  };
}

function coresCheck(): Check {
  const cores = availableParallelism();
  const ok = cores >= MIN_CORES;
  const remedy = ok ? null : "actors on other threads will take turns with training";
  return { name: "cores", state: ok ? "ok" : "slow", found: String(cores), remedy };
}

function memoryCheck(): Check {
  const freeMb = Math.floor(freemem() / 2 ** 20);
  const ok = freeMb >= MIN_FREE_MB;
  const remedy = ok ? null : `a run takes up to ${MIN_FREE_MB} MB; end other programs`;
  return { name: "memory", state: ok ? "ok" : "slow", found: `${freeMb} MB free`, remedy };
}

function settingsFound(deps: CliDeps): string {
  const { sources } = loadSettings(deps.environment);
  const given = SETTINGS.filter(({ name }) => sources[name] === "environment").length;
  return `${given} of ${SETTINGS.length} from the environment, the others by default`;
}

/** What the disk of the runs' folder has room for, and how fast it is. */
export async function checkDisk(
  runs: string,
  deps: Pick<CliDeps, "clock" | "files">,
): Promise<Check> {
  let slowestMs = 0;
  const check = await attempt("disk", async () => {
    const folder = await existingFolder(runs, deps);
    await requireFreeSpace(deps.files, folder);
    const { freeBytes } = await freeBytesAt(deps.files, folder);
    slowestMs = await measureSync(folder, deps);
    const syncs = `slowest of ${SYNCS} syncs ${slowestMs.toFixed(1)} ms`;
    return `${folder}: ${syncs}, ${sizeText(freeBytes)} free`;
  });
  if (check.state === "failed" || slowestMs <= SLOW_SYNC_MS) return check;
  return { ...check, state: "slow", remedy: "put --runs on a faster disk" };
}

/** The nearest folder on the way to `path` that exists: the first run would create the rest. */
async function existingFolder(path: string, deps: Pick<CliDeps, "files">): Promise<string> {
  for (let folder = path; ; folder = dirname(folder)) {
    const found = await deps.files.stat(folder).catch((cause: unknown) => {
      if (folder === dirname(folder)) throw cause;
      return null;
    });
    if (found?.isDirectory) return folder;
    if (found === null) continue;
    throw new EsperError("PREFLIGHT_FAILED", `${folder} is a file; needed: a folder`, { folder });
  }
}

/** Milliseconds of the slowest of some small synced writes. */
async function measureSync(
  folder: string,
  deps: Pick<CliDeps, "clock" | "files">,
): Promise<number> {
  const path = join(folder, `.doctor-${process.pid}`);
  const file = await deps.files.open(path, "create", 0o600);
  try {
    let slowestMs = 0;
    for (let round = 0; round < SYNCS; round++) {
      const startedMs = deps.clock.monotonicMs();
      await file.write(new Uint8Array(4_096), round * 4_096);
      await file.sync();
      slowestMs = Math.max(slowestMs, deps.clock.monotonicMs() - startedMs);
    }
    return slowestMs;
  } finally {
    await file.close();
    await deps.files.remove(path);
  }
}

function doctorText(checks: readonly Check[]): string {
  const table = alignColumns(checks.map(({ name, state, found }) => [name, state, found]));
  const remedies = checks.flatMap(({ name, remedy }) =>
    remedy === null ? [] : `${name}: ${remedy}`,
  );
  const failed = checks.filter(({ state }) => state === "failed").length;
  const verdict = failed === 0 ? "ready to train" : `${failed} of ${checks.length} checks failed`;
  return [table, ...(remedies.length > 0 ? ["", ...remedies] : []), "", verdict].join("\n");
}
