/**
 * The sending side of a host: finds the receiver, takes a place in its mailbox, and keeps every
 * call's promise that it settles by its deadline. It never relays: an actor of another thread is
 * reached over the direct link to that thread.
 */
import { EsperError, InvariantViolation, invariant } from "../../protocols/errors.ts";
import type { CallSpec, CastSpec, MessageMap, Protocol } from "../../protocols/protocol.ts";
import type { ActorRef, CallOptions } from "../actor.ts";
import { type Clock, MAX_DELAY_MS } from "../clock.ts";
import { isUrgent, WAITING_ROOM } from "../mailbox.ts";
import type { Random } from "../random.ts";
import type { Admission, Credits } from "./credits.ts";
import type { DeadLetters } from "./dead-letters.ts";
import { isCloneError, type Link } from "./link.ts";
import type { Message } from "./message.ts";
import { PendingCall } from "./pending.ts";
import type { DeadLetterReason } from "./types.ts";
import type { Route } from "./wire.ts";

/** An actor of this thread, as the router delivers to it. */
export interface LocalReceiver {
  accept(message: Message): void;
  cancel(message: Message): void;
}

export interface RouterParts {
  readonly thread: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly encodeLocal: boolean;
  readonly routes: readonly Route[];
  readonly credits: Credits;
  readonly deadLetters: DeadLetters;
  readonly local: (actor: string) => LocalReceiver | undefined;
  readonly onSettled: (actor: string, tookMs: number) => void;
  readonly onLateReply: () => void;
}

/** One message on its way out. */
interface Outgoing {
  readonly from: string;
  readonly to: string;
  readonly name: string;
  readonly spec: CallSpec<unknown, unknown> | CastSpec<unknown>;
  readonly payload: unknown;
}

interface OutgoingCall extends Outgoing {
  readonly options: CallOptions;
  readonly deadlineAtMs: number;
}

type Target =
  | { readonly kind: "local"; readonly route: Route; readonly receiver: LocalReceiver }
  | { readonly kind: "remote"; readonly route: Route; readonly link: Link }
  | { readonly kind: "refused"; readonly reason: DeadLetterReason; readonly error: EsperError };

const FIRST_RETRY_MS = 5;
const LONGEST_RETRY_MS = 200;

export class Router {
  readonly #parts: RouterParts;
  readonly #routes = new Map<string, Route>();
  readonly #links = new Map<string, Link>();
  readonly #retired = new Set<string>();
  #nextId = 1;
  #closed = false;

  constructor(parts: RouterParts) {
    this.#parts = parts;
    for (const route of parts.routes) this.#routes.set(route.name, route);
  }

  ref<M extends MessageMap>(from: string, protocol: Protocol<M>, name: string): ActorRef<M> {
    return {
      name,
      call: (message, payload, options) =>
        this.#call(from, name, protocol, message, payload, options),
      cast: (message, payload) => this.#cast(from, name, protocol, message, payload),
    } as ActorRef<M>;
  }

  attach(link: Link): void {
    this.#links.get(link.thread)?.close("ACTOR_RESTARTING");
    this.#links.set(link.thread, link);
  }

  /** The thread start `epoch` is over; a link to a later start stays. */
  detach(thread: string, epoch: number): void {
    const link = this.#links.get(thread);
    if (link === undefined || link.epoch > epoch) return;
    this.#links.delete(thread);
    const routes = this.#parts.routes.filter((route) => route.thread === thread);
    const forGood = routes.every(({ name }) => this.#retired.has(name));
    link.close(forGood ? "ACTOR_STOPPED" : "ACTOR_RESTARTING");
  }

  retire(actor: string): void {
    this.#retired.add(actor);
  }

  close(): void {
    this.#closed = true;
    for (const link of this.#links.values()) link.close("ACTOR_STOPPED");
    this.#links.clear();
  }

  #call(
    from: string,
    to: string,
    protocol: Protocol<MessageMap>,
    name: string,
    payload: unknown,
    options: CallOptions,
  ): Promise<unknown> {
    const spec = protocol.messages[name];
    const { deadlineMs } = options;
    if (spec?.kind !== "call") return Promise.reject(unknownMessage(to, name, "call"));
    if (!(deadlineMs <= MAX_DELAY_MS)) {
      const what = `deadlineMs of ${to}.${name} is ${deadlineMs}; the most is ${MAX_DELAY_MS}`;
      return Promise.reject(new InvariantViolation(what));
    }
    if (from === to) {
      const what = `${to} calls itself (${name}) and would wait for ever; use cast`;
      return Promise.reject(new InvariantViolation(what));
    }
    const deadlineAtMs = this.#parts.clock.monotonicMs() + deadlineMs;
    const call: OutgoingCall = { from, to, name, spec, payload, options, deadlineAtMs };
    return options.onRestart === "retry" ? this.#callWithRetry(call) : this.#callOnce(call);
  }

  async #callWithRetry(call: OutgoingCall): Promise<unknown> {
    let pauseMs = FIRST_RETRY_MS;
    for (;;) {
      try {
        return await this.#callOnce(call);
      } catch (error) {
        const again =
          EsperError.is(error, "ACTOR_RESTARTING") || EsperError.is(error, "MAILBOX_FULL");
        const { clock, random } = this.#parts;
        const leftMs = call.deadlineAtMs - clock.monotonicMs();
        if (!again || leftMs <= pauseMs || this.#closed) throw error;
        await this.#pause(pauseMs * (0.75 + random.next() / 2), call);
        pauseMs = Math.min(LONGEST_RETRY_MS, pauseMs * 2);
      }
    }
  }

  /** @throws {CANCELLED} when the call's token is set meanwhile. */
  #pause(pauseMs: number, { options: { token }, to, name }: OutgoingCall): Promise<void> {
    return new Promise((resolve, reject) => {
      let withdraw: (() => void) | undefined;
      const timer = this.#parts.clock.after(pauseMs, () => {
        withdraw?.();
        resolve();
      });
      withdraw = token?.onCancel(() => {
        timer.cancel();
        reject(new EsperError("CANCELLED", `${to}.${name} was cancelled`));
      });
    });
  }

  #callOnce(call: OutgoingCall): Promise<unknown> {
    const { to, name, options, deadlineAtMs } = call;
    if (options.token?.cancelled) {
      return Promise.reject(
        new EsperError("CANCELLED", `${to}.${name} was cancelled before it was sent`),
      );
    }
    const target = this.#target(call);
    if (target.kind === "refused") return Promise.reject(target.error);
    return new Promise((resolve, reject) => {
      const token = options.token ?? null;
      const id = this.#nextId++;
      const spec = { id, what: `${to}.${name}`, deadlineAtMs, token, resolve, reject };
      const pending = new PendingCall(spec, this.#parts.clock);
      pending.onLate = this.#parts.onLateReply;
      pending.onSettled = (tookMs) => this.#parts.onSettled(to, tookMs);
      if (target.kind === "local") this.#callLocal(call, target, pending);
      else this.#callRemote(call, target, pending);
    });
  }

  #callLocal(
    call: OutgoingCall,
    target: Extract<Target, { kind: "local" }>,
    pending: PendingCall,
  ): void {
    const { options } = call;
    try {
      const payload = this.#encodeLocal(call, options);
      const caller = this.#parts.encodeLocal ? cloningCaller(pending) : pending;
      const token = options.token ?? null;
      const message = incoming(call, payload, call.deadlineAtMs, token, caller);
      pending.onCancel = () => target.receiver.cancel(message);
      target.receiver.accept(message);
    } catch (error) {
      this.#giveBack(this.#parts.credits, target.route, call);
      pending.fail(notTransferable(call, error));
    }
  }

  #callRemote(
    call: OutgoingCall,
    target: Extract<Target, { kind: "remote" }>,
    pending: PendingCall,
  ): void {
    const { from, to, name, payload, options, deadlineAtMs } = call;
    const { link } = target;
    const { id } = pending;
    pending.onCancel = () => {
      link.pending.delete(id);
      link.post({ kind: "cancel", id });
    };
    const settled = pending.onSettled;
    pending.onSettled = (tookMs) => {
      link.pending.delete(id);
      settled?.(tookMs);
    };
    link.pending.set(id, pending);
    // A buffer that was given away could not be sent a second time.
    const transfer = options.onRestart === "retry" ? undefined : options.transfer;
    const token = options.token?.handle ?? null;
    try {
      link.post({ kind: "call", id, to, from, name, payload, deadlineAtMs, token }, transfer);
    } catch (error) {
      this.#giveBack(link.credits, target.route, call);
      pending.fail(notTransferable(call, error));
    }
  }

  #cast(
    from: string,
    to: string,
    protocol: Protocol<MessageMap>,
    name: string,
    payload: unknown,
  ): boolean {
    const spec = protocol.messages[name];
    if (spec?.kind !== "cast") throw unknownMessage(to, name, "cast");
    const outgoing: Outgoing = { from, to, name, spec, payload };
    const target = this.#target(outgoing);
    if (target.kind === "refused") {
      const { lane } = spec;
      this.#parts.deadLetters.add(to, { name, lane, from }, target.reason);
      return false;
    }
    try {
      if (target.kind === "remote") target.link.post({ kind: "cast", to, from, name, payload });
      else
        target.receiver.accept(incoming(outgoing, this.#encodeLocal(outgoing), null, null, null));
    } catch (error) {
      const credits = target.kind === "remote" ? target.link.credits : this.#parts.credits;
      this.#giveBack(credits, target.route, outgoing);
      throw notTransferable(outgoing, error);
    }
    return true;
  }

  /** Where the message goes; a place in the mailbox is taken unless it is refused. */
  #target({ to, spec }: Outgoing): Target {
    const route = this.#routes.get(to);
    if (route === undefined) {
      const known = [...this.#routes.keys()].join(", ");
      return refused(
        "actor-unknown",
        "ACTOR_UNKNOWN",
        `there is no actor ${to}; there are ${known}`,
      );
    }
    if (this.#closed || this.#retired.has(to)) {
      return refused("stopped", "ACTOR_STOPPED", `${to} has stopped and takes no more messages`);
    }
    const isLocal = route.thread === this.#parts.thread;
    const link = isLocal ? undefined : this.#links.get(route.thread);
    const credits = isLocal ? this.#parts.credits : link?.credits;
    const limit = admissionLimit(route, spec.kind);
    const admission: Admission =
      credits?.take(route.slot, isUrgent(spec.lane), spec.kind === "cast", limit) ?? "closed";
    if (admission === "closed") {
      const text = `${to} is restarting: its thread ${route.thread} is being replaced`;
      return refused("crashed-actor", "ACTOR_RESTARTING", text, { actor: to });
    }
    if (admission === "full") {
      const depth = credits?.depth(route.slot) ?? 0;
      const text = `the mailbox of ${to} is full: ${depth} messages, capacity ${route.capacity}`;
      const details = { actor: to, depth, capacity: route.capacity };
      return refused("mailbox-full", "MAILBOX_FULL", text, details);
    }
    if (link !== undefined) return { kind: "remote", route, link };
    const receiver = this.#parts.local(to);
    invariant(receiver !== undefined, `the actor ${to} lives in ${this.#parts.thread}`);
    return { kind: "local", route, receiver };
  }

  #encodeLocal({ payload }: Outgoing, options?: CallOptions): unknown {
    if (!this.#parts.encodeLocal) return payload;
    const transfer = options?.onRestart === "retry" ? undefined : options?.transfer;
    return structuredClone(payload, transfer === undefined ? {} : { transfer: [...transfer] });
  }

  #giveBack(credits: Credits, route: Route, { spec }: Outgoing): void {
    credits.release(route.slot, isUrgent(spec.lane));
    if (spec.kind === "cast") credits.closeCast(route.slot);
  }
}

/** How many messages may be on their way or queued before the sender is refused. */
function admissionLimit({ overflow, capacity }: Route, kind: "call" | "cast"): number {
  if (overflow === "reject") return capacity;
  if (overflow === "wait") return kind === "call" ? capacity + WAITING_ROOM : capacity;
  // The receiver decides what is dropped; the sender only bounds what is under way.
  return capacity * 2;
}

function incoming(
  { to, name, spec, from }: Outgoing,
  payload: unknown,
  deadlineAtMs: number | null,
  token: Message["token"],
  caller: Message["caller"],
): Message {
  const { kind, lane } = spec;
  return { kind, to, name, lane, from, payload, deadlineAtMs, token, caller, crashes: 0 };
}

/** Replies as if the caller were in another thread. */
function cloningCaller(pending: PendingCall): Message["caller"] {
  return {
    get settled() {
      return pending.settled;
    },
    reply(value) {
      try {
        pending.reply(structuredClone(value));
      } catch (error) {
        if (!isCloneError(error)) throw error;
        pending.fail(new EsperError("NOT_TRANSFERABLE", `the reply: ${error.message}`));
      }
    },
    fail: (error) => pending.fail(error),
    drop: () => pending.drop(),
  };
}

function refused(
  reason: DeadLetterReason,
  code: "ACTOR_UNKNOWN" | "ACTOR_STOPPED" | "ACTOR_RESTARTING" | "MAILBOX_FULL",
  text: string,
  details: Readonly<Record<string, unknown>> = {},
): Target {
  return { kind: "refused", reason, error: new EsperError(code, text, details) };
}

function unknownMessage(to: string, name: string, kind: string): EsperError {
  return new EsperError("MESSAGE_UNKNOWN", `${to} has no ${kind} named ${name}`, {
    actor: to,
    name,
  });
}

/** @throws the error itself when it is not about cloning. */
function notTransferable({ to, name }: Outgoing, error: unknown): EsperError {
  if (!isCloneError(error)) throw error;
  const text = `the payload of ${to}.${name} cannot cross threads: ${error.message}`;
  return new EsperError("NOT_TRANSFERABLE", text, { actor: to, message: name });
}
