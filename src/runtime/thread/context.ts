/**
 * One life of an actor, and the context through which it reaches the world. Most actors use little
 * of it, so everything that costs memory is made when it is first asked for.
 */
import type { TelemetryLevelName } from "../../protocols/errors.ts";
import type { Attributes } from "../../protocols/leyline/telemetry.ts";
import type { MessageMap, Protocol } from "../../protocols/protocol.ts";
import type {
  ActorContext,
  ActorDefinition,
  ActorDown,
  ActorRef,
  AnyActorDefinition,
  Logger,
  Meter,
  OpenAnswer,
  ResourceKey,
  SpawnConfig,
  Topic,
  WatchOptions,
} from "../actor.ts";
import type { Clock, Timer } from "../clock.ts";
import { createGuard, type DependencyGuard } from "../guard.ts";
import { createRandom, type Random } from "../random.ts";
import { CancellationToken } from "../token.ts";
import type { Cell } from "./cell.ts";
import type { Handler, Instance } from "./cell-parts.ts";
import type { Message } from "./message.ts";
import { OpenAnswers } from "./open-answers.ts";
import { Ref } from "./refs.ts";
import type { Relations } from "./relations.ts";
import { Timers } from "./timers.ts";
import type { LogLevel } from "./types.ts";

/** What a context takes from the thread it lives in. */
export interface ContextParts {
  readonly clock: Clock;
  readonly runSeed: number;
  readonly resources: Map<string, unknown>;
  meter(actor: string): Meter;
  readonly relations: Relations;
  refTo(cell: Cell, from: number): Ref;
  forward(ref: ActorRef<MessageMap>, name: string, payload: unknown, cell: Cell): void;
  spawn(parent: Cell, definition: AnyActorDefinition, config: unknown, name?: string): Cell;
  /** @throws {ACTOR_UNKNOWN} unless the reference leads to a child of `cell` or to itself. */
  stop(cell: Cell, child: ActorRef<MessageMap> | null): void;
  /** Runs the callback of a timer as this actor's. */
  occupied(cell: Cell, fire: () => unknown): unknown;
  log(level: LogLevel, actor: string, fields: Attributes, message: string): void;
  emit(actor: string, name: string, level: TelemetryLevelName, attributes: Attributes): void;
}

type Context = ActorContext<unknown, MessageMap>;

export class Life implements Instance {
  state: unknown = undefined;
  #self: Ref | null = null;
  readonly #cell: Cell;
  readonly #parts: ContextParts;
  readonly starts: number;
  #cancelled = false;
  #ended = false;
  #token: CancellationToken | null = null;
  #timers: Timers | null = null;
  #random: Random | null = null;
  #log: Logger | null = null;
  #guard: DependencyGuard | null = null;

  constructor(cell: Cell, starts: number, parts: ContextParts) {
    this.#cell = cell;
    this.starts = starts;
    this.#parts = parts;
  }

  get context(): Context {
    return this as Context;
  }

  get name(): string {
    return this.#cell.name;
  }

  get config(): unknown {
    return this.#cell.actor.config;
  }

  get self(): ActorRef<MessageMap> {
    this.#self ??= this.#parts.refTo(this.#cell, this.#cell.address);
    return this.#self;
  }

  get token(): CancellationToken {
    if (this.#token === null) {
      this.#token = new CancellationToken();
      if (this.#cancelled) this.#token.cancel();
    }
    return this.#token;
  }

  get clock(): Clock {
    return this.#parts.clock;
  }

  get random(): Random {
    this.#random ??= createRandom(this.#parts.runSeed, `actor:${this.name}`);
    return this.#random;
  }

  get log(): Logger {
    this.#log ??= createLogger(this.name, this.#parts);
    return this.#log;
  }

  get metrics(): Meter {
    return this.#parts.meter(this.name);
  }

  get guard(): DependencyGuard {
    this.#guard ??= createGuard({
      emit: (event, level, attributes) => this.emit(event, level, attributes),
      count: (metric, labels) => this.metrics.count(metric, labels),
    });
    return this.#guard;
  }

  emit(event: string, level: TelemetryLevelName, attributes: Attributes = {}): void {
    this.#parts.emit(this.name, event, level, attributes);
  }

  ref<Other extends MessageMap>(protocol: Protocol<Other>, name = protocol.name): ActorRef<Other> {
    const { relations } = this.#parts;
    return relations.ref(protocol, name, this.#cell.address) as ActorRef<Other>;
  }

  spawn<Other extends MessageMap, C, S>(
    definition: ActorDefinition<Other, C, S>,
    ...[config, options]: SpawnConfig<C>
  ): ActorRef<Other> {
    const child = this.#parts.spawn(this.#cell, definition, config, options?.name);
    return this.#parts.refTo(child, this.#cell.address) as ActorRef<Other>;
  }

  stop(child?: ActorRef<MessageMap>): void {
    this.#parts.stop(this.#cell, child ?? null);
  }

  stash(): void {
    const { hand, active, policy, source } = this.#cell;
    // What stays in its ring keeps its place there until it is handled.
    hand.stash(active, source === null ? policy.capacity : 0);
  }

  unstash(): void {
    this.#cell.unstash();
  }

  become(behaviour: object): void {
    this.#cell.become(behaviour as Readonly<Record<string, Handler | undefined>>);
  }

  unbecome(): void {
    this.#cell.become(null);
  }

  forward(ref: ActorRef<MessageMap>, name: string, payload: unknown): never {
    this.#parts.forward(ref, name, payload, this.#cell);
    return undefined as never;
  }

  answerLater(work: PromiseLike<unknown>): never {
    const message = this.#promised();
    this.#answers().add(message, work);
    return undefined as never;
  }

  openAnswer<Reply>(): OpenAnswer<Reply> {
    const message = this.#promised();
    return this.#answers().open(message);
  }

  /** The call in hand, from now on answered later. */
  #promised(): Message {
    const cell = this.#cell;
    // What stays in its ring is handled when its handler returns.
    return cell.hand.answerLater(cell.source === null ? cell.active : null);
  }

  #answers(): OpenAnswers {
    const cell = this.#cell;
    cell.answers ??= new OpenAnswers(cell);
    return cell.answers;
  }

  watch(
    ref: ActorRef<MessageMap>,
    told: (down: ActorDown) => unknown,
    options: WatchOptions = {},
  ): () => void {
    if (this.#ended) return nothing;
    return this.#parts.relations.watch(this.#cell, ref, told, options);
  }

  link(ref: ActorRef<MessageMap>): () => void {
    return this.#ended ? nothing : this.#parts.relations.link(this.#cell, ref);
  }

  subscribe<Payload>(topic: Topic<Payload>, handle: (event: Payload) => unknown): () => void {
    if (this.#ended) return nothing;
    const { relations } = this.#parts;
    return relations.subscribe(this.#cell, topic.name, (event) => handle(event as Payload));
  }

  publish<Payload>(topic: Topic<Payload>, event: Payload): void {
    this.#parts.relations.publish(topic.name, event, this.#cell);
  }

  after(delayMs: number, fire: () => void): Timer {
    return this.#ownTimers().after(delayMs, fire);
  }

  every(periodMs: number, fire: () => void): Timer {
    return this.#ownTimers().every(periodMs, fire);
  }

  resource<T>(key: ResourceKey<T>, create: () => T): T {
    const { resources } = this.#parts;
    if (!resources.has(key.name)) resources.set(key.name, create());
    return resources.get(key.name) as T;
  }

  cancel(): void {
    this.#cancelled = true;
    this.#token?.cancel();
  }

  end(): void {
    this.#cancelled = true;
    this.#ended = true;
    this.#token?.cancel("stopped");
    this.#token?.release();
    this.#timers?.cancelAll();
    this.#parts.relations.ended(this.#cell);
  }

  #ownTimers(): Timers {
    // A failure outside any message is the actor's too.
    const crash = (error: unknown): void => this.#cell.crash(error, this);
    this.#timers ??= new Timers(this.#parts.clock, crash, (fire) =>
      this.#parts.occupied(this.#cell, fire),
    );
    if (this.#ended) this.#timers.cancelAll();
    return this.#timers;
  }
}

/** A life that is over watches nothing, so there is nothing to end. */
function nothing(): void {}

/** A reference from `from` to an actor of this thread. */
export function refToCell(post: Ref["post"], cell: Cell, from: number): Ref {
  return new Ref(post, cell.protocol, cell, from, false);
}

function createLogger(actor: string, parts: ContextParts): Logger {
  return {
    debug: (fields, message) => parts.log("debug", actor, fields, message),
    info: (fields, message) => parts.log("info", actor, fields, message),
    warn: (fields, message) => parts.log("warn", actor, fields, message),
    error: (fields, message) => parts.log("error", actor, fields, message),
  };
}
