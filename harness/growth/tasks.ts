/** The tasks of the comparison and what is promised for each. */

import { mean } from "../lib/statistics.ts";
import type { Verdict } from "../lib/verdict.ts";
import type { ArmReport } from "./report.ts";

export interface GrowthTask {
  readonly name: string;
  readonly inputs: number;
  readonly outputs: number;
  readonly flags: readonly string[];
  promises(reports: readonly ArmReport[], seeds: number): readonly Verdict[];
}

/** Share of the seeds on which the main job must reach its score (18 of 20). */
const SPIRALS_SHARE = 0.9;
const SPIRALS_SCORE = 0.95;
const SPIRALS_HOST_SCORE = 0.8;

function scoresOf(reports: readonly ArmReport[], arm: string): readonly number[] {
  return reports.find((report) => report.arm === arm)?.scores ?? [];
}

function growthHelps(reports: readonly ArmReport[]): Verdict {
  const grown = mean(scoresOf(reports, "policy"));
  const host = mean(scoresOf(reports, "host-only"));
  return {
    promise: "the grown network beats its own host",
    measured: `mean ${grown.toFixed(3)} against ${host.toFixed(3)}`,
    kept: grown > host,
  };
}

function spiralsPromises(reports: readonly ArmReport[], seeds: number): readonly Verdict[] {
  const good = scoresOf(reports, "policy").filter((score) => score >= SPIRALS_SCORE).length;
  const best = Math.max(...scoresOf(reports, "host-only"));
  return [
    {
      promise: `at least ${SPIRALS_SCORE} between the training points on 18 of 20 seeds`,
      measured: `${good} of ${seeds}`,
      kept: good >= SPIRALS_SHARE * seeds,
    },
    {
      promise: `the host alone stays below ${SPIRALS_HOST_SCORE}`,
      measured: `best ${best.toFixed(3)}`,
      kept: best < SPIRALS_HOST_SCORE,
    },
  ];
}

function task(name: string, inputs: number, outputs: number, flags: readonly string[]): GrowthTask {
  return { name, inputs, outputs, flags, promises: (reports) => [growthHelps(reports)] };
}

const TASKS: readonly GrowthTask[] = [
  { ...task("spirals", 2, 2, ["--dataset", "spirals"]), promises: spiralsPromises },
  task("parity", 8, 2, ["--dataset", "parity"]),
  // The default host solves the rings alone; half of it does not.
  task("rings", 2, 3, ["--dataset", "rings", "--host", "mlp:2"]),
  task("digits", 256, 10, ["--dataset", "digits", "--epochs", "120"]),
  task("orchard", 8, 3, ["--data", "examples/data/orchard.csv", "--target", "ripens"]),
  task("kiln", 8, 1, ["--data", "examples/data/kiln.csv", "--target", "strength_mpa"]),
];

/** @throws when there is no such task, naming those there are. */
export function growthTask(name: string): GrowthTask {
  const task = TASKS.find((candidate) => candidate.name === name);
  if (task !== undefined) return task;
  throw new Error(`no task ${name}; there are ${TASKS.map((known) => known.name).join(", ")}`);
}
