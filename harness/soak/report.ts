/** What a soak is asked for and what its process answers: plain data, checked on both sides. */
import { z } from "zod";

export const SoakRequest = z.strictObject({
  /** The soak goes on for at least this long; 0: as long as its rounds take. */
  minutes: z.number().nonnegative(),
  /** Rounds of each side of the cancellation soak. */
  rounds: z.int().positive(),
  /** Jobs that are alive together in one round. */
  jobs: z.int().min(8),
  /** How long each cell of the back-pressure soak produces. */
  cellSeconds: z.number().positive(),
  /** Only cells of the back-pressure soak whose names contain this. */
  only: z.string(),
  seed: z.int(),
});
export type SoakRequest = z.infer<typeof SoakRequest>;

const VerdictShape = z.object({ promise: z.string(), measured: z.string(), kept: z.boolean() });

export const SoakReport = z.object({
  figures: z.record(z.string(), z.unknown()),
  verdicts: z.array(VerdictShape),
});
export type SoakReport = z.infer<typeof SoakReport>;

/** Progress for a person, never part of the result. */
export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
