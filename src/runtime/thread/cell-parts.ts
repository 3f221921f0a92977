/** What a cell is made of and is given. */
import { EsperError } from "../../protocols/errors.ts";
import type { AnyActorDefinition } from "../actor.ts";
import type { Clock } from "../clock.ts";
import type { CancellationToken } from "../token.ts";
import type { Credits, Tally } from "./credits.ts";
import type { DeadLetters } from "./dead-letters.ts";
import type { Message } from "./message.ts";
import type { RunQueue } from "./run-queue.ts";
import type { Report, Route } from "./wire.ts";

/** A definition with its parsed config, as one thread holds it. */
export interface LoadedActor {
  readonly name: string;
  readonly definition: AnyActorDefinition;
  readonly config: unknown;
}

/** One life of an actor, from setup to crash or stop. */
export interface Instance {
  readonly context: Parameters<AnyActorDefinition["setup"]>[0];
  readonly token: CancellationToken;
  state: unknown;
  /** Cancels the token and every timer. */
  end(): void;
}

export type Handler = (
  state: unknown,
  payload: unknown,
  context: unknown,
  call: CallInfo,
) => unknown;

/** What a cell needs from its host. */
export interface CellServices {
  readonly clock: Clock;
  readonly queue: RunQueue;
  readonly credits: Credits;
  readonly tally: Tally;
  readonly deadLetters: DeadLetters;
  readonly setupLimitMs: number;
  /** `crash` is for failures outside any message, such as a timer's. */
  createInstance(starts: number, crash: (error: unknown) => void): Instance;
  report(report: Report): void;
  onCrash(route: Route, error: unknown): void;
  onStopFailed(route: Route, error: unknown): void;
  onCastFailed(route: Route, message: Message, error: EsperError): void;
}

/** The fourth argument of a handler. */
export class CallInfo {
  readonly #message: Message;
  readonly #actorToken: CancellationToken;

  constructor(message: Message, actorToken: CancellationToken) {
    this.#message = message;
    this.#actorToken = actorToken;
  }

  /** The token the caller gave, else the actor's own. */
  get token(): CancellationToken {
    return this.#message.token ?? this.#actorToken;
  }

  /** On the monotonic clock; null for casts. */
  get deadlineAtMs(): number | null {
    return this.#message.deadlineAtMs;
  }
}

export function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value
    ? typeof value.then === "function"
    : false;
}

/** The coded form of what an actor threw: its own when it has one, else HANDLER_FAILED. */
export function crashError(what: string, error: unknown): EsperError {
  if (error instanceof EsperError) return error;
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  const coded = new EsperError("HANDLER_FAILED", `${what} failed: ${text}`, { what }, error);
  // Where it was thrown tells more than where it was caught.
  if (error instanceof Error && error.stack !== undefined) coded.stack = error.stack;
  return coded;
}

/** Waits for `work` at most `limitMs`; false when it took longer. Its failure is thrown. */
export function within(clock: Clock, limitMs: number, work: Promise<void>): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(limitMs, () => resolve(false));
    const settle = (then: () => void): void => {
      timer.cancel();
      then();
    };
    work.then(
      () => settle(() => resolve(true)),
      (error) => settle(() => reject(error)),
    );
  });
}
