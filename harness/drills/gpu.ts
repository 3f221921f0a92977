/**
 * Trains the same growing network on the CPU engine and on WebGPU, each in a process of its own,
 * and compares. Needs the optional packages and a Vulkan driver, software or not: where they are
 * missing the drill fails and says so.
 */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Verdict } from "../lib/verdict.ts";
import type { GpuJobReport } from "./gpu-job.ts";

const TOLERANCE = 1e-3;
const JOB_DEADLINE_MS = 240_000;
/** From the job's last word to the end of its process. */
const EXIT_DEADLINE_MS = 5_000;

interface Ended {
  readonly report: GpuJobReport;
  readonly exitCode: number | null;
  readonly exitMs: number;
}

function runJob(engine: "wasm" | "webgpu"): Promise<Ended> {
  const script = fileURLToPath(new URL("./gpu-job.js", import.meta.url));
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script, engine], { stdio: ["ignore", "pipe", "pipe"] });
    const timer = setTimeout(() => child.kill("SIGKILL"), JOB_DEADLINE_MS);
    let out = "";
    let talk = "";
    let spokeMs = 0;
    child.stdout.on("data", (chunk: Buffer) => {
      out += chunk.toString();
      spokeMs = performance.now();
    });
    child.stderr.on("data", (chunk: Buffer) => {
      talk += chunk.toString();
    });
    child.once("close", (exitCode) => {
      clearTimeout(timer);
      const exitMs = performance.now() - spokeMs;
      if (out === "") reject(new Error(`the job on ${engine} failed (${exitCode}): ${talk}`));
      else resolve({ report: JSON.parse(out) as GpuJobReport, exitCode, exitMs });
    });
  });
}

/** Largest distance of two series, infinite when their lengths differ. */
function distance(left: readonly number[], right: readonly number[]): number {
  if (left.length !== right.length || left.length === 0) return Number.POSITIVE_INFINITY;
  return left.reduce(
    (most, value, index) => Math.max(most, Math.abs(value - (right[index] ?? Number.NaN))),
    0,
  );
}

/** @throws when a job gives no report, with what it said instead. */
export async function drillGpu(): Promise<readonly Verdict[]> {
  const cpu = (await runJob("wasm")).report;
  const { report: gpu, exitCode, exitMs } = await runJob("webgpu");
  const losses = distance(cpu.losses, gpu.losses);
  const shadows = distance(cpu.shadowLosses, gpu.shadowLosses);
  const validation = Math.abs(cpu.validationLoss - gpu.validationLoss);
  const first = gpu.tensors[0] ?? Number.NaN;
  return [
    {
      promise: `${gpu.losses.length} steps, graft, shadow and blend: losses within ${TOLERANCE}`,
      measured: `${losses.toExponential(1)} on ${gpu.engine}`,
      kept: losses <= TOLERANCE,
    },
    {
      promise: `${gpu.shadowLosses.length} shadow losses within ${TOLERANCE}`,
      measured: shadows.toExponential(1),
      kept: shadows <= TOLERANCE,
    },
    {
      promise: `the final evaluation within ${TOLERANCE}`,
      measured: validation.toExponential(1),
      kept: validation <= TOLERANCE,
    },
    {
      promise: "a network restored from its snapshot gives the same outputs",
      measured: `largest difference ${gpu.restoredDelta}`,
      kept: gpu.restoredDelta === 0,
    },
    {
      promise: "no tensor leaks from growth cycle to growth cycle, nor at the end",
      measured: `${gpu.tensors.join(", ")}; ${gpu.tensorsLeft} left`,
      kept: gpu.tensors.every((count) => count === first) && gpu.tensorsLeft === 0,
    },
    {
      promise: `the process ends by itself within ${EXIT_DEADLINE_MS / 1_000} s`,
      measured: `exit code ${exitCode} after ${Math.round(exitMs)} ms`,
      kept: exitCode === 0 && exitMs <= EXIT_DEADLINE_MS,
    },
  ];
}
