/**
 * A training checkpoint: everything that decides how the run goes on, and everything that
 * `evaluate` and `predict` need. Data only; digest-verified by the container.
 */
import { z } from "zod";
import type { KasminaSnapshot, RunOrder } from "../../protocols/actors/growth.ts";
import { EsperError } from "../../protocols/errors.ts";
import type { NetworkSnapshot } from "../../runtime/device/snapshot.ts";
import { decodeCheckpoint, encodeCheckpoint } from "../../runtime/durable/checkpoint.ts";
import type { CursorState } from "./batches.ts";
import { type Progress, progressSchema } from "./progress.ts";

export interface TrainingCheckpoint {
  readonly progress: Progress;
  readonly cursor: CursorState;
  readonly kasmina: KasminaSnapshot;
  readonly network: NetworkSnapshot;
}

const randomSchema = z.strictObject({ key: z.number(), counter: z.number() });
const trainerSchema = z.strictObject({
  progress: progressSchema,
  cursor: z.strictObject({
    epochStart: randomSchema,
    epoch: z.int().positive(),
    position: z.int().nonnegative(),
  }),
  kasmina: z.strictObject({ seeds: z.array(z.unknown()), nextSeed: z.int() }),
});

export function encodeTraining(order: RunOrder, state: TrainingCheckpoint): Uint8Array {
  const { dataset, options, identity } = order;
  const { name, task, inputShape, input, target, digest } = dataset;
  return encodeCheckpoint({
    meta: {
      format: 1,
      runId: identity.runId,
      seed: identity.seed,
      dataset: { name, task, inputShape, input, target, digest },
      options,
      trainer: { progress: state.progress, cursor: state.cursor, kasmina: state.kasmina },
      network: state.network.structure,
    },
    arrays: state.network.arrays,
  });
}

/**
 * The inverse of `encodeTraining`.
 * @throws {CHECKPOINT_DIGEST} when the bytes are damaged or describe something else
 */
export function decodeTraining(bytes: Uint8Array, path: string): TrainingCheckpoint {
  const { meta, arrays } = decodeCheckpoint(bytes, path);
  const trainer = trainerSchema.safeParse(meta["trainer"]);
  if (!trainer.success) {
    throw new EsperError("CHECKPOINT_DIGEST", `${path} is not a training checkpoint`, {
      path,
      issue: trainer.error.issues[0]?.message ?? "",
    });
  }
  const network = { structure: meta["network"], arrays } as NetworkSnapshot;
  return { ...trainer.data, network };
}
