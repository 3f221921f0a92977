/**
 * `train`, which is also what runs without a command: turns flags into a request, starts the run,
 * shows it, and says with the exit code how it ended.
 */
import { resolve } from "node:path";
import { EsperError } from "../../../protocols/errors.ts";
import type { FaultRequest, RunObserver, RunRequest } from "../../../protocols/run.ts";
import type { LoadedConfig } from "../../config/load.ts";
import { loadSettings, SETTINGS, type Settings, usedBy } from "../../config/settings.ts";
import { findTopology, type NamedTopology } from "../../config/topologies.ts";
import { listActors } from "../../config/validate-tree.ts";
import { checkFault, faultTargets } from "../../faults/fault-desk.ts";
import { parseFault } from "../../faults/parse-fault.ts";
import { EXIT, exitCodeOfSignal } from "../../run/exit.ts";
import type { CliDeps, ClosableObserver, ResumeRequest } from "../deps.ts";
import type { Given, TrainValues } from "../options.ts";
import { didYouMean } from "../suggest.ts";
import { planData, planText } from "./plan.ts";
import { freshRequest, resumeRequest } from "./train-request.ts";

/** A request with everything that was looked up to make it. */
interface Prepared {
  readonly request: RunRequest | ResumeRequest;
  readonly topology: NamedTopology;
  readonly loaded: LoadedConfig;
  readonly settings: Settings;
  /** The topology a resumed run was started on, when it differs. */
  readonly movedFrom: string | null;
}

/** Runs the command and returns the exit code. Throws what the run throws. */
export async function runTrain(given: Given<TrainValues>, deps: CliDeps): Promise<number> {
  const { values } = given;
  if (values.quiet && values.verbose) {
    throw new EsperError("USAGE", "--quiet and --verbose contradict each other: give one of them");
  }
  const prepared = await prepare(values, given.explicit, deps);
  if (values.dryRun) {
    const { topology, request } = prepared;
    const text = values.json
      ? `${JSON.stringify(planData(topology, request))}\n`
      : planText(topology, request);
    deps.stdout.write(text);
    return EXIT.done;
  }
  const observer = openObserver(values, deps);
  try {
    return await follow(prepared, values, observer, deps);
  } finally {
    observer.close();
  }
}

/** Looks up everything before anything starts, so that a mistake costs no time. */
async function prepare(
  values: TrainValues,
  explicit: ReadonlySet<string>,
  deps: CliDeps,
): Promise<Prepared> {
  const settings = loadSettings(deps.environment);
  const loaded = await deps.loadConfig(values.config);
  const { config } = loaded;
  const runsDirectory = resolve(values.runs ?? config.runDirectory);
  if (values.resume === null) {
    const topology = findTopology(config, values.topology);
    refuseIdleFaults(values.fault, topology);
    refuseFaults(values, allowsFaults(values, loaded), topology);
    refuseIdleGpuFlag(values, topology);
    const chosen = { topology: topology.name, runsDirectory };
    const request = await freshRequest(values, explicit, chosen, deps.files);
    return { request, topology, loaded, settings, movedFrom: null };
  }
  const stored = await deps.storedRequest({ runsDirectory, run: values.resume });
  const before = stored.request.topology;
  const topology = findTopology(config, values.topology ?? before);
  refuseIdleFaults(values.fault, topology);
  refuseFaults(values, allowsFaults(values, loaded), topology);
  refuseIdleGpuFlag(values, topology);
  const chosen = { topology: topology.name, runsDirectory };
  const wishes = { ...values, resume: values.resume };
  const request = resumeRequest(wishes, explicit, stored.request, chosen);
  const movedFrom = before === topology.name ? null : before;
  return { request, topology, loaded, settings, movedFrom };
}

/** A fault that could never strike would make the run look healthier than it is. */
function refuseIdleFaults(faults: readonly FaultRequest[], topology: NamedTopology): void {
  const actors = listActors(topology.spec.tree);
  const names = actors.map(({ name }) => name);
  for (const { kind, actor } of faults) {
    const found = actors.find(({ name }) => name === actor);
    if (found === undefined) {
      throw new EsperError(
        "USAGE",
        `--fault ${kind}:${actor}: topology ${topology.name} has no such actor` +
          `${didYouMean(actor, names) || "."} There are: ${names.join(", ")}`,
        { actor, actors: names },
      );
    }
    // The process itself lives on the main thread, so nothing would be left to recover.
    if (kind === "kill" && found.spec.thread === "main") {
      throw new EsperError(
        "USAGE",
        `--fault kill:${actor}: ${actor} runs on the main thread, which cannot be killed alone; ` +
          `allowed: crash:${actor}, or kill another actor`,
        { actor, thread: "main" },
      );
    }
  }
}

function allowsFaults(values: TrainValues, { config }: LoadedConfig): boolean {
  return values.allowFaults || config.allowFaults === true;
}

/** Faults that the run may not have, or that could never strike in this topology. */
function refuseFaults(values: TrainValues, allowed: boolean, { spec }: NamedTopology): void {
  if (values.inject.length === 0) return;
  if (!allowed) {
    const text =
      "--inject needs --allow-faults, or allowFaults: true in the configuration, " +
      "so that no run is damaged by mistake";
    throw new EsperError("USAGE", text, { flag: "--inject" });
  }
  const actors = listActors(spec.tree).map(({ name, spec: { definition, thread } }) => {
    return { name, definition, thread };
  });
  const threads = actors.map(({ thread }) => thread).filter((thread) => thread !== "main");
  const limits = new Map(
    threads.map((thread) => {
      const { heapLimitMb = null } = spec.threads?.[thread] ?? {};
      return [thread, { heapLimitMb }];
    }),
  );
  const targets = faultTargets(actors, limits);
  for (const text of values.inject) checkFault(parseFault(text), targets, false);
}

/** A flag without effect would make a run on the CPU look like one on a GPU. */
function refuseIdleGpuFlag(values: TrainValues, { name, spec }: NamedTopology): void {
  if (!values.allowSoftwareGpu || spec.engine === "gpu" || spec.engine === "webgpu") return;
  throw new EsperError(
    "USAGE",
    `--allow-software-gpu: topology ${name} has the engine ${spec.engine}, which is no GPU; ` +
      "name a topology that has one, e.g. --topology local-gpu",
    { topology: name, engine: spec.engine },
  );
}

/** Runs the request and turns its end into an exit code. */
async function follow(
  prepared: Prepared,
  values: TrainValues,
  observer: RunObserver,
  deps: CliDeps,
): Promise<number> {
  const { request, topology, loaded, settings, movedFrom } = prepared;
  for (const message of notices(settings, movedFrom, topology)) {
    observer.on({ kind: "notice", level: "WARNING", message });
  }
  if (values.inject.length > 0) {
    const message = `faults are being injected: ${values.inject.join("; ")}`;
    observer.on({ kind: "notice", level: "WARNING", message });
  }
  const context = {
    config: loaded.config,
    topology: topology.spec,
    settings,
    verbose: values.verbose,
    allowSoftwareGpu: values.allowSoftwareGpu,
    ...(allowsFaults(values, loaded) ? { faults: values.inject } : {}),
  };
  const summary = await deps.train(request, observer, deps.signals.hold(), context);
  const signal = deps.signals.received();
  if (summary.outcome === "stopped" && signal !== null) return exitCodeOfSignal(signal);
  // A run that completed although a signal came did all it was asked for.
  return summary.outcome === "failed" ? EXIT.failed : EXIT.done;
}

/** What the user should know before the run begins. */
function notices(settings: Settings, movedFrom: string | null, topology: NamedTopology): string[] {
  const unread = SETTINGS.filter(
    ({ name }) => settings.sources[name] === "environment" && usedBy(name) === null,
  ).map(({ name }) => `${name} is set, but no part of this version reads it`);
  if (movedFrom === null) return unread;
  return [
    ...unread,
    `the run was started on topology ${movedFrom} and continues on ${topology.name}: ` +
      "equal numbers are promised only on the same engine",
  ];
}

function openObserver(values: TrainValues, deps: CliDeps): ClosableObserver {
  const { stdout } = deps;
  return deps.createObserver({
    mode: observerMode(values, stdout.isTTY),
    write: (text) => stdout.write(text),
    columns: () => stdout.columns(),
    rows: () => stdout.rows(),
    colour: wantsColour(deps),
    clock: deps.clock,
  });
}

function observerMode(values: TrainValues, isTTY: boolean): "tty" | "plain" | "json" | "quiet" {
  if (values.json) return "json";
  if (values.quiet) return "quiet";
  return isTTY ? "tty" : "plain";
}

/** NO_COLOR (any text) wins over FORCE_COLOR, which wins over what the stream is. */
export function wantsColour(deps: CliDeps): boolean {
  const no = deps.environment["NO_COLOR"] ?? "";
  const force = deps.environment["FORCE_COLOR"] ?? "";
  if (no !== "") return false;
  if (force !== "" && force !== "0") return true;
  return deps.stdout.isTTY && deps.environment["TERM"] !== "dumb";
}
