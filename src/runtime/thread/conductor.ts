/**
 * Carries out what the supervision machine decides and tells it what happened. It owns the order
 * of start and stop, the limits on both, and the account of events.
 */
import { EsperError, invariant, rehydrate, type WireError } from "../../protocols/errors.ts";
import type { Attributes } from "../../protocols/leyline/telemetry.ts";
import type { Clock, Timer } from "../clock.ts";
import type { ActorState, Effect, Supervision } from "../supervision.ts";
import { Announcer } from "./announcer.ts";
import { Fates } from "./fates.ts";
import { handlerTimeout } from "./handler-limit.ts";
import type { Host } from "./host.ts";
import { OCCUPATION } from "./occupation.ts";
import { afterPatience } from "./patience.ts";
import { MAIN, type Plan, type PlannedActor } from "./plan.ts";
import type { Threads } from "./threads.ts";
import type { LogRecord, SystemEnd, SystemEvent } from "./types.ts";
import type { Sighting } from "./watchdog.ts";
import type { Report } from "./wire.ts";

/** What a thread may take beyond an actor's own limit before it is held to be stuck. */
const OVERTIME_MS = 1_000;
/** The same for a stop: `shutdownMs` is a promise to whoever waits for the whole to stop. */
const STOP_OVERTIME_MS = 100;
const FLUSH_LIMIT_MS = 2_000;

export interface ConductorParts {
  readonly clock: Clock;
  readonly supervision: Supervision;
  readonly plan: Plan;
  readonly main: Host;
  readonly threads: Threads;
  readonly collector: string | null;
  readonly setupLimitMs: number;
  readonly log: (record: LogRecord) => void;
  readonly onEvent: (event: SystemEvent) => void;
}

export class Conductor {
  readonly finished: Promise<SystemEnd>;
  readonly #parts: ConductorParts;
  readonly #announcer: Announcer;
  readonly #fates: Fates;
  /** Per actor: the limit on the start or stop in progress. */
  readonly #watchdogs = new Map<string, Timer>();
  readonly #lastErrors = new Map<string, EsperError>();
  #onFlushed: (() => void) | null = null;
  #isUp = false;
  #failure: EsperError | null = null;
  #settleStart: ((error: EsperError | null) => void) | null = null;
  #settleFinished: (end: SystemEnd) => void = () => {};
  #ended = false;

  constructor(parts: ConductorParts) {
    this.#parts = parts;
    this.#announcer = new Announcer(parts.main, parts.onEvent);
    this.#fates = new Fates((fate) => parts.threads.broadcast(fate));
    this.finished = new Promise((resolve) => {
      this.#settleFinished = resolve;
    });
  }

  /** Resolves when every actor runs; rejects, with everything stopped, when one does not start. */
  async start(): Promise<void> {
    const { threads, plan, supervision } = this.#parts;
    const up = new Promise<void>((resolve, reject) => {
      this.#settleStart = (error) => (error === null ? resolve() : reject(error));
    });
    // Threads load their modules side by side; actors start one after the other.
    for (const thread of plan.threads) void threads.ensure(thread);
    this.#apply(supervision.start(this.#now()));
    await up;
  }

  async stop(graceMs: number): Promise<void> {
    this.#apply(this.#parts.supervision.shutdown(this.#now()));
    const timer = this.#parts.clock.after(graceMs, () => this.#end());
    await this.finished;
    timer.cancel();
  }

  standing(actor: string): { readonly state: ActorState; readonly starts: number } {
    const { supervision } = this.#parts;
    return { state: supervision.state(actor), starts: supervision.starts(actor) };
  }

  onReport(thread: string, report: Report): void {
    const { supervision } = this.#parts;
    switch (report.kind) {
      case "started":
        this.#unwatch(report.actor);
        this.#apply(supervision.started(report.actor, this.#now()));
        return;
      case "stopped":
        this.#unwatch(report.actor);
        this.#apply(supervision.stopped(report.actor, this.#now()));
        this.#noteEnd(report.actor);
        return;
      case "watch-restarts":
        this.#fates.ask(report.actor);
        return;
      case "crashed":
        this.#note(report.actor, report.error);
        this.#announcer.crashed(report.actor, thread, rehydrate(report.error));
        return;
      case "failed":
        this.#unwatch(report.actor);
        this.#note(report.actor, report.error);
        this.#apply(supervision.failed([report.actor], this.#now()));
        return;
      case "log":
        this.#parts.log(report.record);
        return;
      case "dead-letter":
        this.#announcer.deadLetter(thread, report.letter);
        return;
      case "left":
        this.#apply(supervision.failed([report.actor], this.#now(), true));
        return;
      case "flushed":
        this.#onFlushed?.();
        return;
      default:
        invariant(false, `a running host does not report ${report.kind}`);
    }
  }

  onThreadDied(thread: string, code: number, cause: string): void {
    if (this.#ended) return;
    const actors = this.#actorsOf(thread);
    const text = `the thread ${thread} ended: ${cause}`;
    const error = new EsperError("ACTOR_RESTARTING", text, { thread, code });
    for (const actor of actors) {
      this.#unwatch(actor);
      this.#lastErrors.set(actor, error);
    }
    this.#announcer.threadExit(thread, code, cause);
    this.#apply(this.#parts.supervision.failed(actors, this.#now(), code === 0));
  }

  /** `sighting.actor` is a row of the plan, or -1. */
  onActorStuck({ thread, actor: row, kind, ageMs }: Sighting): void {
    const planned = this.#parts.plan.actors[row];
    const actor = planned?.name ?? null;
    const message = planned === undefined ? null : describeWork(planned, kind);
    this.#announcer.actorStuck({ thread, actor, message, ageMs: Math.round(ageMs) });
    if (actor !== null) this.#lastErrors.set(actor, handlerTimeout(`${actor}.${message}`, ageMs));
  }

  onZombie(thread: string, zombies: number, ended: boolean): void {
    if (ended) this.#announcer.zombieEnded(thread, zombies);
    else this.#announcer.zombie(thread, zombies);
  }

  /** True while an actor of the thread is being started or stopped, within its own limit. */
  isChanging(thread: string): boolean {
    return [...this.#watchdogs.keys()].some((actor) => this.#threadOf(actor) === thread);
  }

  #apply(effects: readonly Effect[]): void {
    for (const effect of effects) this.#carryOut(effect);
  }

  #carryOut(effect: Effect): void {
    switch (effect.kind) {
      case "start":
        this.#startActor(effect.actor, effect.starts);
        return;
      case "stop":
        this.#stopActor(effect);
        return;
      case "wait":
        this.#parts.clock.after(effect.delayMs, () => {
          if (!this.#ended) this.#apply(this.#parts.supervision.waited(effect.job, this.#now()));
        });
        return;
      case "restarted":
        this.#announcer.restarted(effect, this.#threadOf(effect.actor));
        this.#fates.restarted(effect.actor);
        return;
      case "gave-up":
        this.#onGaveUp(effect.supervisor, effect.actor);
        return;
      case "retired":
        this.#fates.retired(
          effect.actor,
          effect.reason,
          this.#lastErrors.get(effect.actor) ?? null,
        );
        this.#parts.onEvent({ kind: "retired", actor: effect.actor });
        return;
      case "up":
        this.#isUp = true;
        this.#parts.threads.fillSpares();
        this.#settleStart?.(null);
        this.#parts.onEvent({ kind: "up" });
        return;
      case "ended":
        this.#end();
    }
  }

  #startActor(actor: string, starts: number): void {
    const { threads, supervision, setupLimitMs } = this.#parts;
    const thread = this.#threadOf(actor);
    const go = (): void => {
      // Meanwhile the thread may have died, or the start may have been called off.
      const current = supervision.starts(actor) === starts && supervision.isStarting(actor);
      if (!current || !threads.isReady(thread)) return;
      threads.control(thread, { kind: "start", actor, starts });
      this.#watch(actor, setupLimitMs + OVERTIME_MS);
    };
    if (threads.isReady(thread)) go();
    else threads.ensure(thread).then(go, (error: EsperError) => this.#lastErrors.set(actor, error));
  }

  #stopActor({ actor, final, limitMs }: Extract<Effect, { kind: "stop" }>): void {
    const { threads, supervision, collector } = this.#parts;
    const thread = this.#threadOf(actor);
    if (!threads.isReady(thread)) {
      // The start it waited for was called off before its thread was there.
      this.#apply(supervision.stopped(actor, this.#now()));
      return;
    }
    const stop = (): void => {
      threads.control(thread, { kind: "stop", actor, final, limitMs });
      this.#watch(actor, limitMs + STOP_OVERTIME_MS);
    };
    if (final && actor === collector) void this.#flushAll().then(stop);
    else stop();
  }

  /** The last telemetry of every thread reaches the collector before it stops. */
  async #flushAll(): Promise<void> {
    const { threads, clock } = this.#parts;
    const waiting = threads.readyThreads;
    let left = waiting.length;
    await new Promise<void>((resolve) => {
      const timer = clock.after(FLUSH_LIMIT_MS + OVERTIME_MS, resolve);
      this.#onFlushed = () => {
        left -= 1;
        if (left > 0) return;
        timer.cancel();
        resolve();
      };
      for (const thread of waiting)
        threads.control(thread, { kind: "flush", limitMs: FLUSH_LIMIT_MS });
    });
    this.#onFlushed = null;
  }

  #onGaveUp(supervisor: string, actor: string): void {
    const last = this.#lastErrors.get(actor);
    const why = last === undefined ? "" : `; the last failure: ${last.message}`;
    const text = `the supervisor ${supervisor} gave up: ${actor} failed too often${why}`;
    const details: Attributes = { supervisor, actor, last: last?.code ?? "unknown" };
    const error = new EsperError("SUPERVISOR_GAVE_UP", text, details, last);
    this.#announcer.gaveUp(supervisor, actor, error);
    if (supervisor === "root") this.#failure ??= error;
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    const { threads, main, plan } = this.#parts;
    for (const actor of [...this.#watchdogs.keys()]) this.#unwatch(actor);
    // From here on a call that is sent, or waits, is told that there is no coming back.
    const forGood = { kind: "retired", reason: "stopped", cause: null } as const;
    for (const { name } of plan.actors) main.control({ ...forGood, actor: name });
    void threads.killAll().then(() => {
      main.close();
      const failure = this.#failure;
      if (!this.#isUp) this.#settleStart?.(this.#startFailure());
      this.#settleFinished(
        failure === null ? { outcome: "stopped" } : { outcome: "gave-up", error: failure },
      );
    });
  }

  #startFailure(): EsperError {
    const [first] = this.#lastErrors.values();
    return first ?? new EsperError("ACTOR_STOPPED", "the system was stopped before it was up");
  }

  /** A thread that does not answer in time is stuck in one piece of work: it is ended. */
  #watch(actor: string, limitMs: number): void {
    this.#unwatch(actor);
    const thread = this.#threadOf(actor);
    if (thread === MAIN) return;
    const { clock, threads } = this.#parts;
    const cause = `${actor} did not answer within ${Math.round(limitMs)} ms`;
    this.#watchdogs.set(
      actor,
      afterPatience(clock, limitMs, () => threads.kill(thread, cause)),
    );
  }

  #unwatch(actor: string): void {
    this.#watchdogs.get(actor)?.cancel();
    this.#watchdogs.delete(actor);
  }

  /** While everything stops, no actor that stopped comes back. */
  #noteEnd(actor: string): void {
    if (this.standing(actor).state !== "stopped") return;
    this.#fates.retired(actor, this.#failure === null ? "stopped" : "gave-up", this.#failure);
  }

  #note(actor: string, error: WireError): void {
    this.#lastErrors.set(actor, rehydrate(error));
  }

  #actorsOf(thread: string): string[] {
    return this.#parts.plan.actors
      .filter((actor) => actor.thread === thread)
      .map(({ name }) => name);
  }

  #threadOf(actor: string): string {
    const route = this.#parts.plan.routes.find(({ name }) => name === actor);
    invariant(route !== undefined, `the plan has the actor ${actor}`);
    return route.thread;
  }

  #now(): number {
    return this.#parts.clock.monotonicMs();
  }
}

/** The name of what an actor was doing; the kinds are those of its protocol, in its order. */
export function describeWork({ definition }: PlannedActor, kind: number): string {
  const aside = Object.entries(OCCUPATION).find(([, value]) => value === kind)?.[0];
  if (aside !== undefined) return `(${aside})`;
  const names = Object.keys(definition.protocol.messages);
  return names[kind] ?? (kind === names.length ? "(notice)" : "(event)");
}
