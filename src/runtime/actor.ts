/**
 * The API in which every actor is written. An actor handles one message at a time, owns the state
 * its `setup` returned, and reaches the world only through its context.
 */
import type { z } from "zod";
import type { EsperError, TelemetryLevelName } from "../protocols/errors.ts";
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
import type { DependencyGuard } from "./guard.ts";
import type { Random } from "./random.ts";
import type { CancellationToken } from "./token.ts";

export interface CallOptions {
  /** Milliseconds from now until the call fails with DEADLINE_EXCEEDED. */
  readonly deadlineMs: number;
  readonly token?: CancellationToken;
  /** "retry": wait out a restart of the receiver, within the deadline. Default "fail". */
  readonly onRestart?: "fail" | "retry";
  readonly transfer?: readonly ArrayBuffer[];
}

export interface ActorRef<M extends MessageMap> {
  readonly name: string;
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
}

export interface Logger {
  debug(fields: Attributes, message: string): void;
  info(fields: Attributes, message: string): void;
  warn(fields: Attributes, message: string): void;
  error(fields: Attributes, message: string): void;
}

export interface Meter {
  count(name: string, attributes?: Attributes, by?: number): void;
  gauge(name: string, value: number, attributes?: Attributes): void;
  observe(name: string, value: number, attributes?: Attributes): void;
}

/** A thread-local object that actors of one thread share by declaration (tensors only). */
export interface ResourceKey<T> {
  readonly name: string;
  readonly type?: T;
}

export function resourceKey<T>(name: string): ResourceKey<T> {
  return { name };
}

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
  ref<Other extends MessageMap>(protocol: Protocol<Other>, name?: string): ActorRef<Other>;
  after(delayMs: number, fire: () => void): Timer;
  every(periodMs: number, fire: () => void): Timer;
  /** The value shared under `key` in this thread, created on first use. */
  resource<T>(key: ResourceKey<T>, create: () => T): T;
}

export type RestartKind = "permanent" | "transient" | "temporary";
export type Overflow = "wait" | "reject" | "drop-oldest" | "latest-wins";

/** What the supervisor must know about a child. Times in milliseconds. */
export interface ChildPolicy {
  readonly restart: RestartKind;
  readonly intensity: number;
  readonly periodMs: number;
  readonly shutdownMs: number;
}

export interface MailboxPolicy {
  readonly capacity: number;
  readonly overflow: Overflow;
}

export type Handlers<State, Config, M extends MessageMap> = {
  readonly [K in keyof M & string]: (
    state: State,
    payload: PayloadOf<M, K>,
    context: ActorContext<Config, M>,
    call: { readonly token: CancellationToken; readonly deadlineAtMs: number | null },
  ) => M[K] extends { readonly kind: "call" }
    ? ReplyOf<M, K> | Promise<ReplyOf<M, K>>
    : void | Promise<void>;
};

export interface ActorDefinition<M extends MessageMap, Config, State> {
  readonly module: string;
  readonly protocol: Protocol<M>;
  readonly config: z.ZodType<Config>;
  readonly supervision: ChildPolicy;
  readonly mailbox: MailboxPolicy;
  setup(context: ActorContext<Config, M>): State | Promise<State>;
  readonly receive: Handlers<State, Config, M>;
  /** Last words: flush and close. Gets `shutdownMs`. Not called after a crash of the thread. */
  stop?(state: State, context: ActorContext<Config, M>): void | Promise<void>;
}

// biome-ignore lint/suspicious/noExplicitAny: a registry of definitions is heterogeneous by nature.
export type AnyActorDefinition = ActorDefinition<any, any, any>;

type DefinitionOptions<M extends MessageMap, Config, State> = Omit<
  ActorDefinition<M, Config, State>,
  "module" | "protocol" | "supervision" | "mailbox"
> & { readonly supervision?: Partial<ChildPolicy>; readonly mailbox?: Partial<MailboxPolicy> };

export const DEFAULT_CHILD_POLICY: ChildPolicy = {
  restart: "permanent",
  intensity: 3,
  periodMs: 5_000,
  shutdownMs: 5_000,
};

export const DEFAULT_MAILBOX: MailboxPolicy = { capacity: 1_024, overflow: "reject" };

/**
 * Declares an actor. `module` is the caller's `import.meta.url`, so that a worker thread can load
 * the same definition; the definition must be an export of that module.
 */
export function defineActor<M extends MessageMap, Config, State>(
  module: string,
  protocol: Protocol<M>,
  options: DefinitionOptions<M, Config, State>,
): ActorDefinition<M, Config, State> {
  return {
    ...options,
    module,
    protocol,
    supervision: { ...DEFAULT_CHILD_POLICY, ...options.supervision },
    mailbox: { ...DEFAULT_MAILBOX, ...options.mailbox },
  };
}

/** What the system reports about a failed or stopped actor. */
export interface ActorFailure {
  readonly actor: string;
  readonly error: EsperError;
}
