/** Fault drills on real runs, compared bit for bit with an undisturbed run of the same seed. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeBaseline } from "../lib/baseline.ts";
import { type Finished, runProduct, startProduct } from "../lib/product.ts";
import { printVerdicts, type Verdict } from "../lib/verdict.ts";
import { drillGpu } from "./gpu.ts";

/** Long enough for a seed to grow, short enough for a drill. */
const RUN = ["--dataset", "spirals", "--seed", "7", "--epochs", "800"] as const;
const KILLED = ["tamiyo", "kasmina", "tolaria", "ledger", "wal", "nissa", "urza"] as const;
const KILL_AT_STEP = 700;
const STOP_GRACE_MS = 10_000;

type Drill = (runs: string, undisturbed: Finished) => Promise<readonly Verdict[]>;

function digestOf(run: Finished): string {
  return run.summary?.digest ?? `none (exit ${run.exitCode}: ${run.stderr.trim()})`;
}

function sameResult(what: string, run: Finished, undisturbed: Finished): Verdict {
  const same = run.summary !== null && digestOf(run) === digestOf(undisturbed);
  return {
    promise: `${what}: the result is bit-identical to the undisturbed run`,
    measured: same ? digestOf(run).slice(0, 12) : `${digestOf(run)} / ${digestOf(undisturbed)}`,
    kept: same,
  };
}

const kill: Drill = async (runs, undisturbed) => {
  const verdicts: Verdict[] = [];
  for (const actor of KILLED) {
    const fault = `kill:${actor}@step:${KILL_AT_STEP}`;
    const run = await runProduct([...RUN, "--runs", runs, "--fault", fault]);
    const restarts = run.summary?.restarts ?? 0;
    verdicts.push(sameResult(fault, run, undisturbed), {
      promise: `${fault}: the restart is visible in the summary`,
      measured: `${restarts} restarts`,
      kept: restarts > 0,
    });
  }
  return verdicts;
};

const resume: Drill = async (runs, undisturbed) => {
  const first = startProduct([...RUN, "--runs", runs]);
  await first.until((event) => event.kind === "epoch" && event.point.step >= KILL_AT_STEP);
  first.child.kill("SIGKILL");
  await first.finished;
  const second = await runProduct(["--runs", runs, "--resume", "latest"]);
  return [sameResult("SIGKILL, then --resume latest", second, undisturbed)];
};

const stop: Drill = async (runs, undisturbed) => {
  const first = startProduct([...RUN, "--runs", runs]);
  await first.until((event) => event.kind === "epoch" && event.point.step >= KILL_AT_STEP);
  const startedMs = performance.now();
  first.child.kill("SIGTERM");
  const ended = await first.finished;
  const tookMs = performance.now() - startedMs;
  const second = await runProduct(["--runs", runs, "--resume", "latest"]);
  return [
    {
      promise: `SIGTERM: leaves within ${STOP_GRACE_MS / 1_000} s with exit code 143`,
      measured: `${Math.round(tookMs)} ms, exit code ${ended.exitCode}`,
      kept: tookMs <= STOP_GRACE_MS && ended.exitCode === 143,
    },
    sameResult("SIGTERM, then --resume latest", second, undisturbed),
  ];
};

const DRILLS: Readonly<Record<string, Drill>> = { kill, resume, stop };

/** Needs packages and a driver that not every machine has, so it runs only when it is named. */
const GPU_DRILL = "gpu";

async function runGpuDrill(update: boolean): Promise<boolean> {
  const verdicts = await drillGpu();
  const kept = printVerdicts("drill of a growing network on WebGPU", verdicts);
  if (update) writeBaseline("drills/webgpu", "node dist/harness.js drill gpu", { verdicts });
  return kept;
}

/** Runs the named drills (all but gpu when none is named); false when a promise is broken. */
export async function runDrills(names: readonly string[], update: boolean): Promise<boolean> {
  const others = names.filter((name) => name !== GPU_DRILL);
  const gpuKept = names.includes(GPU_DRILL) ? await runGpuDrill(update) : true;
  if (names.length > 0 && others.length === 0) return gpuKept;
  return (await runFaultDrills(others, update)) && gpuKept;
}

async function runFaultDrills(names: readonly string[], update: boolean): Promise<boolean> {
  const chosen = names.length > 0 ? names : Object.keys(DRILLS);
  const runs = mkdtempSync(join(tmpdir(), "esper-drill-"));
  try {
    const undisturbed = await runProduct([...RUN, "--runs", runs]);
    const verdicts: Verdict[] = [];
    for (const name of chosen) {
      const drill = DRILLS[name];
      if (drill === undefined) {
        const known = [...Object.keys(DRILLS), GPU_DRILL].join(", ");
        throw new Error(`no drill ${name}; there are ${known}`);
      }
      verdicts.push(...(await drill(runs, undisturbed)));
    }
    const kept = printVerdicts(`drills on: ${RUN.join(" ")}`, verdicts);
    if (update) writeBaseline("drills/local-cpu", "node dist/harness.js drill", { verdicts });
    return kept;
  } finally {
    rmSync(runs, { recursive: true, force: true });
  }
}
