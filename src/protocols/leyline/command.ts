/**
 * AdaptationCommand and FieldReport. On the wire both are msgpack maps with the reference's
 * integer field numbers; the signature covers the exact bytes sent, which are never re-encoded.
 */
import { z } from "zod";
import { CommandType, FieldReportOutcome, SeedOperation } from "./enums.ts";

const id = z.string().min(1).max(256);
const scalarMap = z
  .record(z.string().max(64), z.number())
  .refine((map) => Object.keys(map).length <= 64);
const textMap = z
  .record(z.string().max(64), z.string().max(4_096))
  .refine((map) => Object.keys(map).length <= 64);

const operationNames = Object.keys(SeedOperation) as [keyof typeof SeedOperation];
const commandNames = Object.keys(CommandType) as [keyof typeof CommandType];
const outcomeNames = Object.keys(FieldReportOutcome) as [keyof typeof FieldReportOutcome];

export const seedOperationSchema = z.strictObject({
  operation: z.enum(operationNames),
  blueprintId: z.string().max(64),
  parameters: scalarMap,
});

export const adaptationCommandSchema = z.strictObject({
  version: z.literal(1),
  commandId: z.string().max(256),
  commandType: z.enum(commandNames),
  targetSeedId: z.string().max(256),
  executionDeadlineMs: z.int().nonnegative(),
  issuedAtMs: z.int().nonnegative(),
  issuedBy: z.string().max(64),
  /** The run the command is meant for: a command of another run is refused. */
  audience: id,
  seedOperation: seedOperationSchema.optional(),
  annotations: textMap,
});
export type AdaptationCommand = z.infer<typeof adaptationCommandSchema>;

/** A command as it travels: the bytes, and base64(HMAC-SHA256(secret, bytes)). */
export interface SignedCommand {
  readonly frame: Uint8Array;
  readonly signature: string;
}

export const fieldReportSchema = z.strictObject({
  version: z.literal(1),
  reportId: id,
  commandId: z.string().max(256),
  trainingRunId: id,
  seedId: z.string().max(256),
  blueprintId: z.string().max(64),
  outcome: z.enum(outcomeNames),
  metrics: scalarMap,
  observationWindowEpochs: z.int().nonnegative(),
  issuedAtMs: z.int().positive(),
  tamiyoPolicyVersion: z.string().max(64),
  notes: z.string().max(1_024),
});
export type FieldReport = z.infer<typeof fieldReportSchema>;
