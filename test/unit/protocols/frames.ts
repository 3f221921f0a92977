/** Sample messages that the frame tests share. */
import type { AdaptationCommand, FieldReport } from "../../../src/protocols/leyline/command.ts";

export const sampleCommand = (): AdaptationCommand => ({
  version: 1,
  commandId: "run-1/1/7",
  commandType: "SEED",
  targetSeedId: "seed-3",
  executionDeadlineMs: 2_000,
  issuedAtMs: 1_759_449_600_123,
  issuedBy: "tamiyo",
  audience: "run-1",
  seedOperation: {
    operation: "GERMINATE",
    blueprintId: "BP002",
    parameters: { alpha: 0.25, warmup: 12 },
  },
  annotations: { site: "hidden1", mode: "CONVEX" },
});

export const sampleReport = (): FieldReport => ({
  version: 1,
  reportId: "run-1/1/7/issued",
  commandId: "run-1/1/7",
  trainingRunId: "run-1",
  seedId: "seed-3",
  blueprintId: "BP002",
  outcome: "SUCCESS",
  metrics: { loss_delta: -0.125, risk: 0.5 },
  observationWindowEpochs: 1,
  issuedAtMs: 1_759_449_600_123,
  tamiyoPolicyVersion: "rules-1",
  notes: "",
});
