/**
 * The start, the stop and the end after a crash of one cell. The steps of one cell never overlap:
 * each waits for the one before. What can be done at once is done at once, so that an actor
 * without asynchronous work starts, restarts and ends within microseconds.
 */
import { EsperError } from "../../protocols/errors.ts";
import type { Clock } from "../clock.ts";
import type { Cell } from "./cell.ts";
import { type CellServices, type Instance, isPromiseLike, within } from "./cell-parts.ts";
import { handlerTimeout } from "./handler-limit.ts";
import { Leaving } from "./leaving.ts";
import { OCCUPATION } from "./occupation.ts";
import { stepBegins, stepDone, stepDoneAlone, stepLater } from "./steps.ts";

export class Lifecycle {
  readonly #services: CellServices;
  readonly #clock: Clock;
  /** Ends the children of a cell, last first; null when none is left. */
  readonly #stopChildren: (cell: Cell) => Promise<void> | null;

  constructor(services: CellServices, stopChildren: (cell: Cell) => Promise<void> | null) {
    this.#services = services;
    this.#clock = services.clock;
    this.#stopChildren = stopChildren;
  }

  start(cell: Cell, starts: number): void {
    if (cell.steps === null) this.#start(cell, starts);
    else stepLater(cell, () => this.#start(cell, starts));
  }

  /** Ends the current message and the instance within `limitMs`, in this order, then reports. */
  stop(cell: Cell, final: boolean, limitMs: number): void {
    cell.instance?.cancel();
    if (cell.failSetup !== null) {
      const text = `${cell.name} was stopped during its setup`;
      const fail = cell.failSetup;
      this.#clock.after(limitMs, () => fail(new EsperError("ACTOR_STOPPED", text)), true);
    }
    if (cell.steps === null) this.#stop(cell, final, limitMs);
    else stepLater(cell, () => this.#stop(cell, final, limitMs));
  }

  /** The instance crashed: it gets its last words, then its owner decides. */
  crashed(cell: Cell, error: unknown): void {
    if (cell.steps === null) this.#crashed(cell, error);
    else stepLater(cell, () => this.#crashed(cell, error));
  }

  /** It held its thread for too long and its token was cancelled for it. */
  failStuck(cell: Cell, ageMs: number): void {
    cell.crash(handlerTimeout(cell.name, ageMs), cell.instance);
  }

  /** Takes no more messages, ever. */
  retire(cell: Cell): void {
    cell.state = "stopped";
    cell.discardAll("stopped");
  }

  /** The thread ends: nothing of this actor runs, replies or reports any more. */
  abandon(cell: Cell): void {
    cell.state = "stopped";
    cell.active?.caller?.fail(new EsperError("ACTOR_STOPPED", `${cell.name} has stopped`));
    cell.active = null;
    cell.answers?.drop("stopped");
    cell.instance?.end();
    cell.instance = null;
  }

  #start(cell: Cell, starts: number): void {
    stepBegins(cell);
    cell.state = "starting";
    cell.starts = starts;
    const instance = this.#services.createInstance(cell, starts);
    cell.instance = instance;
    try {
      const state = this.#occupied(cell, OCCUPATION.setup, instance);
      if (isPromiseLike(state)) {
        void this.#awaitSetup(cell, instance, Promise.resolve(state)).then(() => stepDone(cell));
        return;
      }
      instance.state = state;
    } catch (error) {
      this.#setupFailed(cell, error);
      stepDone(cell);
      return;
    }
    this.#started(cell);
    stepDone(cell);
  }

  async #awaitSetup(cell: Cell, instance: Instance, setup: Promise<unknown>): Promise<void> {
    const limitMs = this.#services.setupLimitMs;
    try {
      const failure = new Promise<never>((_, reject) => {
        cell.failSetup = reject;
      });
      const ready = setup.then((state) => {
        instance.state = state;
      });
      const done = await within(this.#clock, limitMs, Promise.race([ready, failure]));
      if (!done) throw new Error(`setup did not end within ${limitMs} ms`);
    } catch (error) {
      cell.failSetup = null;
      if (cell.instance === instance) this.#setupFailed(cell, error);
      return;
    }
    cell.failSetup = null;
    if (cell.instance === instance) this.#started(cell);
  }

  /**
   * Runs the setup or the last words of an instance. The thread shows what it is busy with, and
   * what is sent meanwhile is sent by this actor.
   */
  #occupied(cell: Cell, kind: (typeof OCCUPATION)["setup" | "stop"], instance: Instance): unknown {
    const services = this.#services;
    const outer = services.current;
    const { definition } = cell;
    services.current = cell;
    // A child that starts inside a handler is part of that handler's work.
    if (outer === null) services.block.enter(cell.row, kind, this.#clock.monotonicMs());
    try {
      if (kind === OCCUPATION.setup) return definition.setup(instance.context);
      return definition.stop?.(instance.state, instance.context);
    } finally {
      if (outer === null) services.block.leave();
      services.current = outer;
    }
  }

  #started(cell: Cell): void {
    cell.state = "running";
    this.#services.onStarted(cell);
    cell.owner.started(cell);
    cell.wake();
  }

  #setupFailed(cell: Cell, error: unknown): void {
    cell.instance?.end();
    cell.instance = null;
    cell.state = "down";
    this.#services.onCrash(cell, error);
    const children = this.#stopChildren(cell);
    if (children === null) cell.owner.failed(cell, error);
    else void children.then(() => cell.owner.failed(cell, error));
  }

  #crashed(cell: Cell, error: unknown): void {
    stepBegins(cell);
    const closing = this.#close(cell, cell.definition.supervision.shutdownMs);
    if (closing !== null) {
      void closing.then(() => {
        this.#tellFailed(cell, error);
        stepDone(cell);
      });
      return;
    }
    // The owner starts it again at once, unless something else waits already.
    const isAlone = stepDoneAlone(cell);
    this.#tellFailed(cell, error);
    if (!isAlone) stepDone(cell);
  }

  #tellFailed(cell: Cell, error: unknown): void {
    if (cell.state === "closing") cell.state = "down";
    cell.owner.failed(cell, error);
  }

  #stop(cell: Cell, final: boolean, limitMs: number): void {
    stepBegins(cell);
    if (cell.state === "running") cell.state = "closing";
    if (cell.active === null) {
      this.#end(cell, final, limitMs);
      return;
    }
    const leaving = new Leaving(cell, limitMs, (leftMs) => {
      const abandoned = cell.active;
      cell.active = null;
      if (abandoned !== null) cell.discard(abandoned, final ? "stopped" : "crashed-actor", true);
      this.#end(cell, final, leftMs);
    });
    cell.leaving = leaving;
    // A handler that runs right now may return at once.
    if (cell.isWaiting) leaving.waits();
  }

  /** No message is in hand any more. */
  #end(cell: Cell, final: boolean, limitMs: number): void {
    const { answers } = cell;
    const endsAtMs = answers === null ? 0 : this.#clock.monotonicMs() + limitMs;
    const closing = this.#close(cell, limitMs);
    // The main thread orders the next step of an actor of the tree only after it gave this one.
    if (closing === null && answers === null && cell.index < 0) this.#stopped(cell, final);
    else void this.#endLater(cell, final, closing, endsAtMs);
  }

  async #endLater(
    cell: Cell,
    final: boolean,
    closing: Promise<void> | null,
    endsAtMs: number,
  ): Promise<void> {
    await closing;
    const { answers } = cell;
    if (answers !== null) {
      const leftMs = Math.max(0, endsAtMs - this.#clock.monotonicMs());
      await within(this.#clock, leftMs, answers.none());
      answers.drop(final ? "stopped" : "crashed-actor");
    }
    this.#stopped(cell, final);
  }

  #stopped(cell: Cell, final: boolean): void {
    if (cell.state !== "stopped") cell.state = "down";
    if (final) this.retire(cell);
    this.#services.onStopped(cell);
    cell.owner.stopped(cell);
    stepDone(cell);
  }

  /** Children first, then the definition's last words; null when all is done at once. */
  #close(cell: Cell, limitMs: number): Promise<void> | null {
    if (cell.instance === null) return null;
    const children = cell.youngest === null ? null : this.#stopChildren(cell);
    if (children === null) return this.#lastWords(cell, limitMs);
    return children.then(() => this.#lastWords(cell, limitMs) ?? undefined);
  }

  /** At most `limitMs`; a failure in the last words is logged, not repeated. */
  #lastWords(cell: Cell, limitMs: number): Promise<void> | null {
    const { instance, definition } = cell;
    if (instance === null) return null;
    instance.end();
    if (definition.stop !== undefined) {
      try {
        const last = this.#occupied(cell, OCCUPATION.stop, instance);
        if (isPromiseLike(last)) return this.#awaitLastWords(cell, Promise.resolve(last), limitMs);
      } catch (error) {
        this.#services.onStopFailed(cell, error);
      }
    }
    cell.instance = null;
    return null;
  }

  async #awaitLastWords(cell: Cell, last: Promise<unknown>, limitMs: number): Promise<void> {
    try {
      const done = await within(this.#clock, limitMs, last);
      if (!done) throw new Error(`stop did not end within ${Math.round(limitMs)} ms`);
    } catch (error) {
      this.#services.onStopFailed(cell, error);
    }
    cell.instance = null;
  }
}
