/**
 * Everything of one thread: its actors, its links to the other threads, its telemetry. The system
 * on the main thread tells it what to start and stop (`control`), it reports what became of it.
 */
import { dehydrate, invariant, type TelemetryLevelName } from "../../protocols/errors.ts";
import type { Attributes } from "../../protocols/leyline/telemetry.ts";
import type { MessageMap, Protocol } from "../../protocols/protocol.ts";
import type { ActorRef } from "../actor.ts";
import type { Clock, Timer } from "../clock.ts";
import { createRandom } from "../random.ts";
import { CancellationToken } from "../token.ts";
import { Cell } from "./cell.ts";
import { type CellServices, crashError, type Instance, type LoadedActor } from "./cell-parts.ts";
import { type ContextParts, createInstance } from "./context.ts";
import { Credits, Tally } from "./credits.ts";
import { DeadLetters } from "./dead-letters.ts";
import { Instruments } from "./instruments.ts";
import { Link, type LinkOwner } from "./link.ts";
import { Router } from "./router.ts";
import { RunQueue } from "./run-queue.ts";
import type { DeadLetter, LogLevel, LogRecord } from "./types.ts";
import type { Control, HostSeed, Mail, Report, Route } from "./wire.ts";

const METRICS_PERIOD_MS = 1_000;

export interface HostParts {
  readonly seed: HostSeed;
  readonly actors: readonly LoadedActor[];
  readonly clock: Clock;
  readonly report: (report: Report) => void;
}

export class Host {
  readonly #seed: HostSeed;
  readonly #clock: Clock;
  readonly #report: (report: Report) => void;
  readonly #cells = new Map<string, Cell>();
  readonly #resources = new Map<string, unknown>();
  readonly #queue: RunQueue;
  readonly #credits: Credits;
  readonly #tally: Tally;
  readonly #deadLetters: DeadLetters;
  readonly #router: Router;
  readonly #instruments: Instruments;
  #metricsTimer: Timer | null = null;
  #closed = false;

  constructor({ seed, actors, clock, report }: HostParts) {
    this.#seed = seed;
    this.#clock = clock;
    this.#report = (message) => {
      if (!this.#closed) report(message);
    };
    this.#queue = new RunQueue(clock);
    this.#credits = new Credits(seed.credits);
    this.#tally = new Tally(seed.tally);
    this.#deadLetters = new DeadLetters((letter) => this.#onDeadLetter(letter));
    this.#router = this.#createRouter();
    this.#instruments = new Instruments(seed, clock, this.#router);
    for (const actor of actors) this.#addCell(actor);
    this.#armMetrics();
  }

  /** A reference for a sender that is no actor. */
  ref<M extends MessageMap>(from: string, protocol: Protocol<M>, name: string): ActorRef<M> {
    return this.#router.ref(from, protocol, name);
  }

  control(control: Control): void {
    switch (control.kind) {
      case "link": {
        const { thread, epoch, credits, port } = control;
        const owner = this.#linkOwner();
        this.#router.attach(new Link(thread, epoch, new Credits(credits), port, owner));
        return;
      }
      case "down":
        this.#router.detach(control.thread, control.epoch);
        return;
      case "retired":
        this.#router.retire(control.actor);
        this.#cells.get(control.actor)?.retire();
        return;
      case "start":
        this.#cell(control.actor).start(control.starts);
        return;
      case "stop":
        this.#cell(control.actor).stop(control.final, control.limitMs);
        return;
      case "crash":
        this.#cell(control.actor).requestCrash();
        return;
      case "flush":
        this.#flush(control.limitMs);
    }
  }

  /** Hands an event to the collector. */
  emit(source: string, name: string, level: TelemetryLevelName, attributes: Attributes): void {
    const timeMs = this.#clock.nowMs();
    this.#instruments.outbox?.push({ name, level, source, timeMs, attributes });
  }

  count(name: string, attributes: Attributes, by = 1): void {
    this.#instruments.runtime.count(name, attributes, by);
  }

  log(level: LogLevel, actor: string, fields: Attributes, msg: string): void {
    const { thread } = this.#seed;
    const fixed = { level, time: this.#clock.nowMs(), actor, thread };
    // The fixed keys come first and cannot be overwritten by a field.
    const record: LogRecord = Object.assign({ ...fixed }, fields, fixed, { msg });
    this.#report({ kind: "log", record });
  }

  /** Casts that died with another thread, in its mailboxes or on their way. */
  addDeadLetters(actor: string, count: number): void {
    const unseen = { name: "*", lane: "unknown", from: "*" } as const;
    this.#deadLetters.add(actor, unseen, "crashed-actor", count);
  }

  /** Ends everything at once, without last words. Telemetry that is given up is told to the log. */
  close(): void {
    if (this.#closed) return;
    this.#deadLetters.close();
    const count = this.#instruments.outbox?.close() ?? 0;
    const text = "telemetry events were not acknowledged before the end";
    if (count > 0) this.log("warn", "runtime", { count }, text);
    this.#closed = true;
    this.#metricsTimer?.cancel();
    this.#queue.close();
    this.#router.close();
    for (const cell of this.#cells.values()) cell.abandon();
  }

  #createRouter(): Router {
    const { thread, epoch, runSeed, encodeLocal, routes } = this.#seed;
    return new Router({
      ...{ thread, encodeLocal, routes, clock: this.#clock, credits: this.#credits },
      random: createRandom(runSeed, `router:${thread}:${epoch}`),
      deadLetters: this.#deadLetters,
      local: (actor) => this.#cells.get(actor),
      onSettled: (actor, tookMs) => this.#instruments.onCallSettled(actor, tookMs),
      onLateReply: () => this.#instruments.onLateReply(),
    });
  }

  #addCell(actor: LoadedActor): void {
    const route = this.#seed.routes.find(({ name }) => name === actor.name);
    invariant(route !== undefined, `there is a route to ${actor.name}`);
    const services: CellServices = {
      clock: this.#clock,
      queue: this.#queue,
      credits: this.#credits,
      tally: this.#tally,
      deadLetters: this.#deadLetters,
      setupLimitMs: this.#seed.setupLimitMs,
      createInstance: (starts, crash) => this.#createInstance(actor, starts, crash),
      report: this.#report,
      onCrash: (_route, error) => this.#onCrash(route, error),
      onStopFailed: (_route, error) => {
        const text = crashError(actor.name, error).message;
        this.log("error", actor.name, { error: text }, "the actor failed while it was stopped");
      },
      onCastFailed: (_route, message, error) => {
        const fields = { code: error.code, message: message.name, error: error.message };
        this.log("warn", actor.name, fields, "a message without a caller was answered by an error");
      },
    };
    this.#cells.set(actor.name, new Cell(route, actor, services));
  }

  #createInstance(actor: LoadedActor, starts: number, crash: ContextParts["crash"]): Instance {
    return createInstance(actor, starts, {
      clock: this.#clock,
      runSeed: this.#seed.runSeed,
      router: this.#router,
      resources: this.#resources,
      meter: this.#instruments.meter(actor.name),
      log: (level, name, fields, message) => this.log(level, name, fields, message),
      emit: (name, event, level, attributes) => this.emit(name, event, level, attributes),
      crash,
    });
  }

  #onCrash(route: Route, error: unknown): void {
    const actor = route.name;
    const coded = crashError(actor, error);
    this.log("error", actor, { code: coded.code, error: coded.message }, "the actor crashed");
    this.#report({ kind: "crashed", actor, error: dehydrate(coded) });
  }

  #onDeadLetter(letter: DeadLetter): void {
    const { actor, message, from, reason, count } = letter;
    this.count("runtime.dead_letters_total", { actor, reason }, count);
    this.#report({ kind: "dead-letter", letter });
    this.emit("runtime", "runtime.dead_letter", "WARNING", { actor, message, from, reason, count });
  }

  #linkOwner(): LinkOwner {
    return {
      clock: this.#clock,
      // What reaches a thread that is over dies unseen; the credit table tells how much it was.
      onCall: (link, mail) => {
        if (!this.#closed) this.#acceptCall(link, mail);
      },
      onCast: (_link, mail) => {
        if (!this.#closed) this.#acceptCast(mail);
      },
      onCancel: (message) => this.#cell(message.to).cancel(message),
      onLateReply: () => this.#instruments.onLateReply(),
      onClosed: (link) => this.#router.detach(link.thread, link.epoch),
    };
  }

  #acceptCall(link: Link, mail: Extract<Mail, { kind: "call" }>): void {
    const { id, to, from, name, payload, deadlineAtMs } = mail;
    const cell = this.#cell(to);
    const token = mail.token === null ? null : new CancellationToken(mail.token);
    const caller = link.caller(id, deadlineAtMs);
    const lane = cell.laneOf(name);
    const message = { kind: "call", to, name, lane, from, payload, deadlineAtMs } as const;
    const held = { ...message, token, caller, crashes: 0 };
    link.inbound.set(id, held);
    cell.accept(held);
  }

  #acceptCast(mail: Extract<Mail, { kind: "cast" }>): void {
    const { to, from, name, payload } = mail;
    const cell = this.#cell(to);
    const lane = cell.laneOf(name);
    const nobody = { deadlineAtMs: null, token: null, caller: null };
    cell.accept({ kind: "cast", to, name, lane, from, payload, ...nobody, crashes: 0 });
  }

  #flush(limitMs: number): void {
    const { outbox } = this.#instruments;
    this.#deadLetters.flush();
    this.#collectMetrics();
    const flushed = outbox?.flush(limitMs) ?? Promise.resolve(0);
    flushed.then((left) => this.#report({ kind: "flushed", left }));
  }

  #armMetrics(): void {
    if (this.#seed.collector === null) return;
    this.#metricsTimer = this.#clock.after(
      METRICS_PERIOD_MS,
      () => {
        if (this.#closed) return;
        this.#collectMetrics();
        this.#armMetrics();
      },
      true,
    );
  }

  #collectMetrics(): void {
    const { runtime } = this.#instruments;
    for (const { route } of this.#cells.values()) {
      const labels = { actor: route.name };
      runtime.gauge("runtime.mailbox_depth", this.#credits.depth(route.slot), labels);
      runtime.total("runtime.messages_total", this.#tally.processed(route.index), labels);
    }
    this.#instruments.send();
  }

  #cell(actor: string): Cell {
    const cell = this.#cells.get(actor);
    invariant(cell !== undefined, `the actor ${actor} lives in the thread ${this.#seed.thread}`);
    return cell;
  }
}
