/**
 * Uses a trained network: scores it on new data, or writes its predictions. Everything needed to
 * read the data the way the training did travels with the model.
 */
import { z } from "zod";
import type { Dataset } from "../../protocols/dataset.ts";
import { EsperError, invariant } from "../../protocols/errors.ts";
import type { DataFiles, Evaluation, Prediction, RunRef } from "../cli/deps.ts";
import { loadForModel } from "../data/for-model.ts";
import { openEngine } from "../device/engine.ts";
import { GrowableNetwork } from "../device/network.ts";
import type { NetworkSnapshot } from "../device/snapshot.ts";
import { decodeCheckpoint } from "../durable/checkpoint.ts";
import { atomicWrite, type Files, isMissing } from "../durable/files.ts";
import { formatPredictions } from "./predictions.ts";
import { openRun, type Run } from "./run-dir.ts";

const numbers = z.number();
const columnSchema = z.union([
  z.strictObject({ kind: z.literal("numeric"), name: z.string(), mean: numbers, scale: numbers }),
  z.strictObject({
    kind: z.literal("categorical"),
    name: z.string(),
    values: z.array(z.string()),
  }),
]);
const modelSchema = z.strictObject({
  name: z.string(),
  task: z.enum(["classification", "regression"]),
  inputShape: z.array(z.int().positive()),
  digest: z.string(),
  input: z.union([
    z.strictObject({ kind: z.literal("table"), columns: z.array(columnSchema) }),
    z.strictObject({ kind: z.literal("grid"), mean: numbers, scale: numbers }),
  ]),
  target: z.union([
    z.strictObject({ kind: z.literal("classes"), name: z.string(), classes: z.array(z.string()) }),
    z.strictObject({ kind: z.literal("number"), name: z.string(), mean: numbers, scale: numbers }),
  ]),
});
export type ModelDescription = Pick<
  Dataset,
  "name" | "task" | "inputShape" | "input" | "target" | "digest"
>;

export interface UseModelDeps {
  readonly files: Files;
  readonly dataBudgetBytes: number;
}

interface Model {
  readonly run: Run;
  readonly description: ModelDescription;
  readonly network: NetworkSnapshot;
}

/** @throws {RUN_NOT_FOUND} @throws {CHECKPOINT_MISSING} @throws {CHECKPOINT_DIGEST} */
async function openModel(ref: RunRef, files: Files): Promise<Model> {
  const run = await openRun(files, ref.runsDirectory, ref.run);
  const path = run.paths.model;
  let bytes: Uint8Array;
  try {
    bytes = await files.read(path);
  } catch (error) {
    if (!isMissing(error)) throw error;
    throw new EsperError(
      "CHECKPOINT_MISSING",
      `run ${run.runId} has no finished model (it is ${run.manifest.status}); ` +
        `finish it with --resume ${run.directory}`,
      { runId: run.runId, path },
    );
  }
  const { meta, arrays } = decodeCheckpoint(bytes, path);
  const description = modelSchema.safeParse(meta["dataset"]);
  if (!description.success) {
    throw new EsperError("CHECKPOINT_DIGEST", `${path} does not describe its data`, { path });
  }
  const network = { structure: meta["network"], arrays } as NetworkSnapshot;
  return { run, description: description.data, network };
}

/** Rebuilds the grown network on the CPU engine for the time of `use`. */
async function withNetwork<T>(
  snapshot: NetworkSnapshot,
  use: (network: GrowableNetwork) => Promise<T>,
): Promise<T> {
  const engine = await openEngine("wasm");
  try {
    const network = GrowableNetwork.restore(engine, snapshot);
    try {
      return await use(network);
    } finally {
      network.dispose();
    }
  } finally {
    engine.dispose();
  }
}

/** The grown network's score on new data that has the target. */
export async function evaluateModel(
  ref: RunRef,
  data: DataFiles,
  deps: UseModelDeps,
): Promise<Evaluation> {
  const { run, description, network } = await openModel(ref, deps.files);
  const loaded = await loadForModel(data, description, {
    files: deps.files,
    budgetBytes: deps.dataBudgetBytes,
    purpose: "evaluate",
  });
  const { x, y, count } = loaded.samples;
  invariant(y !== null, "data loaded for an evaluation has its target");
  const { loss, score } = await withNetwork(network, (grown) => grown.evaluate({ x, y, count }));
  return {
    runId: run.runId,
    task: description.task,
    rows: count,
    scoreName: description.task === "classification" ? "accuracy" : "R2",
    score,
    loss,
    dropped: loaded.dropped,
  };
}

/** One CSV row per input row, written atomically. */
export async function predictModel(
  ref: RunRef,
  data: DataFiles,
  out: string,
  deps: UseModelDeps,
): Promise<Prediction> {
  const { run, description, network } = await openModel(ref, deps.files);
  const loaded = await loadForModel(data, description, {
    files: deps.files,
    budgetBytes: deps.dataBudgetBytes,
    purpose: "predict",
  });
  const { x, count } = loaded.samples;
  const values = await withNetwork(network, (grown) => grown.predict(x, count));
  const text = formatPredictions(description.target, values, loaded.raw, count);
  await atomicWrite(deps.files, out, new TextEncoder().encode(text));
  return { runId: run.runId, rows: count, file: out };
}
