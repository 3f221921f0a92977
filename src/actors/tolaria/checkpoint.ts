/**
 * A training checkpoint: everything that decides how the run goes on, and everything that
 * `evaluate` and `predict` need. Data only; digest-verified by the container.
 */
import { z } from "zod";
import type { KasminaSnapshot, RunOrder } from "../../protocols/actors/growth.ts";
import { EsperError } from "../../protocols/errors.ts";
import { type NetworkSnapshot, parseStructure } from "../../runtime/device/snapshot.ts";
import {
  type Checkpoint,
  type CheckpointArray,
  decodeCheckpoint,
  encodeCheckpoint,
} from "../../runtime/durable/checkpoint.ts";
import type { CursorState } from "./batches.ts";
import { LR_POLICIES, type LrSettings } from "./learning-rate.ts";
import { type Progress, progressSchema } from "./progress.ts";

export interface TrainingCheckpoint {
  readonly progress: Progress;
  readonly cursor: CursorState;
  readonly kasmina: KasminaSnapshot;
  readonly network: NetworkSnapshot;
  /** A run keeps the schedule it was begun with; absent in checkpoints of earlier versions. */
  readonly schedule?: LrSettings | undefined;
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
  schedule: z.exactOptional(
    z.strictObject({ lrPolicy: z.enum(LR_POLICIES), lrWarmupSteps: z.int().nonnegative() }),
  ),
});

/** The state as plain data that no later step changes; the arrays are those of the snapshot. */
export function describeTraining(order: RunOrder, state: TrainingCheckpoint): Checkpoint {
  const { dataset, options, identity } = order;
  const { name, task, inputShape, input, target, digest } = dataset;
  const { cursor, kasmina, schedule } = state;
  // A shallow copy is enough: every step puts new values into it and changes none.
  const progress = { ...state.progress };
  return {
    meta: {
      format: 1,
      runId: identity.runId,
      seed: identity.seed,
      dataset: { name, task, inputShape, input, target, digest },
      options,
      trainer: { progress, cursor, kasmina, ...(schedule && { schedule }) },
      network: state.network.structure,
    },
    arrays: state.network.arrays,
  };
}

/** The state as bytes. */
export function encodeTraining(order: RunOrder, state: TrainingCheckpoint): Uint8Array {
  return encodeCheckpoint(describeTraining(order, state));
}

/** Another type of numbers would be taken for weights without a word. */
function floats(arrays: Checkpoint["arrays"], path: string): NetworkSnapshot["arrays"] {
  const isFloat = (entry: [string, CheckpointArray]): entry is [string, Float32Array] =>
    entry[1] instanceof Float32Array;
  const entries = Object.entries(arrays);
  if (entries.every(isFloat)) return Object.fromEntries(entries.filter(isFloat));
  throw new EsperError("CHECKPOINT_DIGEST", `${path} holds numbers that are no weights`, { path });
}

/**
 * The inverse of `describeTraining`.
 * @throws {CHECKPOINT_DIGEST} when it describes something else
 */
export function readTraining({ meta, arrays }: Checkpoint, path: string): TrainingCheckpoint {
  const trainer = trainerSchema.safeParse(meta["trainer"]);
  if (!trainer.success) {
    throw new EsperError("CHECKPOINT_DIGEST", `${path} is not a training checkpoint`, {
      path,
      issue: trainer.error.issues[0]?.message ?? "",
    });
  }
  const structure = parseStructure(meta["network"]);
  return { ...trainer.data, network: { structure, arrays: floats(arrays, path) } };
}

/**
 * The inverse of `encodeTraining`.
 * @throws {CHECKPOINT_DIGEST} when the bytes are damaged or describe something else
 */
export function decodeTraining(bytes: Uint8Array, path: string): TrainingCheckpoint {
  return readTraining(decodeCheckpoint(bytes, path), path);
}
