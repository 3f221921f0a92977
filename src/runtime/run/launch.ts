/**
 * Runs one training from request to summary: data, run directory, actor system, session, and an
 * orderly end however it ends. The only place where the parts of a run meet.
 */
import type { RunResult } from "../../protocols/actors/growth.ts";
import { TolariaProtocol } from "../../protocols/actors/growth.ts";
import { EsperError } from "../../protocols/errors.ts";
import type { RunObserver, RunSummary } from "../../protocols/run.ts";
import type { TrainContext } from "../cli/deps.ts";
import type { Clock } from "../clock.ts";
import type { EngineKind } from "../device/engine-kind.ts";
import type { Files } from "../durable/files.ts";
import { serveRun } from "../inspect/run-control.ts";
import { ActorSystem } from "../thread/system.ts";
import type { SystemEvent } from "../thread/types.ts";
import type { CancellationToken } from "../token.ts";
import type { RunEnvironment } from "../topology.ts";
import { FaultPlan } from "./faults.ts";
import { readMisses } from "./misses.ts";
import type { PreparedRun } from "./prepare.ts";
import { openRunLog, type RunLog } from "./run-log.ts";
import { RunSession } from "./session.ts";
import { summarise } from "./summary.ts";

export interface LaunchDeps {
  readonly files: Files;
  readonly clock: Clock;
  readonly residentBytes: () => number;
}

const HALT_DEADLINE_MS = 5_000;

function environmentOf(
  prepared: PreparedRun,
  session: RunSession,
  engine: EngineKind,
  context: TrainContext,
): RunEnvironment {
  return {
    runId: prepared.run.runId,
    incarnation: prepared.order.identity.incarnation,
    seed: prepared.order.identity.seed,
    directory: prepared.run.directory,
    secret: prepared.secret.value,
    engine,
    allowSoftwareGpu: context.allowSoftwareGpu,
    arm: prepared.request.arm,
    blendMode: prepared.order.options.blendMode,
    host: session,
    settings: context.settings.values,
    salvage: prepared.salvage,
  };
}

/** What the person is told about a supervision event; most are only telemetry. */
function tellEvent(event: SystemEvent, observer: RunObserver): void {
  if (event.kind === "restarted") {
    const { actor, starts, tookMs } = event;
    observer.on({
      kind: "restart",
      actor,
      starts,
      reason: `back after ${Math.round(tookMs)} ms on thread ${event.thread}`,
    });
  } else if (event.kind === "crashed") {
    const message = `${event.actor} crashed: ${event.error.message}`;
    observer.on({ kind: "notice", level: "WARNING", message });
  } else if (event.kind === "fault") {
    const { fault, actor, message: struck, thread, strikes } = event;
    const message = `fault ${fault} struck ${actor}.${struck} on thread ${thread} (${strikes})`;
    observer.on({ kind: "notice", level: "WARNING", message });
  } else if (event.kind === "thread-exit") {
    const message = `thread ${event.thread} ended: ${event.cause}`;
    observer.on({ kind: "notice", level: "WARNING", message });
  } else if (event.kind === "gave-up") {
    const message = `${event.supervisor} gave up on ${event.actor}: ${event.error.message}`;
    observer.on({ kind: "notice", level: "CRITICAL", message });
  }
}

function announce(prepared: PreparedRun, engine: EngineKind, observer: RunObserver): void {
  const { dataset, request, run, order } = prepared;
  observer.on({
    kind: "started",
    runId: run.runId,
    directory: run.directory,
    topology: request.topology,
    engine,
    dataset: {
      name: dataset.name,
      task: dataset.task,
      inputShape: dataset.inputShape,
      trainRows: dataset.train.count,
      validationRows: dataset.validation.count,
      testRows: dataset.test?.count ?? 0,
      report: dataset.report,
    },
    host: prepared.hostDescription,
    hostParameters: prepared.hostParameters,
    epochs: order.options.maxEpochs,
    seed: request.seed,
    resumedFromStep: prepared.resumedFromStep,
    secretGenerated: prepared.secret.generated,
  });
  for (const message of prepared.notices) {
    observer.on({ kind: "notice", level: "WARNING", message });
  }
}

/** Settles with the result, or fails when the system gives up or stops first. */
async function outcome(session: RunSession, system: ActorSystem): Promise<RunResult> {
  const ended = system.finished.then((end): never => {
    throw end.outcome === "gave-up"
      ? end.error
      : new EsperError("ACTOR_STOPPED", "the actor system stopped before the run was over");
  });
  ended.catch(() => undefined);
  return Promise.race([session.done, ended]);
}

/** Asks the trainer to write a checkpoint at the next boundary and end there. */
function halt(system: ActorSystem, log: RunLog, clock: Clock): void {
  system
    .ref(TolariaProtocol)
    .call(
      "halt",
      { reason: "stop requested" },
      { deadlineMs: HALT_DEADLINE_MS, onRestart: "retry" },
    )
    .catch((error: unknown) => {
      log.write({
        level: "error",
        time: clock.nowMs(),
        actor: "launch",
        thread: "main",
        msg: `the trainer did not take the halt: ${String(error)}`,
      });
    });
}

function newSession(prepared: PreparedRun, observer: RunObserver, deps: LaunchDeps): RunSession {
  const { run } = prepared;
  return new RunSession({
    order: prepared.order,
    store: run.checkpoints,
    observer,
    clock: deps.clock,
    saveIncarnation: (incarnation, missedDecisions) =>
      run.update({ incarnation, missedDecisions: [...missedDecisions] }),
    readMisses: () => readMisses(deps.files, run.paths.metrics),
  });
}

async function train(
  prepared: PreparedRun,
  engine: EngineKind,
  observer: RunObserver,
  stop: CancellationToken,
  context: TrainContext,
  deps: LaunchDeps,
  log: RunLog,
): Promise<RunSummary> {
  const { clock } = deps;
  const startedMs = clock.monotonicMs();
  let faults: FaultPlan | null = null;
  let running: ActorSystem | null = null;
  const watching: RunObserver = {
    on(event) {
      observer.on(event);
      if (event.kind === "progress") faults?.reached(event.step);
      if (event.kind === "epoch") faults?.reached(event.point.step);
    },
  };
  const session = newSession(prepared, watching, deps);
  const system = await ActorSystem.start({
    tree: context.topology.tree,
    run: environmentOf(prepared, session, engine, context),
    clock,
    log: (record) => log.write(record),
    onEvent: (event) => {
      tellEvent(event, observer);
      // A trainer that restarts while the run is being stopped knows nothing of the halt.
      const again = event.kind === "restarted" && event.actor === TolariaProtocol.name;
      if (again && stop.cancelled && running !== null) halt(running, log, clock);
    },
    telemetry: { actor: "nissa" },
    threadOptions: context.topology.threads,
    spares: context.topology.spares,
    faults: context.faults,
  });
  const { runId, directory, paths } = prepared.run;
  const control = await serveRun(system, {
    ...{ runId, directory, path: paths.control, files: deps.files, clock },
    onUnavailable: (message) => observer.on({ kind: "notice", level: "WARNING", message }),
  });
  faults = new FaultPlan(prepared.request.faults, system, clock);
  running = system;
  stop.onCancel(() => halt(system, log, clock));
  try {
    const result = await outcome(session, system);
    return summarise({
      runId: prepared.run.runId,
      directory: prepared.run.directory,
      dataset: prepared.dataset,
      result,
      wallMs: clock.monotonicMs() - startedMs,
      firstGrowthMs: session.firstGrowthMs,
      restarts: system.restarts,
      residentBytes: deps.residentBytes(),
    });
  } finally {
    faults.cancel();
    await control?.close();
    const graceMs = 1_000 * context.settings.values.ASYNC_WORKER_SHUTDOWN_TIMEOUT_S;
    await system.stop({ graceMs });
  }
}

/**
 * Trains to the end, or to a checkpoint when `stop` is cancelled, and returns the summary.
 * The run's manifest tells the same story whatever happens.
 */
export async function launch(
  prepared: PreparedRun,
  engine: EngineKind,
  observer: RunObserver,
  stop: CancellationToken,
  context: TrainContext,
  deps: LaunchDeps,
): Promise<RunSummary> {
  const { run } = prepared;
  const level = context.verbose ? "debug" : String(context.settings.values.ESP_LOG_LEVEL);
  const log = openRunLog(run.paths.log, level.toLowerCase(), ({ message }) =>
    observer.on({ kind: "notice", level: "WARNING", message }),
  );
  try {
    announce(prepared, engine, observer);
    const summary = await train(prepared, engine, observer, stop, context, deps, log);
    await run.update({
      status: summary.outcome === "stopped" ? "stopped" : "completed",
      summary,
    });
    observer.on({ kind: "finished", summary });
    return summary;
  } catch (error) {
    await markFailed(prepared, observer);
    throw withAdvice(error, prepared);
  } finally {
    log.close();
    await releaseLock(prepared, observer);
  }
}

/** A lock that cannot be given back must not hide how the run ended; it names a dead process. */
async function releaseLock({ lock }: PreparedRun, observer: RunObserver): Promise<void> {
  try {
    await lock.release();
  } catch (error) {
    const message = `the run's lock could not be given back: ${String(error)}`;
    observer.on({ kind: "notice", level: "ERROR", message });
  }
}

/** The log itself does not know by which words a person asks for salvage. */
function withAdvice(error: unknown, { run, salvage }: PreparedRun): unknown {
  if (!EsperError.is(error, "WAL_CORRUPT") || salvage) return error;
  const advice = `Continue without the damaged part: --resume ${run.directory} --salvage`;
  return new EsperError(error.code, `${error.message}. ${advice}`, error.details, error);
}

/** The manifest of a failed run says so, unless the disk that failed it refuses that too. */
async function markFailed(prepared: PreparedRun, observer: RunObserver): Promise<void> {
  try {
    await prepared.run.update({ status: "failed" });
  } catch (error) {
    const message = `the manifest could not be updated: ${String(error)}`;
    observer.on({ kind: "notice", level: "ERROR", message });
  }
}
