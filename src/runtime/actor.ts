/**
 * The API in which every actor is written. An actor handles one message at a time, owns the state
 * its `setup` returned, and reaches the world only through its context.
 */
import type { z } from "zod";
import type { EsperError, TelemetryLevelName } from "../protocols/errors.ts";
import type { Sendable } from "../protocols/fields.ts";
import type { Attributes } from "../protocols/leyline/telemetry.ts";
import type {
  CallName,
  CastName,
  MessageMap,
  PayloadOf,
  Protocol,
  ReplyOf,
  RequestOf,
} from "../protocols/protocol.ts";
import type { Clock, Timer } from "./clock.ts";
import { noteDefinition } from "./definitions.ts";
import type { DependencyGuard } from "./guard.ts";
import type { Random } from "./random.ts";
import type { CancellationToken } from "./token.ts";

/** How a call is made. */
export interface CallOptions {
  /** Milliseconds from now until the call fails with DEADLINE_EXCEEDED. */
  readonly deadlineMs: number;
  readonly token?: CancellationToken;
  /** "retry": wait out a restart of the receiver, within the deadline. Default "fail". */
  readonly onRestart?: "fail" | "retry";
  readonly transfer?: readonly ArrayBuffer[];
  /**
   * The W3C trace context of a request from outside: where tracing is on, the call belongs to that
   * trace. One that makes no sense is passed over, as the W3C wants it.
   */
  readonly traceparent?: string;
}

/** How long a producer waits for room. */
export interface OfferOptions {
  /** Milliseconds from now until the message is given up with MAILBOX_FULL. */
  readonly deadlineMs: number;
  readonly token?: CancellationToken;
}

/** How an actor is reached, from any thread. It may travel in payloads. */
export interface ActorRef<M extends MessageMap> {
  readonly name: string;
  /** Messages on their way to the actor or in its mailbox, as of a moment ago. */
  readonly depth: number;
  /** False while the actor is known to be restarting, and when it is gone. */
  readonly available: boolean;
  /**
   * Sends a request and settles by the deadline, always.
   * @throws {MAILBOX_FULL} @throws {ACTOR_RESTARTING} @throws {ACTOR_STOPPED}
   * @throws {DEADLINE_EXCEEDED} @throws {CANCELLED} and whatever coded error the handler threw.
   */
  call<K extends CallName<M>>(
    name: K,
    payload: RequestOf<M, K>,
    options: CallOptions,
  ): Promise<ReplyOf<M, K>>;
  /** Sends without waiting. False when the message was refused; it is then a dead letter. */
  cast<K extends CastName<M>>(name: K, payload: PayloadOf<M, K>): boolean;
  /**
   * Sends a cast and waits while the mailbox is full: this is how a producer takes the pace of its
   * consumer. Resolves when the message has its place, in the order of the offers.
   * @throws {MAILBOX_FULL} at the deadline @throws {CANCELLED} @throws {ACTOR_STOPPED}
   */
  offer<K extends CastName<M>>(
    name: K,
    payload: PayloadOf<M, K>,
    options: OfferOptions,
  ): Promise<void>;
}

/** Structured log lines, told to the `log` of the system; never blocks. */
export interface Logger {
  /** For those who look for a fault. */
  debug(fields: Attributes, message: string): void;
  /** What usually happens. */
  info(fields: Attributes, message: string): void;
  /** What should not happen, and was dealt with. */
  warn(fields: Attributes, message: string): void;
  /** What somebody must look at. */
  error(fields: Attributes, message: string): void;
}

/** Metrics, kept in the thread and sent to the telemetry collector. */
export interface Meter {
  /** Adds to a counter. */
  count(name: string, attributes?: Attributes, by?: number): void;
  /** Sets a value that goes up and down. */
  gauge(name: string, value: number, attributes?: Attributes): void;
  /** Adds one observation to a distribution. */
  observe(name: string, value: number, attributes?: Attributes): void;
}

/** A thread-local object that actors of one thread share by declaration (tensors only). */
export interface ResourceKey<T> {
  readonly name: string;
  readonly type?: T;
}

/** Declares a shared object of one thread. */
export function resourceKey<T>(name: string): ResourceKey<T> {
  return { name };
}

/** What may be said of a spawned actor beside its config. */
export interface SpawnOptions {
  /** Found by this name from every thread, by nobody else at the same time, until it ends. */
  readonly name?: string;
}

/** The config of a spawned actor; it may be left out when the definition needs none. */
export type SpawnConfig<C> = undefined extends C
  ? [config?: C, options?: SpawnOptions]
  : [config: C, options?: SpawnOptions];

/**
 * Why an actor is down. "stopped": it ended without failure. "crashed": it failed and is not
 * restarted, by its policy. "gave-up": it failed too often. "thread-lost": it was spawned in a
 * thread that ended. "unknown": it was gone before, or never there. "restarted": it failed and is
 * up again.
 */
export type DownReason =
  | "stopped"
  | "crashed"
  | "gave-up"
  | "thread-lost"
  | "unknown"
  | "restarted";

/** What a watcher is told. */
export interface ActorDown {
  readonly actor: string;
  readonly reason: DownReason;
  /** The failure, where there was one and it is known. */
  readonly error: EsperError | null;
}

/** What a watcher wants to be told. */
export interface WatchOptions {
  /** Told of restarts too, which are no end. Default false. */
  readonly restarts?: boolean;
}

/** Names a kind of events. Two topics of one name are one topic. */
export interface Topic<Payload> {
  readonly name: string;
  readonly type?: Payload;
}

/** Declares a topic; only what can cross threads can be published in it. */
export function topic<Payload>(...name: Sendable<Payload, [name: string]>): Topic<Payload> {
  return { name: String(name[0]) };
}

/** The answer to a call, given when it is known; what comes after the first is passed over. */
export interface OpenAnswer<Reply> {
  /** What the handler returns: it stands for the reply and is never looked at. */
  readonly pending: Reply;
  /** Answers the caller. */
  answer(value: Reply): void;
  /** A coded error is the answer, anything else crashes the actor. */
  fail(error: unknown): void;
}

/** The world as an actor sees it, valid for one life of the actor. */
export interface ActorContext<Config, M extends MessageMap> {
  readonly name: string;
  /** 1 for the first start, +1 for every restart, counted over threads. */
  readonly starts: number;
  readonly config: Config;
  readonly self: ActorRef<M>;
  /** Cancelled when the actor is stopped; check it at the last point of no effect. */
  readonly token: CancellationToken;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: Meter;
  readonly guard: DependencyGuard;
  /** Hands an event to the telemetry collector; never blocks, never throws. */
  emit(name: string, level: TelemetryLevelName, attributes?: Attributes): void;
  /** The actor of that name in the tree; the default is the protocol's name. */
  ref<Other extends MessageMap>(protocol: Protocol<Other>, name?: string): ActorRef<Other>;
  /**
   * Starts a child in this thread, supervised by this actor with the child's own policy: when the
   * child fails too often, this actor crashes. Children end before their parent.
   * @throws {CONFIG_INVALID} @throws {ACTOR_LIMIT} @throws {NAME_TAKEN}
   */
  spawn<Other extends MessageMap, C, S>(
    definition: ActorDefinition<Other, C, S>,
    ...config: SpawnConfig<C>
  ): ActorRef<Other>;
  /** Stops a child, or this actor when no child is given, after the message in hand. */
  stop(child?: ActorRef<MessageMap>): void;
  /** Puts the message in hand aside until `unstash`; what the handler returns is not looked at. */
  stash(): void;
  /** Takes every message that was put aside back into the mailbox, ahead of what came later. */
  unstash(): void;
  /** From the next message on these handlers come before the definition's own. */
  become(behaviour: Partial<Handlers<never, Config, M>>): void;
  /** Back to the handlers of the definition. */
  unbecome(): void;
  /**
   * Hands the call in hand to another actor, which answers the original caller by the original
   * deadline. Return its result: it stands for the reply and is never looked at.
   */
  forward<Other extends MessageMap, K extends CallName<Other>>(
    ref: ActorRef<Other>,
    name: K,
    payload: RequestOf<Other, K>,
  ): ReplyOf<Other, K>;
  /**
   * The answer to the call in hand is what `work` comes to; meanwhile the actor goes on with its
   * next message, until 1,024 answers are open. A coded error is the answer, anything else crashes
   * the actor; a crash answers all of them with ACTOR_RESTARTING, a stop waits for them after
   * `stop`. Return its result: it stands for the reply and is never looked at. Not for an actor
   * whose mailbox is a ring. @throws {MESSAGE_UNKNOWN} when no call is in hand.
   */
  answerLater<Reply>(work: PromiseLike<Reply>): Reply;
  /**
   * As `answerLater`, for who is told by other means than a promise, and answers so many calls that
   * one for each would cost too much. @throws {MESSAGE_UNKNOWN} when no call is in hand.
   */
  openAnswer<Reply>(): OpenAnswer<Reply>;
  /**
   * Calls `told`, in a turn of this actor, when the other one is gone for good; at once when it
   * is already. A watch of another thread's actor begins when word of it has arrived there; it ends
   * when it was told, with this life, and by what is returned.
   */
  watch(
    ref: ActorRef<MessageMap>,
    told: (down: ActorDown) => void | Promise<void>,
    options?: WatchOptions,
  ): () => void;
  /**
   * From now on a failure of either actor is one of both: the other crashes with LINKED_DOWN. The
   * link lasts as long as both of these lives, or until what is returned is called.
   */
  link(ref: ActorRef<MessageMap>): () => void;
  /**
   * Has `handle` called, in a turn of this actor, with what any actor publishes; what finds the
   * mailbox full is missed, and counted. Ends with this life, and by what is returned.
   */
  subscribe<Payload>(
    topic: Topic<Payload>,
    handle: (event: Payload) => void | Promise<void>,
  ): () => void;
  /** Sends an event to every subscriber in every thread. @throws {NOT_TRANSFERABLE} */
  publish<Payload>(topic: Topic<Payload>, event: Payload): void;
  /** Runs `fire` once, in a turn of this actor, unless its life ends before. */
  after(delayMs: number, fire: () => void): Timer;
  /** Runs `fire` again and again, in turns of this actor, until its life ends. */
  every(periodMs: number, fire: () => void): Timer;
  /** The value shared under `key` in this thread, created on first use. */
  resource<T>(key: ResourceKey<T>, create: () => T): T;
}

/** When a child is started again: always, after a failure, never. */
export type RestartKind = "permanent" | "transient" | "temporary";
/** What happens to a message for which there is no room. */
export type Overflow = "wait" | "reject" | "drop-oldest" | "latest-wins";

/** What the supervisor must know about a child. Times in milliseconds. */
export interface ChildPolicy {
  readonly restart: RestartKind;
  readonly intensity: number;
  readonly periodMs: number;
  readonly shutdownMs: number;
  /** How long one message may take, waiting included, before the actor is failed. Default: any. */
  readonly handlerLimitMs?: number;
}

/** How many messages may wait for an actor, and what happens to more. */
export interface MailboxPolicy {
  readonly capacity: number;
  readonly overflow: Overflow;
  /**
   * "ring": a message stays in shared memory until it is handled, so the death of its thread loses
   * none; only for an actor of the tree that has a worker thread for itself. Default "heap".
   */
  readonly kind?: "heap" | "ring";
}

/** What a handler may know of the message in hand. */
export interface CallInfo {
  /** The token the caller gave, else the actor's own. */
  readonly token: CancellationToken;
  /** On the monotonic clock; null for casts. */
  readonly deadlineAtMs: number | null;
  /** The W3C trace context of the message, to be passed on outside; null when it is not traced. */
  readonly traceparent: string | null;
}

/** One handler for every message of the protocol. */
export type Handlers<State, Config, M extends MessageMap> = {
  readonly [K in keyof M & string]: (
    state: State,
    payload: PayloadOf<M, K>,
    context: ActorContext<Config, M>,
    call: CallInfo,
  ) => M[K] extends { readonly kind: "call" }
    ? ReplyOf<M, K> | Promise<ReplyOf<M, K>>
    : void | Promise<void>;
};

/** A kind of actor: what it understands, its state and its handlers. */
export interface ActorDefinition<M extends MessageMap, Config, State> {
  readonly module: string;
  readonly protocol: Protocol<M>;
  /** Checks what the topology or the spawning actor gives; without it any value is taken. */
  readonly config: z.ZodType<Config> | null;
  readonly supervision: ChildPolicy;
  readonly mailbox: MailboxPolicy;
  /** Makes the state of one life; called at every start and restart. */
  setup(context: ActorContext<Config, M>): State | Promise<State>;
  readonly receive: Handlers<State, Config, M>;
  /** Last words: flush and close. Gets `shutdownMs`. Not called after a crash of the thread. */
  stop?(state: State, context: ActorContext<Config, M>): void | Promise<void>;
}

/** A definition of whatever types. */
// biome-ignore lint/suspicious/noExplicitAny: a registry of definitions is heterogeneous by nature.
export type AnyActorDefinition = ActorDefinition<any, any, any>;

/** What `defineActor` takes; what is left out has its default. */
export type DefinitionOptions<M extends MessageMap, Config, State> = Omit<
  ActorDefinition<M, Config, State>,
  "module" | "protocol" | "config" | "supervision" | "mailbox"
> & {
  readonly config?: z.ZodType<Config>;
  readonly supervision?: Partial<ChildPolicy>;
  readonly mailbox?: Partial<MailboxPolicy>;
};

/** What a definition that says nothing else gets. */
export const DEFAULT_CHILD_POLICY: ChildPolicy = {
  restart: "permanent",
  intensity: 3,
  periodMs: 5_000,
  shutdownMs: 5_000,
};

/** What a definition that says nothing else gets. */
export const DEFAULT_MAILBOX: MailboxPolicy = { capacity: 1_024, overflow: "reject" };

/**
 * Declares an actor. `module` is the caller's `import.meta.url`, so that a worker thread can load
 * the same definition. For that the module must make it whenever it is loaded, in the same order.
 */
export function defineActor<M extends MessageMap, Config, State>(
  module: string,
  protocol: Protocol<M>,
  options: DefinitionOptions<M, Config, State>,
): ActorDefinition<M, Config, State> {
  const definition = {
    ...options,
    module,
    protocol,
    config: options.config ?? null,
    supervision: { ...DEFAULT_CHILD_POLICY, ...options.supervision },
    mailbox: { ...DEFAULT_MAILBOX, ...options.mailbox },
  };
  noteDefinition(definition);
  return definition;
}

/** What the system reports about a failed or stopped actor. */
export interface ActorFailure {
  readonly actor: string;
  readonly error: EsperError;
}
