/**
 * The signing secret of a run: the user's from the environment, or one made for this run alone and
 * kept in its folder (0600). Only a topology that stays in one process may have one made.
 */
import { randomBytes } from "node:crypto";
import { requireSecret } from "../../protocols/leyline/signing.ts";

export interface RunSecret {
  readonly value: string;
  readonly generated: boolean;
}

const GENERATED_BYTES = 32;

/** @throws {SECRET_MISSING} when there is none and none may be made, or it is too short. */
export function chooseSecret(given: string | null, mayGenerate: boolean): RunSecret {
  if (given !== null || !mayGenerate) {
    return { value: requireSecret(given ?? undefined), generated: false };
  }
  return { value: randomBytes(GENERATED_BYTES).toString("base64"), generated: true };
}
