/** The rows of `metrics.jsonl`. Only fields that end in `_wall` may differ between equal runs. */
import type { MetricRow } from "../../protocols/actors/durable.ts";
import type { SeedTransition } from "../../protocols/actors/growth.ts";
import type { EpochPoint, SeedState } from "../../protocols/leyline/state.ts";

const DIGITS = 8;

/** Shorter lines at no loss that a plot could show; also hides float formatting accidents. */
const round = (value: number): number | null =>
  Number.isFinite(value) ? Number(value.toPrecision(DIGITS)) : null;

export function stepRow(row: {
  readonly step: number;
  readonly epoch: number;
  readonly trainingLoss: number;
  readonly gradientNorm: number;
  readonly learningRate: number;
  readonly seeds: readonly SeedState[];
  readonly totalParameters: number;
}): MetricRow {
  return {
    kind: "step",
    step: row.step,
    epoch: row.epoch,
    training_loss: round(row.trainingLoss),
    gradient_norm: round(row.gradientNorm),
    learning_rate: round(row.learningRate),
    total_parameters: row.totalParameters,
    seeds: row.seeds
      .filter((seed) => seed.settledAtStep === null || seed.stage === "FOSSILIZED")
      .map((seed) => ({ seed_id: seed.seedId, stage: seed.stage, alpha: round(seed.alpha) })),
  };
}

export function epochRow(
  point: EpochPoint,
  totalParameters: number,
  samplesPerSecond: number,
): MetricRow {
  return {
    kind: "epoch",
    step: point.step,
    epoch: point.epoch,
    training_loss: round(point.trainingLoss),
    validation_loss: round(point.validationLoss),
    training_score: round(point.trainingScore),
    validation_score: round(point.validationScore),
    total_parameters: totalParameters,
    samples_per_second_wall: round(samplesPerSecond),
  };
}

export function seedRow(move: SeedTransition): MetricRow {
  return {
    kind: "seed",
    step: move.step,
    seed_id: move.seedId,
    site_id: move.siteId,
    blueprint_id: move.blueprintId,
    blueprint_name: move.blueprintName,
    from: move.from,
    to: move.to,
    alpha: round(move.alpha),
    parameters: move.parameters,
    reason: move.reason,
    gate: move.gate && {
      gate: move.gate.gate,
      passed: move.gate.passed,
      reason: move.gate.reason,
      numbers: Object.fromEntries(
        Object.entries(move.gate.numbers).map(([name, value]) => [name, round(value)]),
      ),
    },
  };
}

export function decisionMissRow(step: number): MetricRow {
  return { kind: "decision_miss", step };
}
