/**
 * Where the policy wins and where not: paired differences over the same seeds, with a bootstrap
 * interval (Efron and Tibshirani 1993, section 13.3). An interval that holds zero is no difference.
 */
import { createRandom } from "esper-runtime";
import { mean, quantile } from "../lib/statistics.ts";
import type { ArmReport } from "./report.ts";

const RESAMPLES = 2_000;
const TAIL = 0.025;

export interface Comparison {
  readonly against: string;
  readonly measure: string;
  /** Mean of policy minus the other arm, per seed. */
  readonly difference: number;
  readonly low: number;
  readonly high: number;
  readonly verdict: "better" | "worse" | "no difference";
}

interface Measure {
  readonly name: string;
  readonly of: (report: ArmReport) => readonly number[];
  readonly higherIsBetter: boolean;
}

const MEASURES: readonly Measure[] = [
  { name: "score", of: (report) => report.scores, higherIsBetter: true },
  { name: "parameters", of: (report) => report.parameters, higherIsBetter: false },
  { name: "steps", of: (report) => report.steps, higherIsBetter: false },
];

function interval(differences: readonly number[]): readonly [low: number, high: number] {
  const random = createRandom(1, "bootstrap");
  const means = Array.from({ length: RESAMPLES }, () =>
    mean(differences.map(() => differences[random.integer(differences.length)] ?? 0)),
  );
  return [quantile(means, TAIL), quantile(means, 1 - TAIL)];
}

function compare(policy: ArmReport, other: ArmReport, measure: Measure): Comparison {
  const left = measure.of(policy);
  const right = measure.of(other);
  const differences = left.map((value, index) => value - (right[index] ?? Number.NaN));
  const [low, high] = interval(differences);
  const above = low > 0;
  const below = high < 0;
  const better = measure.higherIsBetter ? above : below;
  const worse = measure.higherIsBetter ? below : above;
  return {
    against: other.arm,
    measure: measure.name,
    difference: mean(differences),
    low,
    high,
    verdict: better ? "better" : worse ? "worse" : "no difference",
  };
}

/** The policy against every other arm, in score, parameters and steps. */
export function comparePolicy(reports: readonly ArmReport[]): readonly Comparison[] {
  const policy = reports.find((report) => report.arm === "policy");
  if (policy === undefined) return [];
  return reports
    .filter((report) => report !== policy)
    .flatMap((other) => MEASURES.map((measure) => compare(policy, other, measure)));
}
