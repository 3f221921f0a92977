/**
 * What the runtime costs per training step. Two peers do the same optimizer steps on the same
 * network with the same kernels in a plain loop; the product does them inside the actor system,
 * with decisions, field reports, telemetry and checkpoints. They alternate in one bench run.
 */
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createRandom } from "esper-runtime";
import { runProduct } from "../lib/product.ts";
import { median, quantile } from "../lib/statistics.ts";
import type { Verdict } from "../lib/verdict.ts";

const INPUTS = 64;
const CLASSES = 10;
const ROWS = 2_560;
const EPOCHS = 30;
const ROUNDS = 5;
const MAX_SHARE = 0.15;
const WARM_EPOCHS = 5;

/** A table with a learnable, not linearly separable target. */
function writeTable(path: string): void {
  const random = createRandom(1, "bench:table");
  const names = Array.from({ length: INPUTS }, (_, index) => `x${index}`);
  const lines = [[...names, "class"].join(",")];
  for (let row = 0; row < ROWS; row++) {
    const values = names.map(() => random.normal());
    const angle = Math.atan2(values[0] ?? 0, values[1] ?? 0) + Math.PI;
    const label = Math.floor((angle / (2 * Math.PI)) * CLASSES) % CLASSES;
    lines.push([...values.map((value) => value.toFixed(4)), `c${label}`].join(","));
  }
  writeFileSync(path, `${lines.join("\n")}\n`);
}

function bareLoop(path: string, kind: "tfjs" | "device"): Promise<readonly number[]> {
  const script = fileURLToPath(new URL("./bare-loop.js", import.meta.url));
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script, path, String(EPOCHS), kind], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let out = "";
    child.stdout.on("data", (chunk: Buffer) => {
      out += chunk.toString();
    });
    child.once("close", (code) => {
      if (code === 0) resolve(JSON.parse(out) as number[]);
      else reject(new Error(`the bare loop ended with ${code}`));
    });
  });
}

/** Milliseconds per step of every epoch after the warm-up. */
async function product(path: string, runs: string): Promise<readonly number[]> {
  const finished = await runProduct(
    [
      ...["--data", path, "--target", "class", "--host", "mlp:128,128", "--batch-size", "32"],
      ...["--epochs", String(EPOCHS), "--runs", runs, "--learning-rate", "0.001"],
    ],
    // Decisions are taken every 16 steps and always end in "hold": growth would change the work.
    { env: { TAMIYO_CONSERVATIVE_MODE: "true" } },
  );
  const epochs = finished.events.filter((event) => event.kind === "epoch");
  if (epochs.length !== EPOCHS) throw new Error(`the run failed: ${finished.stderr}`);
  return epochs.map((event) => (event.kind === "epoch" ? 32_000 / event.samplesPerSecond : 0));
}

export async function benchOverhead(
  directory: string,
): Promise<{ readonly figures: unknown; readonly verdicts: readonly Verdict[] }> {
  const table = join(directory, "table.csv");
  writeTable(table);
  const tfjs: number[] = [];
  const device: number[] = [];
  const full: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    tfjs.push(...(await bareLoop(table, "tfjs")).slice(WARM_EPOCHS));
    device.push(...(await bareLoop(table, "device")).slice(WARM_EPOCHS));
    full.push(...(await product(table, join(directory, "runs"))).slice(WARM_EPOCHS));
  }
  // The stricter peer counts: whichever loop is faster.
  const bare = Math.min(median(tfjs), median(device));
  const share = 1 - bare / median(full);
  const figure = (values: readonly number[]) => ({
    p50: median(values),
    p95: quantile(values, 0.95),
    epochs: values.length,
  });
  const figures = {
    tfjs_loop_ms_per_step: figure(tfjs),
    device_loop_ms_per_step: figure(device),
    runtime_ms_per_step: figure(full),
    share,
  };
  const measured =
    `${(100 * share).toFixed(1)} % (${median(full).toFixed(3)} ms a step; TensorFlow.js loop ` +
    `${median(tfjs).toFixed(3)}, device loop ${median(device).toFixed(3)})`;
  const promise = `the runtime's share of a step at most ${100 * MAX_SHARE} %`;
  return { figures, verdicts: [{ promise, measured, kept: share <= MAX_SHARE }] };
}
