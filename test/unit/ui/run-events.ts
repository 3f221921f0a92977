/** A small run as the user interface would be told of it. */
import type { GateResult, SeedTransition } from "../../../src/protocols/actors/growth.ts";
import type { EpochPoint, SeedState } from "../../../src/protocols/leyline/state.ts";
import type { RunEvent, RunSummary } from "../../../src/protocols/run.ts";

type Of<Kind extends RunEvent["kind"]> = Extract<RunEvent, { kind: Kind }>;

export function started(overrides: Partial<Of<"started">> = {}): Of<"started"> {
  return {
    kind: "started",
    runId: "20260101-120000-spirals-ab12",
    directory: "runs/20260101-120000-spirals-ab12",
    topology: "local-cpu",
    engine: "wasm",
    dataset: {
      name: "spirals",
      task: "classification",
      inputShape: [2],
      trainRows: 400,
      validationRows: 100,
      testRows: 100,
      report: {
        source: "builtin generator",
        rows: 600,
        features: 2,
        dropped: {},
        filled: {},
        classBalance: { inner: 300, outer: 300 },
        notes: [],
      },
    },
    host: "mlp 2-16-16-2",
    hostParameters: 354,
    epochs: 60,
    seed: 42,
    resumedFromStep: null,
    secretGenerated: true,
    ...overrides,
  };
}

export function point(overrides: Partial<EpochPoint> = {}): EpochPoint {
  return {
    epoch: 12,
    step: 480,
    trainingLoss: 0.412,
    validationLoss: 0.4552,
    trainingScore: 0.875,
    validationScore: 0.85,
    ...overrides,
  };
}

export function seedState(overrides: Partial<SeedState> = {}): SeedState {
  return {
    seedId: "seed-3",
    siteId: "hidden1",
    blueprintId: "bp-17",
    stage: "BLENDING",
    alpha: 0.5,
    parameters: 352,
    ageSteps: 128,
    germinatedAtStep: 352,
    settledAtStep: null,
    gradientNorm: 0.2,
    gain: null,
    reason: "",
    ...overrides,
  };
}

export function epoch(overrides: Partial<Of<"epoch">> = {}): Of<"epoch"> {
  return {
    kind: "epoch",
    point: point(),
    samplesPerSecond: 12_400,
    seeds: [],
    totalParameters: 354,
    ...overrides,
  };
}

export function progress(overrides: Partial<Of<"progress">> = {}): Of<"progress"> {
  return {
    kind: "progress",
    step: 490,
    epoch: 13,
    epochStep: 10,
    epochSteps: 40,
    trainingLoss: 0.3911,
    ...overrides,
  };
}

export const G2: GateResult = {
  gate: "G2_STABILITY",
  passed: true,
  reason: "passed",
  numbers: {
    host_loss: 0.603,
    shadow_loss: 0.412,
    gain: 0.317,
    needed_gain: 0.02,
    z: 8.44,
    needed_z: 2,
  },
};

export function seed(overrides: Partial<SeedTransition> = {}): Of<"seed"> {
  return {
    kind: "seed",
    transition: {
      seedId: "seed-3",
      siteId: "hidden1",
      blueprintId: "bp-17",
      blueprintName: "gated_feedforward",
      step: 480,
      from: "TRAINING",
      to: "BLENDING",
      alpha: 0,
      parameters: 352,
      gate: G2,
      reason: "passed",
      ...overrides,
    },
  };
}

export function summary(overrides: Partial<RunSummary> = {}): RunSummary {
  return {
    runId: "20260101-120000-spirals-ab12",
    directory: "runs/20260101-120000-spirals-ab12",
    outcome: "completed",
    datasetName: "spirals",
    task: "classification",
    scoreName: "accuracy",
    epochs: 60,
    steps: 2_400,
    wallSeconds: 14.2,
    firstGrowthSeconds: 3.2,
    beforeGrowth: point({ trainingScore: 0.712, validationScore: 0.701 }),
    last: point({ epoch: 60, step: 2_400, trainingScore: 0.991, validationScore: 0.983 }),
    testScore: 0.979,
    hostParameters: 354,
    totalParameters: 1_058,
    seeds: { fossilized: 2, culled: 1, alive: 0 },
    restarts: 1,
    residentMemoryMb: 210.4,
    digest: "ab".repeat(32),
    ...overrides,
  };
}
