/** What a cell is made of and is given. */
import { EsperError, textOf } from "../../protocols/errors.ts";
import type { AnyActorDefinition, CallInfo, MailboxPolicy } from "../actor.ts";
import type { Clock } from "../clock.ts";
import type { FaultPoints } from "../faults/fault-points.ts";
import type { Mailbox } from "../mailbox.ts";
import { RestartWindow } from "../restart-window.ts";
import type { CancellationToken } from "../token.ts";
import { type CompiledProtocol, compileProtocol } from "../wire/protocol-table.ts";
import type { ThreadBlock } from "../wire/thread-block.ts";
import type { Cell } from "./cell.ts";
import type { Credits, Tally } from "./credits.ts";
import type { DeadLetters } from "./dead-letters.ts";
import type { RunLoop } from "./loop.ts";
import type { Message } from "./message.ts";
import { turnHandlers } from "./turns.ts";
import type { DeadLetterReason } from "./types.ts";

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
  /** Cancels the token. */
  cancel(): void;
  /** Cancels the token and every timer. */
  end(): void;
}

export type Handler = (
  state: unknown,
  payload: unknown,
  context: unknown,
  call: CallInfo,
) => unknown;

/** Where a cell lives, and where it stands among the others. */
export interface Place {
  readonly address: number;
  readonly slot: number;
  /** Tells a new actor in a used slot from the one before. */
  readonly generation: number;
  readonly parent: Cell | null;
  /** Row in the system's tally, -1 for a spawned actor. */
  readonly index: number;
  readonly exported: boolean;
  readonly mailbox: MailboxPolicy;
}

/** What the owner of a spawned cell remembers of its failures. */
export class Failures {
  readonly window: RestartWindow;
  streak = 0;
  startedAtMs = Number.NEGATIVE_INFINITY;
  failedAtMs = 0;

  constructor(intensity: number, periodMs: number) {
    this.window = new RestartWindow(intensity, periodMs);
  }
}

/** Who decides what becomes of a cell: the supervision on the main thread, or its parent. */
export interface CellOwner {
  started(cell: Cell): void;
  failed(cell: Cell, error: unknown): void;
  stopped(cell: Cell): void;
}

/** What every cell of a thread needs from its host. */
export interface CellServices {
  readonly clock: Clock;
  readonly loop: RunLoop;
  readonly credits: Credits;
  readonly tally: Tally;
  readonly block: ThreadBlock;
  readonly deadLetters: DeadLetters;
  readonly setupLimitMs: number;
  /** Null while none is injected. */
  faults: FaultPoints | null;
  /** The cell whose handler runs right now; the sender of what is sent meanwhile. */
  current: Cell | null;
  createInstance(cell: Cell, starts: number): Instance;
  /** Ends the instance of a crashed cell, then tells its owner. */
  closeCrashed(cell: Cell, error: unknown): void;
  nameOf(address: number): string;
  onStarted(cell: Cell): void;
  onStopped(cell: Cell): void;
  onCrash(cell: Cell, error: unknown): void;
  onStopFailed(cell: Cell, error: unknown): void;
  onCastFailed(cell: Cell, message: Message, error: EsperError): void;
  /** Other threads are woken only after what runs now, and the promises it has settled. */
  holdBells(): void;
  /** Places became free while senders wait for them; clears `hasWaiting`. */
  onRoom(cell: Cell): void;
}

/** Where a cell finds messages that stay elsewhere until they are handled. */
export interface Source {
  /** The next message, of these or of the cell's own mailbox. */
  next(mailbox: Mailbox<Message>): Message | undefined;
  /** True when there is one outside the mailbox. */
  readonly ready: boolean;
  /** A message was put into the cell's own mailbox. */
  accepted(message: Message): void;
  discardAll(reason: DeadLetterReason): void;
}

/** What all actors of one definition share. */
export interface Behaviour {
  readonly protocol: CompiledProtocol;
  /** By the index of the message in the protocol. */
  readonly handlers: readonly (Handler | undefined)[];
}

const BEHAVIOURS = new WeakMap<AnyActorDefinition, Behaviour>();

export function behaviourOf(definition: AnyActorDefinition): Behaviour {
  const known = BEHAVIOURS.get(definition);
  if (known !== undefined) return known;
  const protocol = compileProtocol(definition.protocol);
  const { list } = protocol;
  const receive = definition.receive as Readonly<Record<string, Handler | undefined>>;
  const handlers = [...list.map(({ name }) => receive[name]), ...turnHandlers()];
  const behaviour = { protocol, handlers };
  BEHAVIOURS.set(definition, behaviour);
  return behaviour;
}

export function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value
    ? typeof value.then === "function"
    : false;
}

/** The coded form of what an actor threw: its own when it has one, else HANDLER_FAILED. */
export function crashError(what: string, error: unknown): EsperError {
  if (error instanceof EsperError) return error;
  const text = error instanceof Error ? `${error.name}: ${error.message}` : textOf(error);
  return EsperError.from("HANDLER_FAILED", `${what} failed: ${text}`, { what }, error);
}

/** Waits for `work` at most `limitMs`; false when it took longer. Its failure is thrown. */
export function within(clock: Clock, limitMs: number, work: Promise<unknown>): Promise<boolean> {
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
