/**
 * What a run was begun with, for the run that goes on: a later version of the program may have
 * other defaults, and they must not change a run in the middle.
 */
import { z } from "zod";
import type { TrainingOptions } from "../../protocols/actors/growth.ts";
import { EsperError } from "../../protocols/errors.ts";
import type { StoredCheckpoint } from "../durable/checkpoint-store.ts";

const count = z.int().positive();
const keptSchema = z.object({
  batchSize: count,
  maxEpochs: count,
  optimizer: z.enum(["adam", "sgd"]),
  learningRate: z.number().positive(),
  weightDecay: z.number().nonnegative(),
  decideEvery: count,
  decisionLag: count,
  targetScore: z.number().nullable(),
  growth: z.boolean(),
  hostGradient: z.enum(["through", "detached"]),
  checkpointEverySteps: count,
});

/** Today's options with what the run was begun with in place of today's defaults. */
export function keepOptions(
  today: TrainingOptions,
  begunWith: Readonly<Record<string, unknown>>,
): TrainingOptions {
  const kept = keptSchema.safeParse(begunWith);
  return kept.success ? { ...today, ...kept.data } : today;
}

/** @throws {CHECKPOINT_FOREIGN} for a checkpoint that another run has written. */
export function requireOwn(runId: string, stored: StoredCheckpoint): void {
  const { path, checkpoint } = stored;
  const found = checkpoint.meta["runId"];
  if (found === runId) return;
  throw new EsperError(
    "CHECKPOINT_FOREIGN",
    `${path} belongs to run ${String(found)}, not to ${runId}: ` +
      "put it back where it came from, or remove it",
    { path, expected: runId, found: String(found) },
  );
}
