/**
 * Calls whose handlers have returned and whose answers are still being worked on, so that an actor
 * can serve many of them at once. There are at most `OPEN_LIMIT` for an actor: with more it handles
 * nothing until one is answered. None outlives the life of the actor that promised it.
 */
import { EsperError } from "../../protocols/errors.ts";
import type { OpenAnswer } from "../actor.ts";
import type { Timer } from "../clock.ts";
import type { Cell } from "./cell.ts";
import { crashError, type Instance } from "./cell-parts.ts";
import { handlerTimeout, settleWithin } from "./handler-limit.ts";
import type { Message } from "./message.ts";
import { discardError } from "./refusal.ts";
import type { DeadLetterReason } from "./types.ts";

/** Open answers of one actor at most. */
export const OPEN_LIMIT = 1_024;

class Later<Reply> implements OpenAnswer<Reply> {
  readonly #answers: OpenAnswers;
  readonly #message: Message;
  readonly #instance: Instance;
  /** The limit of the actor, if it has one. */
  timer: Timer | null = null;

  constructor(answers: OpenAnswers, message: Message, instance: Instance) {
    this.#answers = answers;
    this.#message = message;
    this.#instance = instance;
  }

  get pending(): Reply {
    return undefined as never;
  }

  answer(value: Reply): void {
    this.timer?.cancel();
    this.#answers.done(this.#message, value);
  }

  fail(error: unknown): void {
    this.timer?.cancel();
    this.#answers.failed(this.#message, this.#instance, error);
  }
}

export class OpenAnswers {
  readonly #cell: Cell;
  readonly #open = new Set<Message>();
  #whenNone: (() => void) | null = null;

  constructor(cell: Cell) {
    this.#cell = cell;
  }

  get size(): number {
    return this.#open.size;
  }

  get isFull(): boolean {
    return this.#open.size >= OPEN_LIMIT;
  }

  /** The answer to `message` is what `work` comes to, unless this life ends before. */
  add(message: Message, work: PromiseLike<unknown>): void {
    const cell = this.#cell;
    const instance = cell.instance as Instance;
    this.#open.add(message);
    const done = (value: unknown): void => this.done(message, value);
    const fail = (error: unknown): void => this.failed(message, instance, error);
    settleWithin(cell, message, work, done, fail);
  }

  /** The answer to `message` will be given to what this returns, unless this life ends before. */
  open<Reply>(message: Message): OpenAnswer<Reply> {
    const { instance, definition, services, name } = this.#cell;
    this.#open.add(message);
    const later = new Later<Reply>(this, message, instance as Instance);
    const limitMs = definition.supervision.handlerLimitMs;
    if (limitMs !== undefined) {
      const overdue = (): void => later.fail(handlerTimeout(`${name}.${message.name}`, limitMs));
      later.timer = services.clock.after(limitMs, overdue, true);
    }
    return later;
  }

  done(message: Message, value: unknown): void {
    if (!this.#open.delete(message)) return;
    // Work that many waited for ends for all of them at once: their threads are woken after that.
    this.#cell.services.holdBells();
    this.#cell.answer(message, value);
    this.#removed();
  }

  /** The handler failed after it had promised an answer. */
  withdraw(message: Message): void {
    this.#open.delete(message);
  }

  /** Ends them all: this life is over. */
  drop(reason: DeadLetterReason): void {
    for (const message of [...this.#open]) {
      this.#open.delete(message);
      message.caller?.fail(discardError(this.#cell.name, reason, 0));
      this.#cell.finish(message);
    }
    this.#removed();
  }

  /** Resolves when none is open. */
  none(): Promise<void> {
    if (this.#open.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#whenNone = resolve;
    });
  }

  /** As of a handler: a coded error is an answer, anything else is a crash. */
  failed(message: Message, instance: Instance, error: unknown): void {
    if (!this.#open.delete(message)) return;
    const cell = this.#cell;
    const isAnswer = error instanceof EsperError && !error.row.fatal;
    message.caller?.fail(isAnswer ? error : crashError(`${cell.name}.${message.name}`, error));
    cell.finish(message);
    cell.countFailed();
    if (!isAnswer) cell.crash(error, instance);
    this.#removed();
  }

  #removed(): void {
    if (this.#open.size === 0 && this.#whenNone !== null) {
      this.#whenNone();
      this.#whenNone = null;
    }
    this.#cell.wake();
  }
}
