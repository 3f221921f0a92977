/** One seed's record: plain data, so that a checkpoint holds it whole. */
import { z } from "zod";
import { SeedStage, type SeedStageName } from "../../protocols/leyline/enums.ts";
import type { SeedState } from "../../protocols/leyline/state.ts";

const stages = Object.keys(SeedStage) as [SeedStageName, ...SeedStageName[]];

export const seedSchema = z.strictObject({
  seedId: z.string(),
  siteId: z.string(),
  blueprintId: z.string(),
  blueprintName: z.string(),
  stage: z.enum(stages),
  alpha: z.number(),
  parameters: z.int(),
  germinatedAtStep: z.int(),
  stageSinceStep: z.int(),
  settledAtStep: z.int().nullable(),
  gradientNorm: z.number(),
  gain: z.number().nullable(),
  reason: z.string(),
  commandId: z.string(),
  /** Validation loss and score just before germination. */
  baselineLoss: z.number(),
  baselineScore: z.number(),
  /** Most recent paired losses of the isolated training, oldest first. */
  hostLosses: z.array(z.number()),
  shadowLosses: z.array(z.number()),
});
export type Seed = z.infer<typeof seedSchema>;

export function exportState(seed: Seed, step: number): SeedState {
  return {
    seedId: seed.seedId,
    siteId: seed.siteId,
    blueprintId: seed.blueprintId,
    stage: seed.stage,
    alpha: seed.alpha,
    parameters: seed.parameters,
    ageSteps: (seed.settledAtStep ?? step) - seed.germinatedAtStep,
    germinatedAtStep: seed.germinatedAtStep,
    settledAtStep: seed.settledAtStep,
    gradientNorm: seed.gradientNorm,
    gain: seed.gain,
    reason: seed.reason,
  };
}
