/** Rows of a plausible run: a host that stalls, one seed that is culled, two that are kept. */
import type { MetricRow } from "../../../src/protocols/actors/durable.ts";
import type { SeedStageName } from "../../../src/protocols/leyline/enums.ts";
import type { TelemetryEvent } from "../../../src/protocols/leyline/telemetry.ts";
import { createRandom } from "../../../src/runtime/random.ts";

interface Life {
  readonly seedId: string;
  readonly moves: readonly (readonly [step: number, to: SeedStageName])[];
}

const LIVES: readonly Life[] = [
  {
    seedId: "seed-1",
    moves: [
      [400, "GERMINATED"],
      [401, "TRAINING"],
      [620, "CULLED"],
      [621, "EMBARGOED"],
      [749, "RESETTING"],
      [750, "DORMANT"],
    ],
  },
  {
    seedId: "seed-2",
    moves: [
      [800, "GERMINATED"],
      [801, "TRAINING"],
      [980, "BLENDING"],
      [1040, "SHADOWING"],
      [1104, "PROBATIONARY"],
      [1232, "FOSSILIZED"],
    ],
  },
  {
    seedId: "seed-3",
    moves: [
      [1600, "GERMINATED"],
      [1601, "TRAINING"],
      [1800, "BLENDING"],
      [1860, "SHADOWING"],
      [1924, "PROBATIONARY"],
      [2052, "FOSSILIZED"],
    ],
  },
];

function stageAt(life: Life, step: number): SeedStageName | null {
  return life.moves.filter(([at]) => at <= step).at(-1)?.[1] ?? null;
}

function alphaAt(life: Life, step: number): number {
  const blend = life.moves.find(([, to]) => to === "BLENDING")?.[0];
  if (blend === undefined || step < blend) return 0;
  const x = (Math.min(60, step - blend) / 60 - 0.5) * 10;
  const low = 1 / (1 + Math.exp(5));
  return Math.min(1, Math.max(0, (1 / (1 + Math.exp(-x)) - low) / (1 - 2 * low)));
}

function grownAt(step: number): number {
  return LIVES.reduce((sum, life) => sum + alphaAt(life, step), 0);
}

function lossAt(step: number): number {
  return 0.42 * Math.exp(-step / 260) + 0.26 * 0.16 ** grownAt(step) + 0.004;
}

/** @param steps Optimizer steps; @param every Steps between two step rows. */
export function fakeRows(steps = 2_400, every = 4): MetricRow[] {
  const random = createRandom(7, "report");
  const rows: MetricRow[] = [];
  for (let step = 1; step <= steps; step++) {
    for (const life of LIVES) rows.push(...movesAt(life, step));
    if (step % every === 0) rows.push(stepRow(step, random.normal()));
    if (step % 40 === 0) rows.push(epochRow(step, random.normal()));
  }
  return rows;
}

function stepRow(step: number, noise: number): MetricRow {
  return {
    kind: "step",
    step,
    epoch: Math.ceil(step / 40),
    training_loss: lossAt(step) * Math.exp(0.25 * noise),
    gradient_norm: 0.3 * lossAt(step) * Math.exp(0.5 * noise),
    learning_rate: 0.01 * Math.min(1, step / 100),
    total_parameters: parametersAt(step),
    seeds: LIVES.flatMap((life) => {
      const stage = stageAt(life, step);
      if (stage === null || stage === "DORMANT") return [];
      return [{ seed_id: life.seedId, stage, alpha: alphaAt(life, step) }];
    }),
  };
}

function epochRow(step: number, noise: number): MetricRow {
  return {
    kind: "epoch",
    step,
    epoch: step / 40,
    training_loss: lossAt(step),
    validation_loss: lossAt(step) * 1.12 + 0.004 * Math.abs(noise),
    training_score: 1 - 0.9 * Math.min(0.5, lossAt(step)),
    validation_score: 1 - Math.min(0.5, lossAt(step)) - 0.004 * Math.abs(noise),
    total_parameters: parametersAt(step),
    samples_per_second_wall: 12_000 + 900 * noise - 1_500 * grownAt(step),
  };
}

function parametersAt(step: number): number {
  const living = LIVES.filter((life) => {
    const stage = stageAt(life, step);
    return stage !== null && !["CULLED", "EMBARGOED", "RESETTING", "DORMANT"].includes(stage);
  });
  return 354 + 352 * living.length;
}

function movesAt(life: Life, step: number): MetricRow[] {
  return life.moves.flatMap(([at, to], index) => {
    if (at !== step) return [];
    const culled = to === "CULLED";
    return [
      {
        kind: "seed",
        step,
        seed_id: life.seedId,
        site_id: life.seedId === "seed-3" ? "hidden2" : "hidden1",
        blueprint_id: "bp-17",
        blueprint_name: "gated_feedforward",
        from: life.moves[index - 1]?.[1] ?? "DORMANT",
        to,
        alpha: alphaAt(life, step),
        parameters: 352,
        reason: culled ? "the seed does not lower the loss enough" : "passed",
        gate: gateOf(to, culled),
      },
    ];
  });
}

function gateOf(to: SeedStageName, culled: boolean) {
  if (to === "BLENDING" || culled) {
    const numbers = culled
      ? { host_loss: 0.31, shadow_loss: 0.309, gain: 0.003, needed_gain: 0.02, z: 0.6, needed_z: 2 }
      : { host_loss: 0.3, shadow_loss: 0.2, gain: 0.333, needed_gain: 0.02, z: 9.1, needed_z: 2 };
    const reason = culled ? "the seed does not lower the loss enough" : "passed";
    return { gate: "G2_STABILITY", passed: !culled, reason, numbers };
  }
  if (to !== "FOSSILIZED" && to !== "PROBATIONARY") return null;
  const numbers = {
    baseline_loss: 0.33,
    validation_loss: 0.11,
    loss_without_seed: 0.34,
    impact: 0.667,
    needed_impact: 0.01,
  };
  return { gate: "G4_SYSTEM_IMPACT", passed: true, reason: "passed", numbers };
}

export const EVENTS: readonly TelemetryEvent[] = [
  {
    name: "trainer.started",
    level: "INFO",
    source: "tolaria",
    timeMs: 1_760_000_000_000,
    attributes: {},
  },
  {
    name: "supervisor.restarted",
    level: "INFO",
    source: "supervisor",
    timeMs: 1_760_000_003_400,
    attributes: { actor: "tamiyo", starts: 2, took_ms: 41.7 },
  },
  {
    name: "gate_failure",
    level: "WARNING",
    source: "kasmina",
    timeMs: 1_760_000_006_100,
    attributes: { seed_id: "seed-1", gate: "G2_STABILITY" },
  },
];
