/** The policy's numbers, all in one place. None of them depends on a data set. */
import { z } from "zod";
import { GROWTH_ARMS } from "../../protocols/run.ts";

export const policySettingsSchema = z.strictObject({
  /** Window over which the training loss is averaged, in optimizer steps. */
  windowSteps: z.int().positive().default(192),
  /** Smallest relative drop of the loss, window to window, that counts as progress. */
  minDrop: z.number().positive().default(0.05),
  maxLossSpike: z.number().positive().default(0.15),
  /** Largest ratio of late to early best validation loss while training still improves. */
  maxGap: z.number().min(1).default(1.1),
  maxLiveSeeds: z.int().positive().default(1),
  /** Largest network as a multiple of the host's parameters, but never below the minimum. */
  maxGrowth: z.number().min(1).default(24),
  minParameterBudget: z.int().positive().default(20_000),
  /** Steps a seed needs from germination to fossilization. */
  seedLifeSteps: z.int().positive().default(1_024),
  /** Training score (accuracy or R2) above which there is nothing left to learn. */
  solvedScore: z.number().max(1).default(0.999),
  conservative: z.boolean().default(false),
  arm: z.enum(GROWTH_ARMS).default("policy"),
});
export type PolicySettings = z.infer<typeof policySettingsSchema>;
