/** Kasmina's numbers: how many optimizer steps each stage lasts, and what a gate demands. */
import { z } from "zod";

export const growthSettingsSchema = z.strictObject({
  /** Isolated training lasts at least and at most this long. */
  minTrainingSteps: z.int().positive().default(160),
  maxTrainingSteps: z.int().positive().default(768),
  /** Number of most recent shadow losses that are judged. */
  evidenceSteps: z.int().min(8).default(96),
  blendSteps: z.int().positive().default(20),
  shadowingSteps: z.int().positive().default(64),
  probationSteps: z.int().positive().default(128),
  embargoSteps: z.int().positive().default(128),
  /** G2: the seed must lower the loss by this share before it may touch the host. */
  minShadowGain: z.number().positive().default(0.02),
  /** G2: and the paired difference must be this many standard errors from zero. */
  minShadowZ: z.number().nonnegative().default(2),
  /** G4: validation loss must have dropped by this share since germination. */
  minImpact: z.number().default(0.01),
  /** G1: gradient norms outside these bounds are not healthy. */
  minGradientNorm: z.number().positive().default(1e-8),
  maxGradientNorm: z.number().positive().default(1e3),
  /** G0: a graft at alpha 0 may change no output by more than this. */
  maxFunctionDelta: z.number().positive().default(1e-6),
  /** False only in the bench's comparison arm: gates measure and report but never stop a seed. */
  enforceGates: z.boolean().default(true),
});
export type GrowthSettings = z.infer<typeof growthSettingsSchema>;
