/** Runs every arm over the same seeds through the command line and judges the promises. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RunSummary } from "esper-runtime";
import { writeBaseline } from "../lib/baseline.ts";
import { runProduct } from "../lib/product.ts";
import { mapWithJobs, median } from "../lib/statistics.ts";
import { printVerdicts, type Verdict } from "../lib/verdict.ts";
import { type Arm, fixedArms, GROWING_ARMS } from "./arms.ts";
import { type ArmReport, printReport, summariseArm } from "./report.ts";
import { type GrowthTask, growthTask } from "./tasks.ts";

export interface GrowthOptions {
  readonly task: string;
  readonly seeds: number;
  readonly jobs: number;
  readonly update: boolean;
}

async function runOne(
  task: GrowthTask,
  arm: Arm,
  seed: number,
  finalParameters: number,
  runs: string,
): Promise<RunSummary> {
  const args = [...task.flags, "--seed", String(seed), "--runs", runs];
  const finished = await runProduct([...args, ...arm.flags(finalParameters)]);
  if (finished.summary === null) {
    throw new Error(`${arm.name}, seed ${seed}: exit ${finished.exitCode}\n${finished.stderr}`);
  }
  return finished.summary;
}

async function runArm(
  task: GrowthTask,
  arm: Arm,
  options: GrowthOptions,
  finalParameters: number,
): Promise<ArmReport> {
  const runs = mkdtempSync(join(tmpdir(), "esper-growth-"));
  try {
    const seeds = Array.from({ length: options.seeds }, (_, index) => index + 1);
    const summaries = await mapWithJobs(seeds, options.jobs, (seed) =>
      runOne(task, arm, seed, finalParameters, runs),
    );
    const report = summariseArm(arm, summaries);
    printReport(report);
    return report;
  } finally {
    rmSync(runs, { recursive: true, force: true });
  }
}

/** All arms; false when a promise of this task is broken. */
export async function runGrowth(options: GrowthOptions): Promise<boolean> {
  const task = growthTask(options.task);
  console.log(`growth on ${task.name}, seeds 1 to ${options.seeds}, ${task.flags.join(" ")}`);
  const reports: ArmReport[] = [];
  let finalParameters = 0;
  for (const arm of [...GROWING_ARMS, ...fixedArms(task.inputs, task.outputs)]) {
    const report = await runArm(task, arm, options, finalParameters);
    if (arm.name === "policy") finalParameters = median(report.parameters);
    reports.push(report);
  }
  const verdicts: readonly Verdict[] = task.promises(reports, options.seeds);
  const kept = printVerdicts("promises", verdicts);
  if (options.update) {
    const command = `node dist/harness.js growth --task ${task.name} --seeds ${options.seeds}`;
    const path = writeBaseline(`growth/${task.name}`, command, { reports, verdicts });
    console.log(`\nwritten: ${path}`);
  }
  return kept;
}
