/** One arm's figures over all its seeds. No seed is dropped. */
import type { RunSummary } from "esper-runtime";
import { mean, median, quantile } from "../lib/statistics.ts";
import type { Arm } from "./arms.ts";

export interface ArmReport {
  readonly arm: string;
  readonly description: string;
  /** Score on samples no decision has seen; the validation score where there are none. */
  readonly scores: readonly number[];
  readonly scoresBeforeGrowth: readonly number[];
  readonly trainingScores: readonly number[];
  readonly parameters: readonly number[];
  readonly steps: readonly number[];
  readonly wallSeconds: readonly number[];
  readonly fossilized: readonly number[];
  readonly culled: readonly number[];
}

export function summariseArm(arm: Arm, runs: readonly RunSummary[]): ArmReport {
  return {
    arm: arm.name,
    description: arm.description,
    scores: runs.map((run) => run.testScore ?? run.last.validationScore),
    scoresBeforeGrowth: runs.map((run) => run.beforeGrowth.validationScore),
    trainingScores: runs.map((run) => run.last.trainingScore),
    parameters: runs.map((run) => run.totalParameters),
    steps: runs.map((run) => run.steps),
    wallSeconds: runs.map((run) => run.wallSeconds),
    fossilized: runs.map((run) => run.seeds.fossilized),
    culled: runs.map((run) => run.seeds.culled),
  };
}

export function printReport(report: ArmReport): void {
  const { arm, description, scores, parameters, steps, fossilized, culled, wallSeconds } = report;
  const figure = (value: number): string => value.toFixed(3);
  const columns = [
    arm.padEnd(18),
    `score mean ${figure(mean(scores))} median ${figure(median(scores))}`,
    `min ${figure(quantile(scores, 0))} max ${figure(quantile(scores, 1))}`,
    `params ${median(parameters)}  steps ${median(steps)}`,
    `seeds kept ${mean(fossilized).toFixed(1)} culled ${mean(culled).toFixed(1)}`,
    `${median(wallSeconds).toFixed(1)} s  (${description})`,
  ];
  console.log(`  ${columns.join("  ")}`);
}
