/** Learning-rate policies by name (TOLARIA_LR_POLICY, TOLARIA_LR_WARMUP_STEPS). */
export const LR_POLICIES = ["constant", "cosine", "step"] as const;
export type LrPolicy = (typeof LR_POLICIES)[number];

/** What the settings say about the learning rate. */
export interface LrSettings {
  readonly lrPolicy: LrPolicy;
  readonly lrWarmupSteps: number;
}

/** Share of the run after which the "step" policy divides by ten, twice. */
const STEP_EVERY = 1 / 3;

export interface LrSchedule {
  readonly base: number;
  readonly policy: LrPolicy;
  readonly warmupSteps: number;
  readonly totalSteps: number;
}

/** The rate for optimizer step `step`, counted from 0. Warm-up is linear from base/warmupSteps. */
export function learningRateAt(step: number, schedule: LrSchedule): number {
  const { base, policy, warmupSteps, totalSteps } = schedule;
  const warm = warmupSteps > 0 ? Math.min(1, (step + 1) / warmupSteps) : 1;
  const progress = Math.min(1, step / Math.max(1, totalSteps));
  if (policy === "cosine") return base * warm * 0.5 * (1 + Math.cos(Math.PI * progress));
  if (policy === "step") return base * warm * 0.1 ** Math.floor(progress / STEP_EVERY + 1e-9);
  return base * warm;
}
