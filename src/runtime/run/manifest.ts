/**
 * `manifest.json`: what a run was asked to do, with which data, and how it ended. Checked when it
 * is read, replaced as a whole when it is written. It never holds the secret.
 */
import { z } from "zod";
import { BUILTIN_DATASETS, type DataReport } from "../../protocols/dataset.ts";
import { EsperError } from "../../protocols/errors.ts";
import { GROWTH_ARMS, type RunRequest, type RunSummary } from "../../protocols/run.ts";
import { atomicWrite, type Files } from "../durable/files.ts";
import { openPlain } from "../durable/tree.ts";

const positive = z.number().positive();
const count = z.int().nonnegative();

const dataSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("builtin"), name: z.enum(BUILTIN_DATASETS) }),
  z.strictObject({ kind: z.literal("csv"), file: z.string(), target: z.string() }),
  z.strictObject({ kind: z.literal("idx"), images: z.string(), labels: z.string() }),
  z.strictObject({ kind: z.literal("cifar10"), files: z.array(z.string()) }),
]);

const faultSchema = z.strictObject({
  kind: z.enum(["kill", "crash"]),
  actor: z.string(),
  at: z.union([
    z.strictObject({ afterMs: z.number().nonnegative() }),
    z.strictObject({ step: count }),
  ]),
});

const requestSchema: z.ZodType<RunRequest> = z.strictObject({
  topology: z.string(),
  seed: z.int(),
  runsDirectory: z.string(),
  data: dataSchema,
  validationShare: z.number(),
  host: z
    .strictObject({ kind: z.enum(["mlp", "cnn"]), widths: z.array(z.int().positive()) })
    .nullable(),
  epochs: z.int().positive().nullable(),
  batchSize: z.int().positive().nullable(),
  optimizer: z.enum(["adam", "sgd"]).nullable(),
  learningRate: positive.nullable(),
  weightDecay: z.number().nonnegative().nullable(),
  targetScore: z.number().nullable(),
  growth: z.boolean(),
  arm: z.enum(GROWTH_ARMS),
  faults: z.array(faultSchema),
});

const pointSchema = z.strictObject({
  epoch: count,
  step: count,
  trainingLoss: z.number(),
  validationLoss: z.number(),
  trainingScore: z.number(),
  validationScore: z.number(),
});

const summarySchema: z.ZodType<RunSummary> = z.strictObject({
  runId: z.string(),
  directory: z.string(),
  outcome: z.enum(["completed", "target-reached", "stopped", "failed"]),
  datasetName: z.string(),
  task: z.enum(["classification", "regression"]),
  scoreName: z.enum(["accuracy", "R2"]),
  epochs: count,
  steps: count,
  wallSeconds: z.number(),
  firstGrowthSeconds: z.number().nullable(),
  beforeGrowth: pointSchema,
  last: pointSchema,
  testScore: z.number().nullable(),
  hostParameters: count,
  totalParameters: count,
  seeds: z.strictObject({ fossilized: count, culled: count, alive: count }),
  restarts: count,
  residentMemoryMb: z.number(),
  digest: z.string(),
});

const counts = z.record(z.string(), z.number());
const dataReportSchema: z.ZodType<DataReport> = z.strictObject({
  source: z.string(),
  rows: count,
  features: count,
  dropped: counts,
  filled: counts,
  classBalance: counts.nullable(),
  notes: z.array(z.string()),
});

export const RUN_STATUSES = ["running", "completed", "stopped", "failed"] as const;
export type RunStatus = (typeof RUN_STATUSES)[number];

/** The format of the manifest; a later one is refused. */
const VERSION = 1;
const MAX_BYTES = 16 * 1_048_576;

const manifestSchema = z.strictObject({
  version: z.literal(VERSION),
  runId: z.string().min(1),
  /** ISO 8601, UTC. */
  createdAt: z.iso.datetime(),
  request: requestSchema,
  dataset: z.strictObject({ name: z.string(), digest: z.string(), report: dataReportSchema }),
  /** The training options that followed from the request and the data. */
  options: z.record(z.string(), z.unknown()),
  versions: z.strictObject({ node: z.string(), product: z.string() }),
  status: z.enum(RUN_STATUSES),
  /** 1 for a fresh run, counted up before every resume or rewind. */
  incarnation: z.int().positive(),
  /** Steps whose decision never came; a resumed run repeats the miss (see run/misses.ts). */
  missedDecisions: z.array(count).default([]),
  summary: summarySchema.nullable(),
  /** True when both logs were begun before this was written; runs of before do not say. */
  logsBegun: z.boolean().optional(),
});
export type Manifest = z.infer<typeof manifestSchema>;

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

async function readPlain(files: Files, path: string): Promise<Uint8Array> {
  const file = await openPlain(files, path);
  try {
    const size = await file.size();
    if (size <= MAX_BYTES) return await file.read(0, size);
    throw invalid(path, "", "it is too large", `at most ${MAX_BYTES} bytes`, `${size} bytes`);
  } finally {
    await file.close();
  }
}

/** A later format is told as such: its fields may mean something else. */
function requireVersion(path: string, json: unknown): void {
  const parsed = z.object({ version: z.unknown() }).safeParse(json);
  const version = parsed.data?.version;
  if (!parsed.success || version === undefined || version === VERSION) return;
  const found = `format ${JSON.stringify(version)}`;
  throw invalid(path, "version", "it is of another format", `format ${VERSION}`, found);
}

/**
 * Reads and checks a manifest.
 * @throws {DATA_INVALID} naming the file and the field.
 * @throws {STORAGE_FAILED} when it is missing, or no plain file.
 */
export async function readManifest(files: Files, path: string): Promise<Manifest> {
  const json = parseJson(new TextDecoder().decode(await readPlain(files, path)));
  if (json === undefined) throw invalid(path, "", "it is not JSON", "JSON", "other text");
  requireVersion(path, json);
  const parsed = manifestSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const field = issue?.path.join(".") ?? "";
  throw invalid(path, field, issue?.message ?? "", "a run's manifest", "something else");
}

function invalid(path: string, field: string, why: string, expected: string, found: string) {
  return new EsperError(
    "DATA_INVALID",
    `${path} is not a run's manifest: ${field === "" ? "" : `${field}: `}${why} ` +
      `(expected ${expected}, found ${found}). Restore it from a copy, or start a new run`,
    { path, file: path, offset: 0, field, why, expected, found },
  );
}

/** Replaces the manifest as a whole. */
export async function writeManifest(files: Files, path: string, manifest: Manifest): Promise<void> {
  const text = `${JSON.stringify(manifestSchema.parse(manifest), null, 2)}\n`;
  await atomicWrite(files, path, new TextEncoder().encode(text));
}
