/**
 * A running system: the supervision machine joined to real threads. Every restart decision is made
 * here on the main thread, no message between actors passes through it.
 */
import { EsperError } from "../../protocols/errors.ts";
import type { MessageMap, Protocol } from "../../protocols/protocol.ts";
import type { ActorDefinition, ActorRef, SpawnConfig } from "../actor.ts";
import { type Clock, systemClock } from "../clock.ts";
import {
  checkFault,
  FaultDesk,
  type FaultTarget,
  faultTargets,
  type InjectedFault,
} from "../faults/fault-desk.ts";
import { parseFault } from "../faults/parse-fault.ts";
import { tellStrike } from "../faults/tell-strike.ts";
import { Inspector } from "../inspect/inspector.ts";
import type { SystemSnapshot } from "../inspect/snapshot.ts";
import { tellSystemEvent } from "../inspect/system-news.ts";
import { createRandom } from "../random.ts";
import { Supervision } from "../supervision.ts";
import type { SourceMeter } from "../telemetry/meter.ts";
import type { RunEnvironment, SupervisorSpec, ThreadOptions } from "../topology.ts";
import { structureMemory } from "../wire/structures.ts";
import { threadBlockMemory } from "../wire/thread-block.ts";
import { Conductor } from "./conductor.ts";
import { Credits, Tally } from "./credits.ts";
import type { PlacedActor, ThreadDriver } from "./driver.ts";
import { Host } from "./host.ts";
import type { InlineScheduler } from "./inline-connection.ts";
import { createInlineDriver } from "./inline-driver.ts";
import { sourceOf } from "./locate.ts";
import { NameTable } from "./names.ts";
import { MAIN, type Plan, planTree } from "./plan.ts";
import { statsMemory } from "./stats.ts";
import { checkSpares, type ThreadPolicy, threadPolicies } from "./thread-options.ts";
import { SPAWNED_ROWS, Threads } from "./threads.ts";
import { ownTokenMemory } from "./token-memory.ts";
import { checkTracing, type TracingOptions } from "./trace.ts";
import type { ActorStatus, LogRecord, SystemEnd, SystemEvent } from "./types.ts";
import type { Report } from "./wire.ts";
import { createWorkerDriver } from "./worker-driver.ts";

/** Waking a thread that sleeps takes about 50 microseconds; looking on costs no more than that. */
const DEFAULT_SPIN_MS = 0.05;

/** How a system is made. */
export interface SystemOptions {
  readonly tree: SupervisorSpec;
  /** What the actors' configs may depend on. Needed by none of them, it may be left out. */
  readonly run?: RunEnvironment;
  readonly clock: Clock;
  /** Of every random stream, unless `run` brings one. Default 1. */
  readonly seed?: number;
  /** Gets every line that an actor or the runtime logs. */
  readonly log: (record: LogRecord) => void;
  /** Gets crashes, restarts, dead letters and what else happens, in order. */
  readonly onEvent?: (event: SystemEvent) => void;
  /** The actor that understands NissaProtocol.ingest; without it telemetry is not collected. */
  readonly telemetry?: { readonly actor: string };
  /** Clone payloads also between actors of one thread. Default: true for inline threads. */
  readonly encodeLocal?: boolean;
  /** "inline" runs every thread's actors in the calling thread. Default "workers". */
  readonly threads?: "workers" | "inline";
  /** How long one actor's setup may take. Default 60,000. */
  readonly setupLimitMs?: number;
  /** Runs inline threads step by step. Default: in the order in which they were woken. */
  readonly schedule?: InlineScheduler | undefined;
  /** How long an idle thread looks on for messages before it sleeps. Default 0.05. */
  readonly spinMs?: number;
  /** Bound of the JavaScript heap of each worker thread. Default: the platform's. */
  readonly heapLimitMb?: number;
  /** Limits of single threads, by their names. */
  readonly threadOptions?: Readonly<Record<string, ThreadOptions>> | undefined;
  /** Loaded threads kept to take the place of one that dies, for each heap limit. Default 0. */
  readonly spares?: number | undefined;
  /** Default: nothing is traced. */
  readonly tracing?: TracingOptions | undefined;
  /**
   * Allows faults to be injected and injects these, each as `kill:tamiyo@n=700`; an empty list only
   * allows them. Default: none is allowed.
   */
  readonly faults?: readonly string[] | undefined;
}

/** What is known of a system before anything of it starts. */
interface Checked {
  readonly plan: Plan;
  readonly policies: ReadonlyMap<string, ThreadPolicy>;
  readonly spares: number;
  readonly actors: readonly PlacedActor[];
  readonly targets: readonly FaultTarget[];
}

/** A tree of actors, running. */
export class ActorSystem {
  readonly #plan: Plan;
  readonly #main: Host;
  readonly #threads: Threads;
  readonly #tally: Tally;
  readonly #conductor: Conductor;
  readonly #inspector: Inspector;
  readonly #faults: FaultDesk;

  private constructor(options: SystemOptions, checked: Checked) {
    const { clock, tree } = options;
    const runSeed = options.run?.seed ?? options.seed ?? 1;
    const { plan, policies, actors } = checked;
    const inline = options.threads === "inline";
    this.#plan = plan;
    this.#tally = Tally.allocate(plan.actors.length);
    this.#faults = this.#createFaultDesk(options, runSeed, checked.targets);
    const own = mainMember(plan);
    const seed = {
      runSeed,
      incarnation: options.run?.incarnation ?? 1,
      structures: structureMemory(),
      names: NameTable.allocate().memory,
      spinMs: inline ? 0 : (options.spinMs ?? DEFAULT_SPIN_MS),
      routes: plan.routes,
      tally: this.#tally.memory,
      collector: options.telemetry?.actor ?? null,
      encodeLocal: options.encodeLocal ?? inline,
      setupLimitMs: options.setupLimitMs ?? 60_000,
      tracing: checkTracing(options.tracing),
      inline,
      faults: this.#faults.armed,
    };
    const draw = createRandom(runSeed, "supervision");
    const supervision = new Supervision(tree, () => draw.next());
    this.#main = new Host({
      seed: { ...seed, ...own },
      actors: plan.actors.filter(({ thread }) => thread === MAIN),
      clock,
      report: (report) => this.#onReport(MAIN, report),
      measure: (meter) => this.#measure(meter),
      schedule: options.schedule,
    });
    this.#threads = new Threads({
      driver: inline
        ? createInlineDriver(clock, options.schedule ?? null)
        : this.#workerDriver(clock, checked),
      ...{
        policies,
        clock,
        seed,
        main: this.#main,
        mainMember: own,
        routes: plan.routes,
      },
      actors: plan.actors.flatMap((planned) => {
        const placed = actors.find(({ name }) => name === planned.name);
        return placed === undefined ? [] : [{ ...placed, thread: planned.thread }];
      }),
      report: (thread, report) => this.#onReport(thread, report),
      died: (thread, code, cause) => this.#conductor.onThreadDied(thread, code, cause),
      isChanging: (thread) => this.#conductor.isChanging(thread),
      stuck: (sighting) => this.#conductor.onActorStuck(sighting),
      zombie: (thread, zombies, ended) => this.#conductor.onZombie(thread, zombies, ended),
    });
    this.#conductor = new Conductor({
      ...{ clock, supervision, plan, main: this.#main, threads: this.#threads },
      collector: seed.collector,
      setupLimitMs: seed.setupLimitMs,
      log: options.log,
      onEvent: (event) => {
        this.#inspector.note(event);
        tellSystemEvent(event);
        options.onEvent?.(event);
      },
    });
    this.#inspector = new Inspector({
      ...{ clock, tree, plan, tally: this.#tally, main: own },
      views: () => this.#threads.views(),
      standing: (atMs) => supervision.standing(atMs),
      stateOf: (actor) => this.#conductor.standing(actor),
      ask: () => this.#threads.broadcast({ kind: "beat" }),
      spares: () => this.#threads.spares,
      zombies: () => this.#threads.zombies,
    });
  }

  /**
   * Checks the tree, starts every thread and, left to right, every actor.
   * @throws {CONFIG_INVALID} before anything starts; whatever a failed setup threw, after
   * everything that had started was stopped again.
   */
  static async start(options: SystemOptions): Promise<ActorSystem> {
    const plan = planTree(options.tree, options.run);
    checkOptions(options, plan);
    const limitMb = options.heapLimitMb ?? null;
    const policies = threadPolicies(plan.threads, options.threadOptions ?? {}, limitMb);
    const spares = checkSpares(options.spares ?? 0);
    const inline = options.threads === "inline";
    const targets = faultTargets(plan.actors, policies);
    for (const fault of options.faults ?? []) checkFault(parseFault(fault), targets, inline);
    const actors = await Promise.all(
      plan.actors.map(async ({ name, definition, config, thread }): Promise<PlacedActor> => {
        if (inline || thread === MAIN) return { name, definition, config, source: null };
        const source = sourceOf(name, definition, config);
        return { name, definition, config, source };
      }),
    );
    const system = new ActorSystem(options, { plan, policies, spares, actors, targets });
    for (const fault of options.faults ?? []) system.inject(fault);
    await system.#conductor.start();
    return system;
  }

  /** A reference for the process itself; its calls come from `main`. */
  ref<M extends MessageMap>(protocol: Protocol<M>, name: string = protocol.name): ActorRef<M> {
    return this.#main.ref(protocol, name);
  }

  /**
   * Ends the thread of an actor at once, as a failure of the platform would.
   * @throws {ACTOR_UNKNOWN} @throws {USAGE} for an actor of the main thread.
   */
  kill(actorName: string): void {
    const { thread } = this.#find(actorName);
    if (thread === MAIN) {
      const text = `${actorName} runs on the main thread, which cannot be killed; use crash`;
      throw new EsperError("USAGE", text, { actor: actorName });
    }
    this.#threads.kill(thread);
  }

  /**
   * Starts an actor on this thread, outside the tree: it has no supervisor but its own policy.
   * @throws {CONFIG_INVALID} @throws {ACTOR_LIMIT}
   */
  spawn<M extends MessageMap, C, S>(
    definition: ActorDefinition<M, C, S>,
    ...[config, options]: SpawnConfig<C>
  ): ActorRef<M> {
    const ref: ActorRef<MessageMap> = this.#main.spawn(definition, config, options?.name);
    return ref as ActorRef<M>;
  }

  /** Makes an actor fail at its next message boundary. @throws {ACTOR_UNKNOWN} */
  crash(actorName: string): void {
    const { thread } = this.#find(actorName);
    this.#threads.control(thread, { kind: "crash", actor: actorName });
  }

  /** The whole system as it is now, read from shared memory; also while threads hang. */
  inspect(): SystemSnapshot {
    return this.#inspector.inspect();
  }

  /** As `inspect`, with the rates of the next `overMs` and the latest figures of every thread. */
  inspectOver(overMs: number): Promise<SystemSnapshot> {
    return this.#inspector.inspectOver(overMs);
  }

  /**
   * Makes something go wrong on purpose, as `slow:kasmina.apply=50ms@every=10`, from now on; other
   * threads hear of it within a turn of their loops.
   * @throws {CONFIG_INVALID} also when the system was started without the option `faults`.
   */
  inject(fault: string): InjectedFault {
    return this.#faults.inject(fault);
  }

  /** Every fault that was injected, from the start on; those that were lifted too. */
  get faults(): readonly InjectedFault[] {
    return this.#faults.injected;
  }

  /** Every actor of the tree in brief. */
  status(): ActorStatus[] {
    return this.#plan.routes.map((route) => {
      const { name, thread, index } = route;
      const { state, starts } = this.#conductor.standing(name);
      return {
        ...{ name, thread, state, starts, restarts: Math.max(0, starts - 1) },
        mailboxDepth: this.#threads.depth(route),
        processed: this.#tally.processed(index),
        failed: this.#tally.failed(index),
      };
    });
  }

  /** Restarts of all actors so far. */
  get restarts(): number {
    return this.status().reduce((sum, { restarts }) => sum + restarts, 0);
  }

  /** Threads that were told to end and have not; while there are any, `endProcess` is needed. */
  get zombies(): number {
    return this.#threads.zombies;
  }

  /** Loaded threads that are ready to take the place of one that dies. */
  get spares(): number {
    return this.#threads.spares;
  }

  /** Settles when everything has stopped: on request, or because the root supervisor gave up. */
  get finished(): Promise<SystemEnd> {
    return this.#conductor.finished;
  }

  /** Stops right to left, each actor within its own limit and all within `graceMs`. Idempotent. */
  stop(options: { readonly graceMs: number }): Promise<void> {
    return this.#conductor.stop(options.graceMs);
  }

  #measure(meter: SourceMeter): void {
    this.#inspector.measure(meter);
    this.#faults.measure(meter);
  }

  #onReport(thread: string, report: Report): void {
    if (report.kind === "fault") this.#faults.onReport(thread, report);
    else this.#conductor.onReport(thread, report);
  }

  #createFaultDesk(
    options: SystemOptions,
    seed: number,
    targets: readonly FaultTarget[],
  ): FaultDesk {
    const { clock, threads, onEvent } = options;
    return new FaultDesk({
      ...{ clock, seed, targets, inline: threads === "inline" },
      allowed: options.faults !== undefined,
      arm: (faults) => this.#threads.broadcast({ kind: "arm", faults }),
      end: (thread, cause) => this.#threads.kill(thread, cause),
      struck: (strike) => {
        tellStrike(this.#main, strike);
        onEvent?.({ kind: "fault", ...strike });
      },
    });
  }

  #workerDriver(clock: Clock, { policies, spares, actors, plan }: Checked): ThreadDriver {
    const willing = [...policies].filter(([, policy]) => policy.spare);
    const threads = new Set(willing.map(([thread]) => thread));
    const names = plan.actors.filter(({ thread }) => threads.has(thread)).map(({ name }) => name);
    const sources = actors.flatMap(({ source }) => source ?? []);
    const loaded = sources.filter(({ name }) => names.includes(name));
    return createWorkerDriver({
      ...{ clock, spares },
      spareHeapLimitsMb: [...new Set(willing.map(([, { heapLimitMb }]) => heapLimitMb))],
      spareModules: [...new Set(loaded.map(({ module }) => module))],
      onSparesLost: (cause) =>
        this.#main.log("error", "runtime", { cause }, "the spare threads failed; none are kept"),
    });
  }

  #find(actorName: string): { readonly thread: string } {
    const route = this.#plan.routes.find(({ name }) => name === actorName);
    if (route !== undefined) return route;
    const known = this.#plan.routes.map(({ name }) => name);
    const text = `there is no actor ${actorName}; there are ${known.join(", ")}`;
    throw new EsperError("ACTOR_UNKNOWN", text, { actor: actorName, known });
  }
}

/** The main thread, as the others meet it. */
function mainMember({ routes }: Plan) {
  const onMain = routes.filter(({ thread }) => thread === MAIN).length;
  return {
    ...{ thread: MAIN, threadId: 0, epoch: 1, block: threadBlockMemory() },
    credits: Credits.allocate(onMain + 1 + SPAWNED_ROWS).memory,
    tokens: ownTokenMemory(),
    stats: statsMemory(onMain),
    rings: new Map<number, readonly SharedArrayBuffer[]>(),
  };
}

/** @throws {CONFIG_INVALID} */
function checkOptions({ clock, threads, telemetry }: SystemOptions, plan: Plan): void {
  const apart = Math.abs(clock.monotonicMs() - systemClock.monotonicMs());
  if (threads !== "inline" && apart > 1_000) {
    const text = "worker threads keep the system's time; another clock needs threads: inline";
    throw new EsperError("CONFIG_INVALID", text);
  }
  if (telemetry === undefined) return;
  if (plan.actors.some(({ name }) => name === telemetry.actor)) return;
  const text = `the telemetry actor ${telemetry.actor} is not in the tree`;
  throw new EsperError("CONFIG_INVALID", text, { actor: telemetry.actor });
}
