/**
 * Everything of one thread: its actors, its links to the other threads, its telemetry. The system
 * on the main thread tells it what to start and stop (`control`), it reports what became of it.
 */
import { dehydrate, invariant, type TelemetryLevelName } from "../../protocols/errors.ts";
import type { Attributes } from "../../protocols/leyline/telemetry.ts";
import type { MessageMap, Protocol } from "../../protocols/protocol.ts";
import type { ActorRef, AnyActorDefinition } from "../actor.ts";
import type { Clock, Timer } from "../clock.ts";
import { armFaults } from "../faults/fault-points.ts";
import type { ArmedFault } from "../faults/rule.ts";
import { CallWatch } from "../inspect/call-watch.ts";
import { tell, tellCrash, tellStart, tellStop } from "../inspect/channels.ts";
import { measureThread } from "../inspect/metrics.ts";
import { StatsPublisher } from "../inspect/publisher.ts";
import type { SourceMeter } from "../telemetry/meter.ts";
import { addressOf } from "./address.ts";
import type { Cell } from "./cell.ts";
import { type CellOwner, crashError, type Instance, type LoadedActor } from "./cell-parts.ts";
import { Cells } from "./cells.ts";
import { type ContextParts, Life, refToCell } from "./context.ts";
import { Credits, Tally } from "./credits.ts";
import { DeadLetters } from "./dead-letters.ts";
import { Family } from "./family.ts";
import { type InlineScheduler, laterOf } from "./inline-connection.ts";
import { Instruments } from "./instruments.ts";
import { Lifecycle } from "./lifecycle.ts";
import { Mesh } from "./mesh.ts";
import { OCCUPATION, occupied } from "./occupation.ts";
import { plainRef } from "./refs.ts";
import { Relations } from "./relations.ts";
import { StatsTable } from "./stats.ts";
import type { DeadLetter, LogLevel, LogRecord } from "./types.ts";
import type { Control, HostSeed, Report } from "./wire.ts";

const METRICS_PERIOD_MS = 1_000;

export interface HostParts {
  readonly seed: HostSeed;
  readonly actors: readonly LoadedActor[];
  readonly clock: Clock;
  readonly report: (report: Report) => void;
  /** Adds what only this thread can measure, once a second. */
  readonly measure?: (meter: SourceMeter) => void;
  /** Runs the loop in steps; default: the platform does. */
  readonly schedule?: InlineScheduler | null | undefined;
}

export class Host {
  readonly #seed: HostSeed;
  readonly #clock: Clock;
  readonly #report: (report: Report) => void;
  readonly #measure: HostParts["measure"];
  readonly #tally: Tally;
  readonly #deadLetters: DeadLetters;
  readonly #cells: Cells;
  readonly #stats: StatsPublisher;
  readonly #mesh: Mesh;
  readonly #life: Lifecycle;
  readonly #family: Family;
  readonly #instruments: Instruments;
  readonly #relations: Relations;
  #metricsTimer: Timer | null = null;
  #closed = false;

  constructor({ seed, actors, clock, report, measure, schedule }: HostParts) {
    this.#seed = seed;
    this.#measure = measure;
    this.#clock = clock;
    this.#report = (message) => {
      if (!this.#closed) report(message);
    };
    this.#tally = new Tally(seed.tally);
    const later = schedule ? laterOf(schedule, seed.thread) : undefined;
    this.#deadLetters = new DeadLetters((letter) => this.#onDeadLetter(letter), later);
    const credits = new Credits(seed.credits);
    this.#cells = new Cells({
      seed,
      credits,
      nameOfRoute: (address) => this.#mesh.nameOf(address),
    });
    this.#stats = new StatsPublisher(new StatsTable(seed.stats), this.#cells, clock, !schedule);
    this.#mesh = new Mesh({
      seed,
      clock,
      later,
      credits,
      cells: this.#cells,
      deadLetters: this.#deadLetters,
      stats: this.#stats,
      watch: this.#createWatch(),
      onSettled: (actor, tookMs) => this.#instruments.onCallSettled(actor, tookMs),
      onLateReply: () => this.#instruments.onLateReply(),
      onMalformed: (thread, lane, what) => this.#onMalformed(thread, lane, what),
      names: () => this.#relations.registry.names(),
      onAttached: (threadId) => this.#relations.attached(threadId),
      onDetached: (threadId) => this.#relations.detached(threadId),
    });
    this.#relations = this.#createRelations();
    const contextParts = this.#createContextParts();
    this.#cells.services = {
      clock,
      loop: this.#mesh.loop,
      credits,
      tally: this.#tally,
      block: this.#mesh.block,
      deadLetters: this.#deadLetters,
      setupLimitMs: seed.setupLimitMs,
      faults: null,
      current: null,
      createInstance: (cell, starts) => new Life(cell, starts, contextParts),
      closeCrashed: (cell, error) => this.#life.crashed(cell, error),
      nameOf: (address) => this.#cells.nameOf(address),
      onStarted: (cell) => {
        this.#relations.started(cell);
        tellStart(cell, seed.thread);
      },
      onStopped: (cell) => tellStop(cell, seed.thread),
      onCrash: (cell, error) => this.#onCrash(cell, error),
      onStopFailed: (cell, error) => {
        const text = crashError(cell.name, error).message;
        this.log("error", cell.name, { error: text }, "the actor failed while it was stopped");
      },
      onCastFailed: (cell, message, error) => {
        const fields = { code: error.code, message: message.name, error: error.message };
        this.log("warn", cell.name, fields, "a message without a caller was answered by an error");
      },
      holdBells: () => this.#mesh.holdBells(),
      onRoom: (cell) => this.#mesh.onRoom(cell),
    };
    this.#life = new Lifecycle(this.#cells.services, (cell) => this.#family.stopChildren(cell));
    this.#family = this.#createFamily();
    for (const actor of actors) this.#addTreeCell(actor);
    this.#arm(seed.faults);
    this.#instruments = new Instruments(seed, clock, this);
    this.#relations.open();
    this.#armMetrics();
  }

  /** A reference for a sender that is no actor. @throws {PROTOCOL_MISMATCH} */
  ref<M extends MessageMap>(protocol: Protocol<M>, name: string): ActorRef<M> {
    const from = addressOf(this.#seed.threadId, 0);
    return this.#relations.ref(protocol, name, from) as ActorRef<M>;
  }

  /** Starts an actor of no tree, supervised by its own policy alone. */
  spawn(definition: AnyActorDefinition, config: unknown, name?: string): ActorRef<MessageMap> {
    const cell = this.#family.spawn(null, definition, config, name);
    return refToCell(this.#mesh.post, cell, addressOf(this.#seed.threadId, 0));
  }

  control(control: Control): void {
    switch (control.kind) {
      case "link":
        this.#mesh.attach(control.connection);
        return;
      case "down":
        this.#mesh.detach(control.thread, control.epoch, control.kept?.get(this.#seed.threadId));
        return;
      case "orphans":
        this.#mesh.adopt(control.rings);
        return;
      case "retired":
        this.#mesh.retire(control.actor);
        this.#retire(control.actor);
        this.#relations.retired(control.actor, control.reason, control.cause);
        return;
      case "restarted":
        this.#relations.restarted(control.actor);
        return;
      case "start":
        this.#life.start(this.#cell(control.actor), control.starts);
        return;
      case "stop":
        this.#life.stop(this.#cell(control.actor), control.final, control.limitMs);
        return;
      case "crash":
        this.#cell(control.actor).requestCrash();
        return;
      case "stuck":
        this.#life.failStuck(this.#cell(control.actor), control.ageMs);
        return;
      case "beat":
        this.#mesh.block.beat();
        this.#stats.publish();
        return;
      case "flush":
        this.#flush(control.limitMs);
        return;
      case "arm":
        this.#arm(control.faults);
    }
  }

  /** A doorbell rang. */
  rung(): void {
    this.#mesh.loop.rung();
  }

  /** Hands an event to the collector. */
  emit(source: string, name: string, level: TelemetryLevelName, attributes: Attributes): void {
    const timeMs = this.#clock.nowMs();
    this.#instruments.outbox?.push({ name, level, source, timeMs, attributes });
  }

  count(name: string, attributes: Attributes, by = 1): void {
    this.#instruments.runtime.count(name, attributes, by);
  }

  gauge(name: string, value: number): void {
    this.#instruments.runtime.gauge(name, value);
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
    this.#mesh.close();
    for (const cell of this.#cells.all()) this.#life.abandon(cell);
  }

  readonly #treeOwner: CellOwner = {
    started: (cell) => {
      const token = (cell.instance as Instance).token.handle;
      this.#report({ kind: "started", actor: cell.name, token });
    },
    failed: (cell, error) => {
      const wire = dehydrate(crashError(cell.name, error));
      this.#report({ kind: "failed", actor: cell.name, error: wire });
    },
    stopped: (cell) => {
      const kind = cell.isLeaving ? "left" : "stopped";
      cell.isLeaving = false;
      this.#report({ kind, actor: cell.name });
    },
  };

  #createContextParts(): ContextParts {
    const seed = this.#seed;
    return {
      clock: this.#clock,
      runSeed: seed.runSeed,
      resources: new Map(),
      meter: (actor) => this.#instruments.meter(actor),
      relations: this.#relations,
      refTo: (cell, from) => refToCell(this.#mesh.post, cell, from),
      forward: (ref, name, payload, cell) => this.#forward(ref, name, payload, cell),
      spawn: (...spawned) => this.#family.spawn(...spawned),
      stop: (cell, child) => this.#family.stop(cell, child),
      occupied: (cell, fire) => this.#occupied(cell, fire),
      log: (level, name, fields, message) => this.log(level, name, fields, message),
      emit: (name, event, level, attributes) => this.emit(name, event, level, attributes),
    };
  }

  #occupied(cell: Cell, fire: () => unknown): unknown {
    const { services } = this.#cells;
    const outer = services.current;
    services.current = cell;
    try {
      return occupied(services.block, this.#clock, cell.row, OCCUPATION.timer, fire);
    } finally {
      services.current = outer;
    }
  }

  #createWatch(): CallWatch {
    return new CallWatch({
      ...{ seed: this.#seed, clock: this.#clock, cells: this.#cells },
      onSpan: (attributes) => this.emit("runtime", "runtime.span", "INFO", attributes),
      onSpanDropped: () => this.count("runtime.spans_dropped_total", {}),
    });
  }

  #createFamily(): Family {
    return new Family({
      ...{ seed: this.#seed, clock: this.#clock, cells: this.#cells, mesh: this.#mesh },
      relations: this.#relations,
      life: () => this.#life,
      count: (metric, attributes) => this.count(metric, attributes),
      log: (level, actor, fields, text) => this.log(level, actor, fields, text),
    });
  }

  #createRelations(): Relations {
    return new Relations({
      ...{ seed: this.#seed, clock: this.#clock, cells: this.#cells },
      deadLetters: this.#deadLetters,
      mesh: () => this.#mesh,
      life: () => this.#life,
      report: (report) => this.#report(report),
      count: (metric, attributes) => this.count(metric, attributes),
    });
  }

  #addTreeCell(actor: LoadedActor): void {
    const route = this.#seed.routes.find(({ name }) => name === actor.name);
    invariant(route !== undefined, `there is a route to ${actor.name}`);
    const cell = this.#cells.addTree(actor, this.#treeOwner, route);
    this.#mesh.direct?.bind(cell);
  }

  #forward(ref: ActorRef<MessageMap>, name: string, payload: unknown, cell: Cell): void {
    this.#mesh.post.forward(plainRef(ref), name, payload, cell.hand.passOn(cell.active));
  }

  #retire(actor: string): void {
    const cell = this.#cells.named(actor);
    if (cell !== undefined) this.#life.retire(cell);
  }

  #onCrash(cell: Cell, error: unknown): void {
    this.#relations.crashed(cell, error);
    // Telling takes longer than restarting a child: it comes after.
    const tellIt = (): void =>
      tellCrash(cell, this.#seed.thread, crashError(cell.name, error), this);
    void Promise.resolve().then(tellIt);
    if (cell.index < 0) return;
    const wire = dehydrate(crashError(cell.name, error));
    this.#report({ kind: "crashed", actor: cell.name, error: wire });
  }

  #onDeadLetter(letter: DeadLetter): void {
    const { actor, message, from, reason, count } = letter;
    const { thread } = this.#seed;
    tell("deadLetter", () => ({ thread, ...letter }));
    if (reason === "mailbox-full") tell("mailboxFull", () => ({ thread, ...letter }));
    this.count("runtime.dead_letters_total", { actor, reason }, count);
    this.#report({ kind: "dead-letter", letter });
    this.emit("runtime", "runtime.dead_letter", "WARNING", { actor, message, from, reason, count });
  }

  #onMalformed(thread: string, lane: number, what: string): void {
    this.count("runtime.malformed_frames_total", { from: thread, lane });
    this.log("error", "runtime", { from: thread, lane }, what);
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
    for (const cell of this.#cells.tree()) {
      const labels = { actor: cell.name };
      runtime.gauge("runtime.mailbox_depth", this.#mesh.depth(cell.slot), labels);
      runtime.total("runtime.messages_total", this.#tally.processed(cell.index), labels);
    }
    measureThread(runtime, this.#mesh.block, this.#cells.tree(), this.#clock.monotonicMs());
    this.#measure?.(runtime);
    this.#instruments.send();
  }

  #arm(faults: readonly ArmedFault[]): void {
    const parts = { seed: this.#seed, clock: this.#clock, report: this.#report };
    armFaults(this.#cells.services, this.#mesh.post, faults, parts);
  }

  #cell(actor: string): Cell {
    const cell = this.#cells.named(actor);
    invariant(cell !== undefined, `the actor ${actor} lives in the thread ${this.#seed.thread}`);
    return cell;
  }
}
