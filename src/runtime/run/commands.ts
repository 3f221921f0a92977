/** Joins the command line to what fulfils its wishes: train, evaluate, predict, report. */
import { join } from "node:path";
import type { RunObserver, RunRequest, RunSummary } from "../../protocols/run.ts";
import type { CliDeps, ResumeRequest, RunListing, RunListings, TrainContext } from "../cli/deps.ts";
import { openEngine } from "../device/engine.ts";
import type { EngineKind } from "../device/engine-kind.ts";
import { resolveGpuEngine } from "../device/gpu-probe.ts";
import type { Files } from "../durable/files.ts";
import { connectRun } from "../inspect/connect-run.ts";
import type { CancellationToken } from "../token.ts";
import type { TopologySpec } from "../topology.ts";
import { createDurableCommands, type DurableCommandDeps } from "./durable-commands.ts";
import { launch } from "./launch.ts";
import { prepareNew, prepareResume } from "./prepare.ts";
import { writeReport } from "./report.ts";
import { listRuns, openRun, type Run } from "./run-dir.ts";
import { isRunHeld } from "./run-lock.ts";
import { evaluateModel, predictModel } from "./use-model.ts";

/** Samples may take this much memory; larger inputs are refused with the figure. */
const DATA_BUDGET_BYTES = 1 << 30;

export interface CommandDeps extends DurableCommandDeps {
  readonly nodeVersion: string;
  readonly residentBytes: () => number;
}

type Commands = Pick<
  CliDeps,
  | "train"
  | "storedRequest"
  | "evaluate"
  | "predict"
  | "report"
  | "probeEngine"
  | "listRuns"
  | "openControl"
  | "durable"
>;

/** A named GPU topology gets a GPU or a refusal, never a CPU. */
async function engineOf(
  engine: TopologySpec["engine"],
  files: Files,
  allowSoftwareGpu: boolean,
): Promise<EngineKind> {
  return engine === "gpu" ? await resolveGpuEngine({ files, allowSoftwareGpu }) : engine;
}

async function probeEngine(wanted: TopologySpec["engine"], files: Files): Promise<string> {
  const engine = await openEngine(await engineOf(wanted, files, false));
  engine.dispose();
  return engine.description;
}

async function train(
  request: RunRequest | ResumeRequest,
  observer: RunObserver,
  stop: CancellationToken,
  context: TrainContext,
  deps: CommandDeps,
): Promise<RunSummary> {
  const { topology, allowSoftwareGpu } = context;
  const engine = await engineOf(topology.engine, deps.files, allowSoftwareGpu);
  const prepareDeps = {
    files: deps.files,
    clock: deps.clock,
    versions: { node: deps.nodeVersion, product: deps.version },
    dataBudgetBytes: DATA_BUDGET_BYTES,
  };
  const prepared =
    "resume" in request
      ? await prepareResume(request, context, prepareDeps)
      : await prepareNew(request, context, prepareDeps);
  return launch(prepared, engine, observer, stop, context, deps);
}

/** A run that says it is running although its process is gone was interrupted. */
async function listed(files: Files, run: Run): Promise<RunListing> {
  const { runId, directory, manifest } = run;
  const running = manifest.status === "running";
  const interrupted = running && !(await isRunHeld(files, directory));
  return {
    runId,
    directory,
    createdAt: manifest.createdAt,
    status: interrupted ? "interrupted" : manifest.status,
    topology: manifest.request.topology,
    datasetName: manifest.dataset.name,
    summary: manifest.summary,
  };
}

async function listing(files: Files, runsDirectory: string): Promise<RunListings> {
  const { runs, unreadable } = await listRuns(files, runsDirectory);
  return {
    runs: await Promise.all(runs.map((run) => listed(files, run))),
    unreadable: unreadable.map(({ message }) => message),
  };
}

export function createCommands(deps: CommandDeps): Commands {
  const { files } = deps;
  const use = { files, dataBudgetBytes: DATA_BUDGET_BYTES };
  return {
    train: (request, observer, stop, context) => train(request, observer, stop, context, deps),
    async storedRequest(ref) {
      const { runId, manifest } = await openRun(files, ref.runsDirectory, ref.run);
      return { runId, request: manifest.request };
    },
    evaluate: (ref, data) => evaluateModel(ref, data, use),
    predict: (ref, data, out) => predictModel(ref, data, out, use),
    async report(ref, out) {
      const run = await openRun(files, ref.runsDirectory, ref.run);
      const file = out ?? join(run.directory, "report.html");
      await writeReport(run, file, files);
      return { file };
    },
    probeEngine: (engine) => probeEngine(engine, files),
    listRuns: (runsDirectory) => listing(files, runsDirectory),
    openControl: (ref) => connectRun(ref, files, deps.clock),
    durable: createDurableCommands(deps),
  };
}
