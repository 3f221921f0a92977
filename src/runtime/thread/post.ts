/**
 * The sending side of a host: takes a place in the receiver's mailbox, and keeps every call's
 * promise that it settles by its deadline. It never relays: an actor of another thread is reached
 * over the direct link to that thread.
 */
import { type EsperError, InvariantViolation } from "../../protocols/errors.ts";
import type { CallOptions, OfferOptions } from "../actor.ts";
import type { FaultPoints } from "../faults/fault-points.ts";
import type { Kind } from "../wire/protocol-table.ts";
import { addressOf } from "./address.ts";
import type { Cell } from "./cell.ts";
import type { CellServices } from "./cell-parts.ts";
import type { Link } from "./link.ts";
import type { Caller } from "./message.ts";
import { Message } from "./message.ts";
import { type CallTimes, PendingCall } from "./pending.ts";
import type { PostParts } from "./post-parts.ts";
import type { Ref, Target } from "./refs.ts";
import * as refusal from "./refusal.ts";
import { callWithRetry } from "./retry.ts";
import { depthOf, isUp, placesFor, refusedBy } from "./standing.ts";
import type { TraceContext } from "./trace.ts";
import { Waiting, WaitingRoom } from "./waiting-room.ts";

/** What became of an attempt to send; "restarting": the receiver's thread is being replaced. */
export type Attempt = "sent" | "full" | "behind" | "stopped" | "restarting" | "unknown";

/** One message on its way out. */
interface Outgoing {
  readonly target: Target;
  readonly kind: Kind;
  readonly payload: unknown;
  readonly from: number;
  readonly trace: TraceContext | null;
}

type OutgoingCall = Outgoing & CallTimes;

export class Post {
  readonly #parts: PostParts;
  readonly #waiting: WaitingRoom;
  readonly #codecOfThread: boolean;
  #services: CellServices | null = null;
  #closed = false;
  /** Null while no fault is injected. */
  faults: FaultPoints | null = null;

  constructor(parts: PostParts) {
    this.#parts = parts;
    this.#codecOfThread = parts.encodeLocal !== null;
    this.#waiting = new WaitingRoom((target) => this.#askForRoom(target));
  }

  /** False when the message was refused; it is then a dead letter. */
  cast(ref: Ref, name: string, payload: unknown): boolean {
    const kind = ref.kindOf(name);
    if (kind === undefined || kind.isCall) throw refusal.unknownMessage(ref.name, name, "cast");
    const { target } = ref;
    const from = this.#sender(ref);
    const { cell } = target;
    // The usual case inside a thread, where every nanosecond counts: nothing to decide.
    if (cell !== null && this.#isPlain && !cell.isShared && cell.state !== "stopped") {
      const waits = this.#waiting.size > 0 && this.#waiting.holds(target, kind.lane);
      if (!waits && cell.tryAccept(new Message(kind, payload, from, null, null))) return true;
    }
    const trace = this.#parts.watch.trace(target.name, kind, from);
    const attempt = this.#castOnce(target, kind, payload, from, trace);
    if (attempt === "sent") return true;
    if (this.#mayWait(attempt, target)) {
      const send = (): Attempt => this.#castNow(target, kind, payload, from, trace);
      const lost = (reason: "stopped"): void => this.#parts.bury(target.name, kind, from, reason);
      if (this.#waiting.park(target, kind.lane, new Waiting(send, null, lost))) return true;
    }
    this.#parts.bury(target.name, kind, from, refusal.letterReason(attempt));
    return false;
  }

  async offer(ref: Ref, name: string, payload: unknown, options: OfferOptions): Promise<void> {
    const kind = ref.kindOf(name);
    if (kind === undefined || kind.isCall) throw refusal.unknownMessage(ref.name, name, "cast");
    const { target } = ref;
    const { token = null } = options;
    refusal.checkDeadline(ref.name, name, options.deadlineMs);
    if (token?.cancelled) throw refusal.cancelled(ref.name, name);
    const from = this.#sender(ref);
    const trace = this.#parts.watch.trace(target.name, kind, from);
    const attempt = this.#castOnce(target, kind, payload, from, trace);
    if (attempt === "sent") return;
    if (attempt !== "full" && attempt !== "behind") throw this.#refused(attempt, target);
    await new Promise<void>((resolve, reject) => {
      const send = (): Attempt => this.#castNow(target, kind, payload, from, trace);
      const full = (): EsperError => this.#refused("full", target);
      const waiting = new Waiting(send, { resolve, reject, full, token, name });
      this.#parts.wheel.add(waiting, this.#parts.clock.monotonicMs() + options.deadlineMs);
      waiting.onSettled = () => this.#parts.wheel.remove(waiting);
      if (!this.#waiting.park(target, kind.lane, waiting)) waiting.fail(full());
    });
  }

  call(ref: Ref, name: string, payload: unknown, options: CallOptions): Promise<unknown> {
    const kind = ref.kindOf(name);
    if (kind === undefined || !kind.isCall) {
      return Promise.reject(refusal.unknownMessage(ref.name, name, "call"));
    }
    try {
      refusal.checkDeadline(ref.name, name, options.deadlineMs);
    } catch (error) {
      return Promise.reject(error);
    }
    const { target } = ref;
    const from = this.#sender(ref);
    if (from === addressOf(target.threadId, target.slot)) {
      const what = `${ref.name} calls itself (${name}) and would wait for ever; use cast`;
      return Promise.reject(new InvariantViolation(what));
    }
    const { clock, watch } = this.#parts;
    const sentAtMs = clock.monotonicMs();
    const deadlineAtMs = sentAtMs + options.deadlineMs;
    const trace = watch.trace(target.name, kind, from, options.traceparent);
    const outgoing = { target, kind, payload, from, trace, sentAtMs, deadlineAtMs };
    const sent = this.#callAny(outgoing, options);
    return watch.wants(trace) ? watch.follow(target.name, kind, trace, sent) : sent;
  }

  #callAny(outgoing: OutgoingCall, options: CallOptions): Promise<unknown> {
    if (options.onRestart !== "retry") return this.#callOnce(outgoing, options);
    const { target, deadlineAtMs } = outgoing;
    const once = (): Promise<unknown> => {
      // A buffer that was given away could not be sent a second time.
      const { transfer: _, ...again } = options;
      return this.#callOnce(outgoing, again);
    };
    const { clock, random } = this.#parts;
    const what = `${target.name}.${outgoing.kind.name}`;
    const isOver = (): boolean => this.#closed;
    return callWithRetry(once, { clock, random, deadlineAtMs, what, isOver }, options.token);
  }

  /** The call in hand of the cell that runs goes on to another actor. */
  forward(ref: Ref, name: string, payload: unknown, caller: Caller): void {
    const kind = ref.kindOf(name);
    if (kind === undefined || !kind.isCall) throw refusal.unknownMessage(ref.name, name, "call");
    const from = this.#sender(ref);
    const { target } = ref;
    if (target.cell !== null) {
      const body = this.#localBody(kind, payload, undefined);
      const message = new Message(kind, body, from, caller, this.#parts.watch.passOn(from));
      const attempt = this.#accept(target.cell, message);
      if (attempt !== "sent") caller.fail(this.#refused(attempt, target));
      return;
    }
    // Another thread cannot know the first caller's link: the answer comes back through here.
    const leftMs = caller.deadlineAtMs - this.#parts.clock.monotonicMs();
    const options = {
      deadlineMs: leftMs,
      ...(caller.token === null ? {} : { token: caller.token }),
    };
    this.call(ref, name, payload, options).then(
      (value) => caller.reply(value),
      (error: EsperError) => caller.fail(error),
    );
  }

  /** A message of the runtime itself; what became of it is for the caller to see. */
  attempt({ protocol, target, from }: Ref, name: string, payload: unknown): Attempt {
    return this.#castNow(target, protocol.kinds.get(name) as Kind, payload, from, null);
  }

  /** Into a mailbox of this thread, whoever made the message. */
  deliver(cell: Cell, message: Message): Attempt {
    return this.#accept(cell, message);
  }

  /** The payload as a receiver of this thread gets it. @throws {NOT_TRANSFERABLE} */
  localCopy(kind: Kind, payload: unknown): unknown {
    return this.#localBody(kind, payload, undefined);
  }

  depth(target: Target): number {
    return depthOf(target, this.#parts.link(target.threadId), this.#parts.services().credits);
  }

  isAvailable(target: Target): boolean {
    return !this.#parts.isRetired(target) && isUp(target, this.#parts.link(target.threadId));
  }

  /** There is room again, or the receiver's thread is back. */
  retry(threadId: number, slot: number): void {
    this.#waiting.drain(addressOf(threadId, slot));
  }

  retryThread(threadId: number): void {
    this.#waiting.drainWhere((target) => target.threadId === threadId);
  }

  /** The receiver is gone for good. */
  giveUp(matches: (target: Target) => boolean): void {
    this.#waiting.giveUp(matches, (target) => this.#refused("stopped", target));
  }

  close(): void {
    this.#closed = true;
    this.giveUp(() => true);
  }

  /** True when a message needs nothing but its place: no encoding, no trace, no fault. */
  get #isPlain(): boolean {
    return !this.#codecOfThread && !this.#parts.watch.isTracing && this.faults === null;
  }

  #sender(ref: Ref): number {
    if (ref.isBound) return ref.from;
    this.#services ??= this.#parts.services();
    const { current } = this.#services;
    return current === null ? ref.from : current.address;
  }

  #castOnce(
    target: Target,
    kind: Kind,
    payload: unknown,
    from: number,
    trace: TraceContext | null,
  ): Attempt {
    if (this.faults?.cast(this, target, kind, payload, from, trace)) return "sent";
    // What waits already comes first, or the order between two actors would change.
    if (this.#waiting.size > 0 && this.#waiting.holds(target, kind.lane)) return "behind";
    return this.#castNow(target, kind, payload, from, trace);
  }

  /** A cast that a fault held back or made again: its sender has gone on. */
  castAside(
    target: Target,
    kind: Kind,
    payload: unknown,
    from: number,
    trace: TraceContext | null,
  ): void {
    const attempt = this.#castNow(target, kind, payload, from, trace);
    if (attempt !== "sent") {
      this.#parts.bury(target.name, kind, from, refusal.letterReason(attempt));
    }
  }

  #castNow(
    target: Target,
    kind: Kind,
    payload: unknown,
    from: number,
    trace: TraceContext | null,
  ): Attempt {
    const { cell } = target;
    if (cell !== null) {
      const body = this.#codecOfThread ? this.#localBody(kind, payload, undefined) : payload;
      return this.#accept(cell, new Message(kind, body, from, null, trace));
    }
    const link = this.#takePlace(target, kind);
    if (typeof link === "string") return link;
    try {
      if (link.cast(target, kind, payload, from, trace)) return "sent";
    } catch (error) {
      giveBack(link, target, kind);
      throw refusal.located(error, target.name, kind.name);
    }
    giveBack(link, target, kind);
    return "full";
  }

  /** The link over which a place was taken in a mailbox of another thread, or why there is none. */
  #takePlace(target: Target, kind: Kind): Link | Attempt {
    const link = this.#parts.link(target.threadId);
    if (target.threadId < 0) return "unknown";
    if (this.#closed || this.#parts.isRetired(target)) return "stopped";
    if (link === undefined) return this.#unlinked(target);
    const { slot } = target;
    const { credits } = link;
    const limit = placesFor(credits.limit(slot), kind);
    const admission = credits.take(slot, kind.lane, !kind.isCall, limit);
    return admission === "granted" ? link : refusedBy(admission, target, credits);
  }

  #callOnce(out: OutgoingCall, options: CallOptions): Promise<unknown> {
    const { target, kind, trace } = out;
    const { token = null } = options;
    if (token?.cancelled) return Promise.reject(refusal.cancelled(target.name, kind.name));
    return new Promise((resolve, reject) => {
      const { owner } = this.#parts;
      const call = new PendingCall(owner, target.name, kind, out, token, resolve, reject);
      call.trace = trace;
      if (call.settled || this.faults?.losesCall(target, kind)) return;
      const holds = this.#waiting.size > 0 && this.#waiting.holds(target, kind.lane);
      const attempt = holds ? "behind" : this.#callNow(out, call, options.transfer);
      if (attempt === "sent") return;
      if (this.#mayWait(attempt, target)) {
        const send = (): Attempt =>
          call.settled ? "sent" : this.#callNow(out, call, options.transfer);
        const lost = (): void => call.fail(this.#refused("stopped", target));
        if (this.#waiting.park(target, kind.lane, new Waiting(send, null, lost))) return;
      }
      call.fail(this.#refused(attempt, target));
    });
  }

  #callNow(out: Outgoing, call: PendingCall, transfer?: readonly ArrayBuffer[]): Attempt {
    const { target, kind, payload, from, trace } = out;
    const { cell } = target;
    try {
      if (cell === null) return this.#callRemote(out, call, transfer);
      const body = this.#localBody(kind, payload, transfer);
      const caller = this.#parts.encodeLocal?.caller(call) ?? call;
      const message = new Message(kind, body, from, caller, trace);
      call.onCancel = () => cell.cancel(message);
      return this.#accept(cell, message);
    } catch (error) {
      call.fail(refusal.located(error, target.name, kind.name));
      return "sent";
    }
  }

  #callRemote(out: Outgoing, call: PendingCall, transfer?: readonly ArrayBuffer[]): Attempt {
    const { target, kind, payload, from } = out;
    const link = this.#takePlace(target, kind);
    if (typeof link === "string") return link;
    call.peer = target.threadId;
    call.id = this.#parts.calls.add(call);
    try {
      if (call.id >= 0 && link.call(target, call, payload, from, transfer)) {
        call.onCancel = () => link.cancel(call.id, kind);
        return "sent";
      }
    } catch (error) {
      giveBack(link, target, kind);
      throw error;
    }
    giveBack(link, target, kind);
    this.#parts.calls.remove(call.id);
    call.id = -1;
    return "full";
  }

  /** Into a mailbox of this thread. */
  #accept(cell: Cell, message: Message): Attempt {
    if (cell.state === "stopped" || this.#closed) return "stopped";
    if (!cell.exported) return cell.tryAccept(message) ? "sent" : "full";
    const { credits } = this.#parts.services();
    const { lane, caller } = message;
    const limit = placesFor(credits.limit(cell.slot), message.kind);
    const admission = credits.take(cell.slot, lane, caller === null, limit);
    if (admission !== "granted") return admission === "full" ? "full" : "restarting";
    cell.accept(message);
    return "sent";
  }

  #localBody(kind: Kind, payload: unknown, transfer: readonly ArrayBuffer[] | undefined): unknown {
    const { encodeLocal } = this.#parts;
    return encodeLocal === null ? payload : encodeLocal.payload(kind, payload, transfer);
  }

  /** A thread that starts beside this one is heard of a moment later: what is sent waits for it. */
  #unlinked({ threadId, generation }: Target): Attempt {
    if (!this.#parts.wasLinked(threadId)) return "behind";
    return generation === 0 ? "restarting" : "stopped";
  }

  #mayWait(attempt: Attempt, target: Target): boolean {
    return attempt === "behind" || (attempt === "full" && this.#overflowOf(target) === "wait");
  }

  #overflowOf({ cell, threadId, slot }: Target): string {
    if (cell !== null) return cell.policy.overflow;
    return this.#parts.link(threadId)?.credits.overflow(slot) ?? "reject";
  }

  /** The receiver will say when there is room. */
  #askForRoom({ cell, threadId, slot }: Target): void {
    if (cell !== null) cell.hasWaiting = true;
    else this.#parts.link(threadId)?.credits.awaitRoom(slot, this.#parts.threadId);
  }

  #refused(attempt: Attempt, { name, cell, threadId, slot }: Target): EsperError {
    if (attempt === "unknown") return refusal.unknownActor(name, this.#parts.names());
    const credits = cell === null ? this.#parts.link(threadId)?.credits : null;
    const depth = cell?.mailbox.size ?? credits?.depth(slot) ?? 0;
    return refusal.refused(
      attempt,
      name,
      depth,
      cell?.policy.capacity ?? credits?.capacity(slot) ?? 0,
    );
  }
}

/** The place that `#takePlace` took is not needed after all. */
function giveBack({ credits }: Link, { slot }: Target, { lane, isCall }: Kind): void {
  credits.giveBack(slot, lane, !isCall);
}
