/** The seed lifecycle: eleven stages and exactly the moves allowed between them. */
import { EsperError } from "../../protocols/errors.ts";
import type { SeedStageName } from "../../protocols/leyline/enums.ts";

const ALLOWED: Readonly<Record<SeedStageName, readonly SeedStageName[]>> = {
  UNKNOWN: ["DORMANT"],
  DORMANT: ["GERMINATED", "TERMINATED"],
  GERMINATED: ["TRAINING", "CULLED"],
  TRAINING: ["BLENDING", "CULLED"],
  BLENDING: ["SHADOWING", "CULLED"],
  SHADOWING: ["PROBATIONARY", "CULLED"],
  PROBATIONARY: ["FOSSILIZED", "CULLED"],
  FOSSILIZED: ["TERMINATED"],
  CULLED: ["EMBARGOED"],
  EMBARGOED: ["RESETTING"],
  RESETTING: ["DORMANT"],
  TERMINATED: [],
};

export function canMove(from: SeedStageName, to: SeedStageName): boolean {
  return ALLOWED[from].includes(to);
}

/** @throws {COMMAND_ILLEGAL_TRANSITION} naming the stages that are allowed. */
export function assertMove(seedId: string, from: SeedStageName, to: SeedStageName): void {
  if (canMove(from, to)) return;
  const allowed = ALLOWED[from].join(", ") || "nothing";
  throw new EsperError(
    "COMMAND_ILLEGAL_TRANSITION",
    `${seedId} is ${from} and cannot become ${to}; allowed: ${allowed}`,
    { seedId, from, to, allowed: ALLOWED[from] },
  );
}

/** Stages in which a seed takes part in training and may still be culled. */
export function isAlive(stage: SeedStageName): boolean {
  return canMove(stage, "CULLED");
}
