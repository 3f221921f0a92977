/**
 * One actor in its thread: its mailbox, its current instance, and the handling of one message at a
 * time. A crash closes the instance and keeps the mailbox; its owner decides what follows. It
 * never starts by itself and never handles a message whose caller has gone.
 */
import { EsperError } from "../../protocols/errors.ts";
import { LANES } from "../../protocols/protocol.ts";
import type { AnyActorDefinition, MailboxPolicy } from "../actor.ts";
import { Mailbox } from "../mailbox.ts";
import type { CompiledProtocol } from "../wire/protocol-table.ts";
import { threadOf } from "./address.ts";
import {
  behaviourOf,
  type CellOwner,
  type CellServices,
  crashError,
  type Failures,
  type Handler,
  type Instance,
  isPromiseLike,
  type LoadedActor,
  type Place,
  type Source,
} from "./cell-parts.ts";
import { isDue } from "./due.ts";
import { settleWithin } from "./handler-limit.ts";
import { InHand } from "./in-hand.ts";
import type { Leaving } from "./leaving.ts";
import type { Runnable } from "./loop.ts";
import type { Message } from "./message.ts";
import type { OpenAnswers } from "./open-answers.ts";
import { discardError } from "./refusal.ts";
import type { DeadLetterReason } from "./types.ts";

export type CellState = "down" | "starting" | "running" | "closing" | "stopped";

/** A cast that crashed its actor this often is never delivered again. */
const MAX_CRASHES = 2;
/** Messages of one turn, so that the neighbours in the thread get theirs. */
const TURN_MESSAGES = 64;

/** Fields are plain: the life cycle and the senders of the same thread work on them directly. */
export class Cell implements Runnable {
  // What one message touches is declared first, so that it lies in few lines of the cache.
  readonly services: CellServices;
  state: CellState = "down";
  active: Message | null = null;
  readonly mailbox: Mailbox<Message>;
  #scheduled = false;
  /** Where its messages stay until they are handled; null when it holds them in its mailbox. */
  source: Source | null = null;
  /** True when other threads may send to it: its places are then counted in shared memory. */
  exported: boolean;
  /** Calls that are answered after their handlers have returned. */
  answers: OpenAnswers | null = null;
  instance: Instance | null = null;
  #crashRequested = false;
  /** Senders wait for room. */
  hasWaiting = false;
  #behaviour: Readonly<Record<string, Handler | undefined>> | null = null;
  #handlers: readonly (Handler | undefined)[];
  #hand: InHand | null = null;
  /** The stop that waits for the message in hand. */
  leaving: Leaving | null = null;
  /** The handler of this message has returned a promise. */
  #awaited: Message | null = null;
  processed = 0;
  readonly address: number;
  /** By which the thread shows what it is busy with: a child's is that of its tree actor. */
  readonly row: number;
  /** Row in the system's tally, -1 for a spawned actor. */
  readonly index: number;
  readonly owner: CellOwner;
  readonly actor: LoadedActor;
  /** Row of the actor in the tables of its thread. */
  readonly slot: number;
  /** Tells a new actor in a used slot from the one before. */
  readonly generation: number;
  readonly parent: Cell | null;
  readonly threadId: number;
  readonly protocol: CompiledProtocol;
  youngest: Cell | null = null;
  elder: Cell | null = null;
  younger: Cell | null = null;
  readonly policy: MailboxPolicy;
  starts = 0;
  /** The starts and stops that wait for the one in progress; null when there is none. */
  steps: (() => void)[] | null = null;
  failSetup: ((error: unknown) => void) | null = null;
  failures: Failures | null = null;
  /** Others may have to hear what becomes of it: it has a name, a link, a watch or a topic. */
  hasTies: boolean;
  /** It was told to end, or an actor of the tree wants to. */
  isLeaving = false;
  failed = 0;

  constructor(services: CellServices, owner: CellOwner, actor: LoadedActor, place: Place) {
    this.services = services;
    this.owner = owner;
    this.actor = actor;
    this.address = place.address;
    this.slot = place.slot;
    this.generation = place.generation;
    this.parent = place.parent;
    this.index = place.index;
    this.exported = place.exported;
    this.hasTies = place.exported || place.index >= 0;
    const { handlers, protocol } = behaviourOf(actor.definition);
    this.#handlers = handlers;
    this.protocol = protocol;
    this.row = place.parent === null ? place.index : place.parent.row;
    this.threadId = threadOf(place.address);
    this.mailbox = new Mailbox(place.mailbox);
    this.policy = place.mailbox;
  }

  get name(): string {
    return this.actor.name;
  }

  /** As a target, a cell leads to itself. */
  get cell(): Cell {
    return this;
  }

  get definition(): AnyActorDefinition {
    return this.actor.definition;
  }

  /** Takes a message for which there is a place; what does not fit after all is discarded. */
  accept(message: Message): void {
    if (this.state === "stopped") this.discard(message, "stopped");
    else if (!this.tryAccept(message, this.exported)) this.discard(message, "mailbox-full");
  }

  /** False when the mailbox refuses it; nothing else happens then. */
  tryAccept(message: Message, hasPlace = false): boolean {
    message.queuedAtMs = this.services.loop.nowMs | 0;
    const offer = hasPlace ? this.mailbox.admit(message) : this.mailbox.offer(message);
    if (offer === "refused") return false;
    const { dropped } = this.mailbox;
    if (offer === "replaced" && dropped !== null) this.discard(dropped, "mailbox-full");
    if (this.source !== null) this.source.accepted(message);
    this.wake();
    return true;
  }

  /** The caller no longer waits: withdraws a queued message, tells a running handler. */
  cancel(message: Message): void {
    if (this.mailbox.remove(message)) {
      if (this.exported) this.#release(message);
    } else message.caller?.token?.cancel();
  }

  /** Fails at the next message boundary, as if a handler had thrown. */
  requestCrash(): void {
    this.#crashRequested = true;
    this.wake();
  }

  /** True when its places are counted in memory that other threads see. */
  get isShared(): boolean {
    return this.exported || this.source !== null;
  }

  /** The message in hand, for those that put it aside or pass it on. */
  get hand(): InHand {
    this.#hand ??= new InHand(() => this.name);
    return this.#hand;
  }

  /** True while the message in hand waits for something, and no code of its handler runs. */
  get isWaiting(): boolean {
    return this.active !== null && this.#awaited === this.active;
  }

  /** Messages put aside. */
  get stashed(): number {
    return this.#hand === null ? 0 : this.#hand.stashed.length;
  }

  /** Every message that was put aside comes before what is queued in its lane. */
  unstash(): void {
    for (const message of this.hand.takeStash().reverse()) this.#putBack(message);
    this.wake();
  }

  become(behaviour: Readonly<Record<string, Handler | undefined>> | null): void {
    this.#behaviour = behaviour;
  }

  turn(): void {
    const { services } = this;
    services.current = this;
    for (let count = 0; count < TURN_MESSAGES; count++) {
      const message = this.#next();
      if (message === null) break;
      if (message.caller === null || isDue(this, message, message.caller)) this.#handle(message);
      if (services.loop.spend()) break;
    }
    services.current = null;
    this.#scheduled = false;
    this.wake();
  }

  /** Takes a message out of the mailbox; null when there is none to handle now. */
  #next(): Message | null {
    if (this.state !== "running" || this.active !== null || this.answers?.isFull) return null;
    if (this.#crashRequested) {
      this.#crashRequested = false;
      this.crash(new Error("a crash was requested by the operator"), this.instance);
      return null;
    }
    const message = this.source === null ? this.mailbox.take() : this.source.next(this.mailbox);
    if (message === undefined) return null;
    if (this.exported) this.#release(message);
    if (this.hasWaiting && this.mailbox.size <= this.policy.capacity >> 1)
      this.services.onRoom(this);
    return message;
  }

  wake(): void {
    if (this.#scheduled || this.state !== "running" || this.active !== null) return;
    if (this.answers?.isFull) return;
    if (this.mailbox.size === 0 && !this.#crashRequested && this.source?.ready !== true) return;
    this.#scheduled = true;
    this.services.loop.schedule(this);
  }

  /** A timer or a handler failed: the instance is given up and the owner told. */
  crash(error: unknown, instance: Instance | null): void {
    if (this.instance !== instance || instance === null) return;
    if (this.state === "starting") this.failSetup?.(error);
    if (this.state !== "running") return;
    if (this.active !== null) this.#settleCrashed(this.active, error);
    this.active = null;
    this.answers?.drop("crashed-actor");
    this.#behaviour = null;
    this.services.onCrash(this, error);
    this.state = "closing";
    this.services.closeCrashed(this, error);
  }

  #handle(message: Message): void {
    const instance = this.instance as Instance;
    const handler = this.#handlerOf(message);
    if (handler === undefined) {
      this.#refuseUnknown(message);
      return;
    }
    this.active = message;
    message.info = instance;
    const { block, loop, faults } = this.services;
    block.enter(this.row, message.kind.index, loop.nowMs);
    try {
      const result =
        faults === null
          ? handler(instance.state, message.payload, instance.context, message)
          : faults.handle(this, message, instance, handler);
      block.leave();
      if (isPromiseLike(result)) this.#await(result, message, instance);
      else this.#done(message, instance, result);
    } catch (error) {
      block.leave();
      this.#failed(message, instance, error);
    }
  }

  #await(result: PromiseLike<unknown>, message: Message, instance: Instance): void {
    const fail = (error: unknown): void => this.#failed(message, instance, error);
    const done = (value: unknown): void => this.#done(message, instance, value);
    this.#awaited = message;
    this.leaving?.waits();
    settleWithin(this, message, result, done, fail);
  }

  #handlerOf(message: Message): Handler | undefined {
    const { kind } = message;
    if (this.#behaviour !== null) {
      const own = this.#behaviour[kind.name];
      if (own !== undefined) return own;
    }
    return this.#handlers[kind.index];
  }

  #refuseUnknown(message: Message): void {
    const text = `${this.name} does not understand ${message.name}`;
    message.caller?.fail(new EsperError("MESSAGE_UNKNOWN", text, { message: message.name }));
    this.finish(message);
    if (message.caller === null) this.bury(message, "actor-unknown");
  }

  #done(message: Message, instance: Instance, value: unknown): void {
    if (this.active !== message || this.instance !== instance) return;
    this.active = null;
    this.#awaited = null;
    const outcome = this.#hand === null ? "handled" : this.#hand.takeOutcome();
    if (outcome === "handled" && message.caller !== null) this.answer(message, value);
    else if (outcome === "handled" || outcome === "forwarded") this.finish(message);
    this.processed += 1;
    if (this.index >= 0) this.services.tally.countProcessed(this.index);
    if (this.leaving !== null) this.leaving.idle();
    // A handler that was waited for ends outside any turn.
    if (this.services.current !== this) this.wake();
  }

  /** The answer comes before the end: it may lie in lent memory, and a kill comes in between. */
  answer(message: Message, value: unknown): void {
    try {
      message.caller?.reply(value);
    } finally {
      this.finish(message);
    }
  }

  countFailed(): void {
    this.failed += 1;
    if (this.index >= 0) this.services.tally.countFailed(this.index);
  }

  /** A coded error is an answer; anything else, and a fatal code, is a crash. */
  #failed(message: Message, instance: Instance, error: unknown): void {
    if (this.active !== message || this.instance !== instance) return;
    this.#awaited = null;
    this.#hand?.failed(message, this.answers);
    this.countFailed();
    if (!(error instanceof EsperError) || error.row.fatal) {
      // A stop in progress closes the instance anyway; the message still gets its end.
      if (this.state === "running") this.crash(error, instance);
      else {
        this.active = null;
        this.#settleCrashed(message, error);
        this.leaving?.idle();
        this.wake();
      }
      return;
    }
    this.active = null;
    message.caller?.fail(error);
    this.finish(message);
    if (message.caller === null) this.services.onCastFailed(this, message, error);
    this.leaving?.idle();
    this.wake();
  }

  /** The message in whose handling the actor crashed. */
  #settleCrashed(message: Message, error: unknown): void {
    if (message.caller !== null) {
      message.caller.fail(crashError(`${this.name}.${message.name}`, error));
      this.finish(message);
      return;
    }
    message.crashes += 1;
    if (message.crashes >= MAX_CRASHES) this.discard(message, "quarantined", true);
    else this.#putBack(message);
  }

  #putBack(message: Message): void {
    if (this.exported) this.services.credits.retake(this.slot, message.lane);
    this.mailbox.putBack(message);
  }

  /** Ends a message without handling it: the caller is told, a cast becomes a dead letter. */
  discard(message: Message, reason: DeadLetterReason, begun = false): void {
    if (!begun && this.exported) this.#release(message);
    this.finish(message);
    const { caller } = message;
    if (caller !== null) caller.fail(discardError(this.name, reason, this.mailbox.size));
    else this.bury(message, reason);
  }

  /** Empties the mailbox and the stash; nothing comes after. */
  discardAll(reason: DeadLetterReason): void {
    this.answers?.drop(reason);
    if (this.#hand !== null)
      for (const message of this.#hand.takeStash()) this.discard(message, reason, true);
    for (const message of this.mailbox.drain()) this.discard(message, reason);
    this.source?.discardAll(reason);
  }

  bury(message: Message, reason: DeadLetterReason): void {
    const { name, lane, from } = message;
    const letter = { name, lane: LANES[lane], from: this.services.nameOf(from) };
    this.services.deadLetters.add(this.name, letter, reason);
  }

  #release({ lane }: Message): void {
    const { services, slot } = this;
    // Waking a sender for every place would make it pass on one message at a time.
    const wanted = services.credits.release(slot, lane);
    if (wanted && services.credits.data(slot) <= this.policy.capacity >> 1) this.hasWaiting = true;
  }

  finish(message: Message): void {
    message.lease?.end();
    message.lease = null;
    if (this.exported && message.caller === null) this.services.credits.closeCast(this.slot);
  }
}
