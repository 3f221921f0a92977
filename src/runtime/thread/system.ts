/**
 * A running system: the supervision machine joined to real threads. Every restart decision is made
 * here on the main thread, no message between actors passes through it.
 */
import { EsperError } from "../../protocols/errors.ts";
import type { MessageMap, Protocol } from "../../protocols/protocol.ts";
import type { ActorRef } from "../actor.ts";
import { type Clock, systemClock } from "../clock.ts";
import { createRandom } from "../random.ts";
import { Supervision } from "../supervision.ts";
import type { RunEnvironment, SupervisorSpec } from "../topology.ts";
import { Conductor } from "./conductor.ts";
import { Credits, Tally } from "./credits.ts";
import type { PlacedActor } from "./driver.ts";
import { Host } from "./host.ts";
import { createInlineDriver } from "./inline-driver.ts";
import { findExportName } from "./locate.ts";
import { MAIN, type Plan, planTree } from "./plan.ts";
import { Threads } from "./threads.ts";
import type { ActorStatus, LogRecord, SystemEnd, SystemEvent } from "./types.ts";
import { createWorkerDriver } from "./worker-driver.ts";

export interface SystemOptions {
  readonly tree: SupervisorSpec;
  readonly run: RunEnvironment;
  readonly clock: Clock;
  readonly log: (record: LogRecord) => void;
  readonly onEvent?: (event: SystemEvent) => void;
  /** The actor that understands NissaProtocol.ingest; without it telemetry is not collected. */
  readonly telemetry?: { readonly actor: string };
  /** Clone payloads also between actors of one thread. Default: true for inline threads. */
  readonly encodeLocal?: boolean;
  /** "inline" runs every thread's actors in the calling thread. Default "workers". */
  readonly threads?: "workers" | "inline";
  /** How long one actor's setup may take. Default 60,000. */
  readonly setupLimitMs?: number;
  /** Bound of the JavaScript heap of each worker thread. Default: the platform's. */
  readonly heapLimitMb?: number;
}

export class ActorSystem {
  readonly #plan: Plan;
  readonly #main: Host;
  readonly #threads: Threads;
  readonly #tally: Tally;
  readonly #conductor: Conductor;

  private constructor(options: SystemOptions, plan: Plan, actors: readonly PlacedActor[]) {
    const { run, clock, tree } = options;
    const inline = options.threads === "inline";
    this.#plan = plan;
    this.#tally = Tally.allocate(plan.actors.length);
    const credits = Credits.allocate(plan.routes.filter(({ thread }) => thread === MAIN).length);
    const seed = {
      runSeed: run.seed,
      incarnation: run.incarnation,
      routes: plan.routes,
      tally: this.#tally.memory,
      collector: options.telemetry?.actor ?? null,
      encodeLocal: options.encodeLocal ?? inline,
      setupLimitMs: options.setupLimitMs ?? 60_000,
    };
    const draw = createRandom(run.seed, "supervision");
    const supervision = new Supervision(tree, () => draw.next());
    this.#main = new Host({
      seed: { ...seed, thread: MAIN, epoch: 1, credits: credits.memory },
      actors: plan.actors.filter(({ thread }) => thread === MAIN),
      clock,
      report: (report) => this.#conductor.onReport(MAIN, report),
    });
    this.#threads = new Threads({
      driver: inline
        ? createInlineDriver(clock, seed.encodeLocal)
        : createWorkerDriver({ heapLimitMb: options.heapLimitMb ?? null }),
      ...{ clock, seed, main: this.#main, mainCredits: credits.memory, routes: plan.routes },
      actors: plan.actors.flatMap((planned) => {
        const placed = actors.find(({ name }) => name === planned.name);
        return placed === undefined ? [] : [{ ...placed, thread: planned.thread }];
      }),
      report: (thread, report) => this.#conductor.onReport(thread, report),
      died: (thread, code, cause) => this.#conductor.onThreadDied(thread, code, cause),
      stuck: (thread, limitMs) => this.#conductor.onThreadStuck(thread, limitMs),
    });
    this.#conductor = new Conductor({
      ...{ clock, supervision, plan, main: this.#main, threads: this.#threads },
      collector: seed.collector,
      setupLimitMs: seed.setupLimitMs,
      log: options.log,
      onEvent: options.onEvent ?? (() => {}),
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
    const inline = options.threads === "inline";
    const actors = await Promise.all(
      plan.actors.map(async ({ name, definition, config, thread }): Promise<PlacedActor> => {
        if (inline || thread === MAIN) return { name, definition, config, source: null };
        const exportName = await findExportName(name, definition);
        const source = { name, module: definition.module, exportName, config };
        return { name, definition, config, source };
      }),
    );
    const system = new ActorSystem(options, plan, actors);
    await system.#conductor.start();
    return system;
  }

  /** A reference for the process itself; its calls come from `main`. */
  ref<M extends MessageMap>(protocol: Protocol<M>, name: string = protocol.name): ActorRef<M> {
    return this.#main.ref(MAIN, protocol, name);
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

  /** Makes an actor fail at its next message boundary. @throws {ACTOR_UNKNOWN} */
  crash(actorName: string): void {
    const { thread } = this.#find(actorName);
    this.#threads.control(thread, { kind: "crash", actor: actorName });
  }

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

  /** Settles when everything has stopped: on request, or because the root supervisor gave up. */
  get finished(): Promise<SystemEnd> {
    return this.#conductor.finished;
  }

  /** Stops right to left, each actor within its own limit and all within `graceMs`. Idempotent. */
  stop(options: { readonly graceMs: number }): Promise<void> {
    return this.#conductor.stop(options.graceMs);
  }

  #find(actorName: string): { readonly thread: string } {
    const route = this.#plan.routes.find(({ name }) => name === actorName);
    if (route !== undefined) return route;
    const known = this.#plan.routes.map(({ name }) => name);
    const text = `there is no actor ${actorName}; there are ${known.join(", ")}`;
    throw new EsperError("ACTOR_UNKNOWN", text, { actor: actorName, known });
  }
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
