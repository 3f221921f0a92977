/**
 * Gets a run ready: loads the data, fills in the options, creates or reopens the run directory.
 * Everything that can be wrong with the input is found here, before anything is started.
 */
import type { RunOrder } from "../../protocols/actors/growth.ts";
import type { Dataset } from "../../protocols/dataset.ts";
import { EsperError } from "../../protocols/errors.ts";
import { BLEND_MODES, type BlendModeName } from "../../protocols/leyline/enums.ts";
import type { RunRequest } from "../../protocols/run.ts";
import type { ResumeRequest, TrainContext } from "../cli/deps.ts";
import type { Clock } from "../clock.ts";
import { loadDataset } from "../data/load.ts";
import { countHostParameters } from "../device/host-size.ts";
import { describeHost } from "../device/hosts.ts";
import type { SkippedCheckpoint } from "../durable/checkpoint-store.ts";
import type { Files } from "../durable/files.ts";
import { keepOptions, requireOwn } from "./kept-options.ts";
import { salvageNotices } from "./log-notices.ts";
import { replaceLostLogs, requireLogs } from "./lost-logs.ts";
import { readMisses } from "./misses.ts";
import { defaultHost, resolveOptions } from "./options.ts";
import { absoluteRequest, datasetRequest } from "./request.ts";
import { createRun, openRun, type Run } from "./run-dir.ts";
import type { RunLock } from "./run-lock.ts";
import { chooseSecret, type RunSecret } from "./secret.ts";

export interface PreparedRun {
  readonly request: RunRequest;
  readonly dataset: Dataset;
  readonly run: Run;
  readonly lock: RunLock;
  readonly order: RunOrder;
  readonly secret: RunSecret;
  readonly hostDescription: string;
  readonly hostParameters: number;
  readonly resumedFromStep: number | null;
  /** True when damaged logs may be cut back to what is readable. */
  readonly salvage: boolean;
  /** Things the person should know before training starts. */
  readonly notices: readonly string[];
}

export interface PrepareDeps {
  readonly files: Files;
  readonly clock: Clock;
  readonly versions: { readonly node: string; readonly product: string };
  /** Bytes that samples may take in memory. */
  readonly dataBudgetBytes: number;
}

/** A run keeps the blend it was started with, whatever the environment says today. */
function storedBlendMode(run: Run): BlendModeName {
  const stored = BLEND_MODES.find((name) => name === run.manifest.options["blendMode"]);
  return stored ?? "RESIDUAL";
}

function describe(request: RunRequest, dataset: Dataset) {
  const host = request.host ?? defaultHost(dataset);
  const outputs = dataset.target.kind === "classes" ? dataset.target.classes.length : 1;
  return {
    hostDescription: describeHost(host, dataset.inputShape),
    hostParameters: countHostParameters(host, dataset.inputShape, outputs),
  };
}

/** A fresh run. */
export async function prepareNew(
  wanted: RunRequest,
  context: TrainContext,
  deps: PrepareDeps,
): Promise<PreparedRun> {
  const request = absoluteRequest(wanted);
  const { files, clock, versions } = deps;
  const dataset = await loadDataset(datasetRequest(request), {
    files,
    budgetBytes: deps.dataBudgetBytes,
  });
  const options = resolveOptions(
    request,
    dataset,
    context.settings.values.TAMIYO_BLEND_MODE_DEFAULT,
  );
  const secret = chooseSecret(context.settings.values.ESPER_LEYLINE_SECRET, true);
  const { run, lock } = await createRun({
    files,
    clock,
    request,
    dataset,
    options: { ...options },
    versions,
    generatedSecret: secret.generated ? secret.value : null,
  });
  const identity = { runId: run.runId, incarnation: 1, seed: request.seed };
  return {
    request,
    dataset,
    run,
    lock,
    order: { identity, dataset, options, checkpoint: null, missedDecisions: [] },
    secret,
    ...describe(request, dataset),
    resumedFromStep: null,
    salvage: false,
    notices: [],
  };
}

function requireSameData(run: Run, dataset: Dataset): void {
  if (run.manifest.dataset.digest === dataset.digest) return;
  throw new EsperError(
    "DATA_INVALID",
    `the data of run ${run.runId} has changed since it was started: digest ` +
      `${dataset.digest.slice(0, 12)}, expected ${run.manifest.dataset.digest.slice(0, 12)}. ` +
      "Restore the file, or start a new run",
    { runId: run.runId, found: dataset.digest, expected: run.manifest.dataset.digest },
  );
}

async function latestCheckpoint(run: Run, salvage: boolean) {
  const { good, damaged } = await run.checkpoints.latestGood();
  const [first] = damaged;
  if (first !== undefined && !salvage) {
    const instead =
      good === null ? "none is intact" : `the newest intact one is of step ${good.step}`;
    throw new EsperError(
      "CHECKPOINT_DIGEST",
      `${first.error.message}; ${instead}. ` +
        `Continue ${good === null ? "from the beginning" : "from there"} with ` +
        `--resume ${run.directory} --salvage`,
      { ...first.error.details, recoverableStep: good?.step ?? null },
    );
  }
  if (good !== null) requireOwn(run.runId, good);
  return { good, damaged };
}

/** What a salvage gives up is put aside, begun anew and told; the last thing that may refuse. */
async function salvageRun(
  run: Run,
  damaged: readonly SkippedCheckpoint[],
  { files, clock }: PrepareDeps,
): Promise<string[]> {
  const aside = await run.checkpoints.setAside(damaged);
  const passed = damaged.map(({ path }, index) => {
    return `passed over ${path}: it is damaged, and is now ${aside[index]}`;
  });
  const cut = await salvageNotices(files, run.directory);
  return [...passed, ...cut, ...(await replaceLostLogs(files, run, clock))];
}

/** An earlier run, continued from its newest intact checkpoint under a new incarnation. */
export async function prepareResume(
  wanted: ResumeRequest,
  context: TrainContext,
  deps: PrepareDeps,
): Promise<PreparedRun> {
  const { files } = deps;
  const run = await openRun(files, wanted.resume.runsDirectory, wanted.resume.run);
  if (run.manifest.status === "completed") {
    throw new EsperError(
      "USAGE",
      `run ${run.runId} is complete; there is nothing to resume. Its model: evaluate ${run.runId}`,
      { runId: run.runId },
    );
  }
  const lock = await run.lock();
  try {
    return await reopen(run, lock, wanted, context, deps);
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function reopen(
  run: Run,
  lock: RunLock,
  wanted: ResumeRequest,
  context: TrainContext,
  deps: PrepareDeps,
): Promise<PreparedRun> {
  const { files } = deps;
  const request: RunRequest = {
    ...run.manifest.request,
    topology: wanted.topology,
    faults: wanted.faults,
  };
  const dataset = await loadDataset(datasetRequest(request), {
    files,
    budgetBytes: deps.dataBudgetBytes,
  });
  requireSameData(run, dataset);
  if (!wanted.salvage) await requireLogs(files, run);
  const { good, damaged } = await latestCheckpoint(run, wanted.salvage);
  const notices: string[] = [];
  if (good === null) notices.push("the run had no checkpoint yet: it begins again from step 0");
  const stored = await run.readSecret();
  const given = context.settings.values.ESPER_LEYLINE_SECRET;
  const secret = chooseSecret(given ?? stored, false);
  const incarnation = run.manifest.incarnation + 1;
  // Training rewinds the metrics to its checkpoint, and with them the rows of later misses.
  const inMetrics = await readMisses(files, run.paths.metrics);
  if (wanted.salvage) notices.push(...(await salvageRun(run, damaged, deps)));
  const missedDecisions = [...new Set([...run.manifest.missedDecisions, ...inMetrics])];
  await run.update({ incarnation, status: "running", missedDecisions });
  const today = resolveOptions(request, dataset, storedBlendMode(run));
  const options = keepOptions(today, run.manifest.options);
  const order: RunOrder = {
    identity: { runId: run.runId, incarnation, seed: request.seed },
    dataset,
    options,
    checkpoint: good?.bytes ?? null,
    missedDecisions,
  };
  return {
    request,
    dataset,
    run,
    lock,
    order,
    secret,
    ...describe(request, dataset),
    resumedFromStep: good?.step ?? 0,
    salvage: wanted.salvage,
    notices,
  };
}
