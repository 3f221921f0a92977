/**
 * The start, the stop and the end after a crash of one cell. The steps of one cell never overlap:
 * each waits for the one before. What can be done at once is done at once, so that an actor
 * without asynchronous work restarts within microseconds.
 */
import { EsperError } from "../../protocols/errors.ts";
import type { Clock } from "../clock.ts";
import type { Cell } from "./cell.ts";
import { type CellServices, isPromiseLike, within } from "./cell-parts.ts";
import { handlerTimeout } from "./handler-limit.ts";
import { OCCUPATION, occupied } from "./occupation.ts";

export class Lifecycle {
  readonly #services: CellServices;
  readonly #clock: Clock;
  /** Ends the children of a cell, last first; null when there are none. */
  readonly #stopChildren: (cell: Cell) => Promise<void> | null;

  constructor(services: CellServices, stopChildren: (cell: Cell) => Promise<void> | null) {
    this.#services = services;
    this.#clock = services.clock;
    this.#stopChildren = stopChildren;
  }

  start(cell: Cell, starts: number): void {
    after(cell, () => this.#start(cell, starts));
  }

  /** Ends the current message and the instance within `limitMs`, in this order, then reports. */
  stop(cell: Cell, final: boolean, limitMs: number): void {
    cell.instance?.token.cancel();
    if (cell.failSetup !== null) {
      const text = `${cell.name} was stopped during its setup`;
      const fail = cell.failSetup;
      this.#clock.after(limitMs, () => fail(new EsperError("ACTOR_STOPPED", text)), true);
    }
    after(cell, () => this.#stop(cell, final, limitMs));
  }

  /** The instance crashed: it gets its last words, then its owner decides. */
  crashed(cell: Cell, error: unknown): void {
    after(cell, () => {
      const told = (): void => {
        if (cell.state === "closing") cell.state = "down";
        cell.owner.failed(cell, error);
      };
      const closing = this.#close(cell, cell.definition.supervision.shutdownMs);
      if (closing !== null) return closing.then(told);
      told();
      return undefined;
    });
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

  #start(cell: Cell, starts: number): Promise<void> | undefined {
    cell.state = "starting";
    cell.starts = starts;
    const crash = (error: unknown): void => cell.crash(error, instance);
    const instance = this.#services.createInstance(cell, starts, crash);
    cell.instance = instance;
    try {
      const state = this.#occupied(cell, OCCUPATION.setup, () =>
        cell.definition.setup(instance.context),
      );
      if (isPromiseLike(state)) return this.#awaitSetup(cell, Promise.resolve(state));
      instance.state = state;
    } catch (error) {
      this.#setupFailed(cell, error);
      return undefined;
    }
    this.#started(cell);
    return undefined;
  }

  async #awaitSetup(cell: Cell, setup: Promise<unknown>): Promise<void> {
    const instance = cell.instance as NonNullable<Cell["instance"]>;
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

  /** The thread shows what it is busy with, and what is sent meanwhile is sent by this actor. */
  #occupied<T>(cell: Cell, kind: (typeof OCCUPATION)["setup" | "stop"], work: () => T): T {
    const services = this.#services;
    const outer = services.current;
    services.current = cell;
    try {
      // A child that starts inside a handler is part of that handler's work.
      if (outer !== null) return work();
      return occupied(services.block, this.#clock, cell.row, kind, work);
    } finally {
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

  async #stop(cell: Cell, final: boolean, limitMs: number): Promise<void> {
    const endsAtMs = this.#clock.monotonicMs() + limitMs;
    if (cell.state === "running") cell.state = "closing";
    if (cell.active !== null) {
      const idle = new Promise<void>((resolve) => {
        cell.onIdle = resolve;
      });
      await within(this.#clock, limitMs, idle);
      cell.onIdle = null;
    }
    const abandoned = cell.active;
    cell.active = null;
    if (abandoned !== null) cell.discard(abandoned, final ? "stopped" : "crashed-actor", true);
    await this.#close(cell, Math.max(0, endsAtMs - this.#clock.monotonicMs()));
    if (cell.answers !== null) {
      await within(
        this.#clock,
        Math.max(0, endsAtMs - this.#clock.monotonicMs()),
        cell.answers.none(),
      );
      cell.answers.drop(final ? "stopped" : "crashed-actor");
    }
    if (cell.state !== "stopped") cell.state = "down";
    if (final) this.retire(cell);
    this.#services.onStopped(cell);
    cell.owner.stopped(cell);
  }

  /** Children first, then the definition's last words; null when all is done at once. */
  #close(cell: Cell, limitMs: number): Promise<void> | null {
    const { instance } = cell;
    if (instance === null) return null;
    const children = this.#stopChildren(cell);
    if (children !== null) return children.then(() => this.#lastWords(cell, limitMs));
    if (cell.definition.stop !== undefined) return this.#lastWords(cell, limitMs);
    instance.end();
    cell.instance = null;
    return null;
  }

  /** At most `limitMs`; a failure in the last words is logged, not repeated. */
  async #lastWords(cell: Cell, limitMs: number): Promise<void> {
    const { instance, definition } = cell;
    if (instance === null) return;
    instance.end();
    if (definition.stop !== undefined) {
      try {
        const last = async (): Promise<void> =>
          await this.#occupied(cell, OCCUPATION.stop, () =>
            definition.stop?.(instance.state, instance.context),
          );
        const done = await within(this.#clock, limitMs, last());
        if (!done) throw new Error(`stop did not end within ${Math.round(limitMs)} ms`);
      } catch (error) {
        this.#services.onStopFailed(cell, error);
      }
    }
    cell.instance = null;
  }
}

/** Runs `step` when the cell's step in progress is over, at once when there is none. */
function after(cell: Cell, step: () => Promise<void> | undefined): void {
  const run = (): Promise<void> | undefined => step();
  const result = cell.change === null ? run() : cell.change.then(run);
  if (result === undefined) return;
  const change = result.then(() => {
    if (cell.change === change) cell.change = null;
  });
  cell.change = change;
}
