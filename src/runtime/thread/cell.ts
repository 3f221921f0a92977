/**
 * One actor in its thread: its mailbox, its current instance, and the handling of one message at a
 * time. A crash closes the instance and keeps the mailbox; the supervisor decides what follows. It
 * never starts by itself and never handles a message whose caller has gone.
 */
import { dehydrate, EsperError } from "../../protocols/errors.ts";
import type { Lane } from "../../protocols/protocol.ts";
import { isUrgent, Mailbox } from "../mailbox.ts";
import type { CellServices, Handler, Instance, LoadedActor } from "./cell-parts.ts";
import { CallInfo, crashError, isPromiseLike, within } from "./cell-parts.ts";
import type { Message } from "./message.ts";
import type { LocalReceiver } from "./router.ts";
import type { Runnable } from "./run-queue.ts";
import type { DeadLetterReason } from "./types.ts";
import type { Route } from "./wire.ts";

type CellState = "down" | "starting" | "running" | "closing" | "stopped";

/** A cast that crashed its actor this often is never delivered again. */
const MAX_CRASHES = 2;
/** Messages of one turn, so that the neighbours in the thread get theirs. */
const TURN_MESSAGES = 64;

export class Cell implements LocalReceiver, Runnable {
  readonly route: Route;
  readonly #actor: LoadedActor;
  readonly #services: CellServices;
  readonly #mailbox: Mailbox<Message>;
  #state: CellState = "down";
  #instance: Instance | null = null;
  #active: Message | null = null;
  #scheduled = false;
  #crashRequested = false;
  /** The start or the close in progress; whatever comes next waits for it. */
  #change: Promise<void> = Promise.resolve();
  #onIdle: (() => void) | null = null;
  #failSetup: ((error: unknown) => void) | null = null;

  constructor(route: Route, actor: LoadedActor, services: CellServices) {
    this.route = route;
    this.#actor = actor;
    this.#services = services;
    this.#mailbox = new Mailbox({ capacity: route.capacity, overflow: route.overflow });
  }

  get queued(): number {
    return this.#mailbox.size;
  }

  accept(message: Message): void {
    if (this.#state === "stopped") {
      this.#discard(message, "stopped");
      return;
    }
    const offer = this.#mailbox.offer(message);
    if (offer.kind === "refused") this.#discard(message, "mailbox-full");
    if (offer.kind === "queued-instead") this.#discard(offer.dropped, "mailbox-full");
    this.#wake();
  }

  /** The caller no longer waits: withdraws a queued message, tells a running handler. */
  cancel(message: Message): void {
    if (this.#mailbox.remove(message)) this.#release(message);
    else message.token?.cancel();
  }

  /** The lane its own protocol gives the message. */
  laneOf(name: string): Lane {
    return this.#actor.definition.protocol.messages[name]?.lane ?? "control";
  }

  start(starts: number): void {
    this.#change = this.#change.then(() => this.#start(starts));
  }

  /** Ends the current message and the instance within `limitMs`, in this order, then reports. */
  stop(final: boolean, limitMs: number): void {
    this.#instance?.token.cancel();
    if (this.#failSetup !== null) {
      const text = `${this.route.name} was stopped during its setup`;
      const fail = this.#failSetup;
      this.#services.clock.after(limitMs, () => fail(new EsperError("ACTOR_STOPPED", text)), true);
    }
    this.#change = this.#change.then(() => this.#stop(final, limitMs));
  }

  /** Takes no more messages, ever. */
  retire(): void {
    this.#state = "stopped";
    for (const message of this.#mailbox.drain()) this.#discard(message, "stopped");
  }

  /** The thread ends: nothing of this actor runs, replies or reports any more. */
  abandon(): void {
    this.#state = "stopped";
    const { name } = this.route;
    this.#active?.caller?.fail(discardError(name, "stopped", 0));
    this.#active = null;
    this.#instance?.end();
    this.#instance = null;
  }

  /** Fails at the next message boundary, as if a handler had thrown. */
  requestCrash(): void {
    this.#crashRequested = true;
    this.#wake();
  }

  /** A timer or a handler failed: the instance is given up and the supervisor told. */
  crash(error: unknown, instance: Instance): void {
    if (this.#instance !== instance) return;
    if (this.#state === "starting") this.#failSetup?.(error);
    if (this.#state !== "running") return;
    const active = this.#active;
    this.#active = null;
    if (active !== null) this.#settleCrashed(active, error);
    this.#services.onCrash(this.route, error);
    this.#state = "closing";
    const { shutdownMs } = this.#actor.definition.supervision;
    this.#change = this.#change.then(async () => {
      await this.#closeInstance(shutdownMs);
      if (this.#state === "closing") this.#state = "down";
      const wire = dehydrate(crashError(this.route.name, error));
      this.#services.report({ kind: "failed", actor: this.route.name, error: wire });
    });
  }

  turn(): void {
    this.#work();
    this.#scheduled = false;
    this.#wake();
  }

  #work(): void {
    for (let count = 0; count < TURN_MESSAGES; count++) {
      if (this.#state !== "running" || this.#active !== null) return;
      if (this.#crashRequested) {
        this.#crashRequested = false;
        const instance = this.#instance as Instance;
        this.crash(new Error("a crash was requested by the operator"), instance);
        return;
      }
      const message = this.#mailbox.take();
      if (message === undefined) return;
      this.#release(message);
      if (this.#isDue(message)) this.#handle(message, this.#instance as Instance);
      if (this.#services.queue.spend()) return;
    }
  }

  #wake(): void {
    if (this.#scheduled || this.#state !== "running" || this.#active !== null) return;
    if (this.#mailbox.size === 0 && !this.#crashRequested) return;
    this.#scheduled = true;
    this.#services.queue.schedule(this);
  }

  async #start(starts: number): Promise<void> {
    const { definition } = this.#actor;
    const { name } = this.route;
    this.#state = "starting";
    const crash = (error: unknown): void => this.crash(error, instance);
    const instance: Instance = this.#services.createInstance(starts, crash);
    this.#instance = instance;
    try {
      const limitMs = this.#services.setupLimitMs;
      const failure = new Promise<never>((_, reject) => {
        this.#failSetup = reject;
      });
      const setup = async (): Promise<void> => {
        instance.state = await definition.setup(instance.context);
      };
      const attempt = Promise.race([setup(), failure]);
      const done = await within(this.#services.clock, limitMs, attempt);
      this.#failSetup = null;
      if (!done) throw new Error(`setup did not end within ${limitMs} ms`);
    } catch (error) {
      this.#failSetup = null;
      if (this.#instance !== instance) return;
      instance.end();
      this.#instance = null;
      this.#state = "down";
      this.#services.onCrash(this.route, error);
      const wire = dehydrate(crashError(name, error));
      this.#services.report({ kind: "failed", actor: name, error: wire });
      return;
    }
    if (this.#instance !== instance) return;
    this.#state = "running";
    this.#services.report({ kind: "started", actor: name });
    this.#wake();
  }

  async #stop(final: boolean, limitMs: number): Promise<void> {
    const { clock } = this.#services;
    const endsAtMs = clock.monotonicMs() + limitMs;
    if (this.#state === "running") this.#state = "closing";
    if (this.#active !== null) {
      const idle = new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
      await within(clock, limitMs, idle);
      this.#onIdle = null;
    }
    const abandoned = this.#active;
    this.#active = null;
    if (abandoned !== null) this.#discard(abandoned, final ? "stopped" : "crashed-actor", true);
    await this.#closeInstance(Math.max(0, endsAtMs - clock.monotonicMs()));
    if (this.#state !== "stopped") this.#state = "down";
    if (final) this.retire();
    this.#services.report({ kind: "stopped", actor: this.route.name });
  }

  /** The definition's last words, at most `limitMs`; a failure in them is logged, not repeated. */
  async #closeInstance(limitMs: number): Promise<void> {
    const instance = this.#instance;
    if (instance === null) return;
    instance.end();
    const { definition } = this.#actor;
    if (definition.stop !== undefined) {
      try {
        const last = async (): Promise<void> =>
          await definition.stop?.(instance.state, instance.context);
        const done = await within(this.#services.clock, limitMs, last());
        if (!done) throw new Error(`stop did not end within ${Math.round(limitMs)} ms`);
      } catch (error) {
        this.#services.onStopFailed(this.route, error);
      }
    }
    this.#instance = null;
  }

  #handle(message: Message, instance: Instance): void {
    const handler = this.#actor.definition.receive[message.name] as Handler | undefined;
    if (handler === undefined) {
      this.#finish(message);
      const text = `${this.route.name} does not understand ${message.name}`;
      message.caller?.fail(new EsperError("MESSAGE_UNKNOWN", text, { message: message.name }));
      if (message.kind === "cast")
        this.#services.deadLetters.add(this.route.name, message, "actor-unknown");
      return;
    }
    this.#active = message;
    try {
      const info = new CallInfo(message, instance.token);
      const result = handler(instance.state, message.payload, instance.context, info);
      if (isPromiseLike(result)) {
        result.then(
          (value) => this.#done(message, instance, value),
          (error) => this.#failed(message, instance, error),
        );
      } else this.#done(message, instance, result);
    } catch (error) {
      this.#failed(message, instance, error);
    }
  }

  #done(message: Message, instance: Instance, value: unknown): void {
    if (this.#active !== message || this.#instance !== instance) return;
    this.#active = null;
    this.#finish(message);
    this.#services.tally.countProcessed(this.route.index);
    message.caller?.reply(value);
    this.#becomeIdle();
  }

  /** A coded error is an answer; anything else, and a fatal code, is a crash. */
  #failed(message: Message, instance: Instance, error: unknown): void {
    if (this.#active !== message || this.#instance !== instance) return;
    this.#services.tally.countFailed(this.route.index);
    if (!(error instanceof EsperError) || error.row.fatal) {
      // A stop in progress closes the instance anyway; the message still gets its end.
      if (this.#state === "running") this.crash(error, instance);
      else {
        this.#active = null;
        this.#settleCrashed(message, error);
        this.#becomeIdle();
      }
      return;
    }
    this.#active = null;
    this.#finish(message);
    message.caller?.fail(error);
    if (message.kind === "cast") this.#services.onCastFailed(this.route, message, error);
    this.#becomeIdle();
  }

  #becomeIdle(): void {
    this.#onIdle?.();
    this.#wake();
  }

  /** The message in whose handling the actor crashed. */
  #settleCrashed(message: Message, error: unknown): void {
    if (message.caller !== null) {
      message.caller.fail(crashError(`${this.route.name}.${message.name}`, error));
      return;
    }
    message.crashes += 1;
    if (message.crashes >= MAX_CRASHES) {
      this.#discard(message, "quarantined", true);
      return;
    }
    this.#services.credits.take(this.route.slot, isUrgent(message.lane), false, 2 ** 30);
    this.#mailbox.putBack(message);
  }

  /** False for what must not be handled any more. */
  #isDue(message: Message): boolean {
    const { deadlineAtMs, caller, token } = message;
    if (caller === null) return true;
    const late = deadlineAtMs !== null && this.#services.clock.monotonicMs() > deadlineAtMs;
    if (late) {
      this.#services.deadLetters.add(this.route.name, message, "deadline-passed");
      caller.drop();
      return false;
    }
    if (caller.settled) return false;
    if (!token?.cancelled) return true;
    caller.fail(new EsperError("CANCELLED", `${message.name} was cancelled`));
    return false;
  }

  /** Ends a message without handling it: the caller is told, a cast becomes a dead letter. */
  #discard(message: Message, reason: DeadLetterReason, begun = false): void {
    if (!begun) this.#release(message);
    this.#finish(message);
    const { name } = this.route;
    if (message.caller !== null)
      message.caller.fail(discardError(name, reason, this.#mailbox.size));
    else this.#services.deadLetters.add(name, message, reason);
  }

  #release(message: Message): void {
    this.#services.credits.release(this.route.slot, isUrgent(message.lane));
  }

  #finish(message: Message): void {
    if (message.kind === "cast") this.#services.credits.closeCast(this.route.slot);
  }
}

function discardError(actor: string, reason: DeadLetterReason, depth: number): EsperError {
  switch (reason) {
    case "mailbox-full": {
      const text = `the mailbox of ${actor} is full: ${depth} messages`;
      return new EsperError("MAILBOX_FULL", text, { actor, depth });
    }
    case "crashed-actor":
      return new EsperError("ACTOR_RESTARTING", `${actor} is restarting`, { actor });
    default:
      return new EsperError("ACTOR_STOPPED", `${actor} has stopped`, { actor });
  }
}
