/**
 * When a seed's stage is over. Stages advance by steps and evidence only: no command skips one.
 * Pure: says which gate is due, never evaluates it.
 */
import type { SeedGateName, SeedStageName } from "../../protocols/leyline/enums.ts";
import { type ShadowEvidence, shadowEvidence } from "./gates.ts";
import type { Seed } from "./seed.ts";
import type { GrowthSettings } from "./settings.ts";

export interface Due {
  readonly gate: SeedGateName | null;
  readonly next: SeedStageName;
}

/**
 * True while the newer half of the evidence shows a larger advantage than the older half, by more
 * than chance: the seed is still learning and deserves more time.
 */
function stillLearning(seed: Seed): boolean {
  const half = Math.floor(seed.shadowLosses.length / 2);
  const older = shadowEvidence(seed.hostLosses.slice(0, half), seed.shadowLosses.slice(0, half));
  const newer = shadowEvidence(seed.hostLosses.slice(-half), seed.shadowLosses.slice(-half));
  const error = Math.hypot(older.gain / older.z, newer.gain / newer.z);
  return newer.gain - older.gain > error;
}

/**
 * The time is up, or the seed's loss is no number any more; or, after enough steps, a useful seed
 * has learned what it can, or a useless one shows no advantage. A seed with a small but certain
 * advantage gets the whole time.
 */
function trainingOver(seed: Seed, steps: number, settings: GrowthSettings): boolean {
  if (steps >= settings.maxTrainingSteps) return true;
  if (!Number.isFinite(seed.shadowLosses.at(-1) ?? 0)) return true;
  if (steps < settings.minTrainingSteps) return false;
  const { gain, z } = evidenceOf(seed);
  return gain >= settings.minShadowGain ? !stillLearning(seed) : z < settings.minShadowZ;
}

export function evidenceOf(seed: Seed): ShadowEvidence {
  return shadowEvidence(seed.hostLosses, seed.shadowLosses);
}

/** The move that is due after `step`, or null while the stage goes on. */
export function dueMove(seed: Seed, step: number, settings: GrowthSettings): Due | null {
  const steps = step - seed.stageSinceStep;
  switch (seed.stage) {
    case "GERMINATED":
      return steps >= 1 ? { gate: "G1_GRADIENT_HEALTH", next: "TRAINING" } : null;
    case "TRAINING":
      return trainingOver(seed, steps, settings)
        ? { gate: "G2_STABILITY", next: "BLENDING" }
        : null;
    case "BLENDING":
      return steps >= settings.blendSteps ? { gate: "G3_INTERFACE", next: "SHADOWING" } : null;
    case "SHADOWING":
      return steps >= settings.shadowingSteps
        ? { gate: "G4_SYSTEM_IMPACT", next: "PROBATIONARY" }
        : null;
    case "PROBATIONARY":
      return steps >= settings.probationSteps
        ? { gate: "G4_SYSTEM_IMPACT", next: "FOSSILIZED" }
        : null;
    case "CULLED":
      return { gate: null, next: "EMBARGOED" };
    case "EMBARGOED":
      return steps >= settings.embargoSteps ? { gate: null, next: "RESETTING" } : null;
    case "RESETTING":
      return { gate: "G5_RESET", next: "DORMANT" };
    default:
      return null;
  }
}
