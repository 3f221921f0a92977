/**
 * A cancellation token: who starts work cancels it, who does the work polls it or listens. A token
 * is a plain object until another thread must see it; then it is one word of shared memory that a
 * busy thread polls for a few nanoseconds. The first reason wins and a cancelled token stays so. It
 * never runs listeners of another thread: the runtime calls `noticed` there. Release it, or declare
 * it with `using`, when the work is over.
 */
import { EsperError, invariant } from "../protocols/errors.ts";
import {
  type CancelReason,
  LIVE,
  ownTable,
  reasonCode,
  reasonOf,
  type TokenHandle,
  type TokenSlot,
  tableOf,
} from "./token-table.ts";

/** How deep children of children of a token may go. */
export const TOKEN_DEPTH = 32;

/** What a new token may be given. */
export interface TokenOptions {
  /** Monotonic milliseconds; the work should have ended by then. */
  readonly deadlineAtMs?: number;
}

/** Values of `holds` beside the number of lends. */
const PINNED = -1;
const FOREIGN = -2;

/** Gives back the slots of tokens that were dropped without being released. */
const dropped = new FinalizationRegistry<TokenSlot>((slot) => ownTable().free(slot));

interface Listener {
  readonly run: () => void;
  next: Listener | null;
  before: Listener | null;
}

/** Those who wait for one token; most tokens have none. */
class Watchers {
  controller: AbortController | null = null;
  #first: Listener | null = null;
  #last: Listener | null = null;

  add(run: () => void): () => void {
    const listener: Listener = { run, next: null, before: this.#last };
    if (this.#last === null) this.#first = listener;
    else this.#last.next = listener;
    this.#last = listener;
    return () => this.#remove(listener);
  }

  /** Runs every listener once, in order, even if one throws; rethrows the first failure. */
  notify(reason: CancelReason | null): void {
    const failures: unknown[] = [];
    for (let next = this.#first; next !== null; next = this.#first) {
      this.#remove(next);
      try {
        next.run();
      } catch (failure) {
        failures.push(failure);
      }
    }
    if (this.controller?.signal.aborted === false) this.controller.abort(cancelledError(reason));
    if (failures.length > 0) throw failures[0];
  }

  #remove(listener: Listener): void {
    const { next, before } = listener;
    if (before === null && this.#first !== listener) return;
    if (before === null) this.#first = next;
    else before.next = next;
    if (next === null) this.#last = before;
    else next.before = before;
    listener.next = null;
    listener.before = null;
  }
}

/** A child's tie to its parent. */
interface Tie {
  readonly parent: CancellationToken;
  readonly depth: number;
  readonly leave: () => void;
}

/** See the head of this file. */
export class CancellationToken {
  // Plain fields: a poll must cost nanoseconds, and every actor has a token.
  /** LIVE, or the reason as far as this thread knows; the slot's word is the truth. */
  private state = LIVE;
  private slot: TokenSlot | null = null;
  private tie: Tie | null = null;
  private limitMs: number | null = null;
  private watchers: Watchers | null = null;
  /** How many lends are open; PINNED: the slot stays until release; FOREIGN: another's slot. */
  private holds = 0;

  constructor(options?: TokenOptions) {
    const deadlineAtMs = options?.deadlineAtMs;
    if (deadlineAtMs === undefined) return;
    invariant(!Number.isNaN(deadlineAtMs), "the deadline of a token is a point in time");
    this.limitMs = deadlineAtMs;
  }

  /**
   * The copy of a token of another thread; a stale handle gives a cancelled token.
   * @throws {FRAME_MALFORMED} when the handle points nowhere.
   */
  static attach(handle: TokenHandle): CancellationToken {
    const table = tableOf(handle);
    const token = new CancellationToken();
    token.slot = table.find(handle);
    token.limitMs = table.deadlineOf(token.slot);
    token.holds = FOREIGN;
    return token;
  }

  /** A token that is cancelled when `signal` aborts. Release it if the signal outlives the work. */
  static from(signal: AbortSignal): CancellationToken {
    const token = new CancellationToken();
    const abort = (): void => token.cancel();
    if (signal.aborted) abort();
    else {
      signal.addEventListener("abort", abort, { once: true });
      token.onCancel(() => signal.removeEventListener("abort", abort));
    }
    return token;
  }

  /** True from the cancellation on, whoever did it in whichever thread. Runs no listener. */
  get cancelled(): boolean {
    if (this.state !== LIVE) return true;
    const { slot, tie } = this;
    if (slot !== null && Atomics.load(slot.words, slot.index) !== slot.live) return true;
    return tie !== null && this.follow(tie.parent);
  }

  /** Why it was cancelled, or null. */
  get reason(): CancelReason | null {
    return this.cancelled ? reasonOf(this.mark("parent")) : null;
  }

  /** Monotonic milliseconds, or null; a child has the earlier of its own and its parent's. */
  get deadlineAtMs(): number | null {
    return this.limitMs;
  }

  /** Like `cancelled`, and cancels when the deadline has passed. */
  poll(nowMs: number): boolean {
    if (this.limitMs !== null && nowMs >= this.limitMs) this.cancel("deadline");
    return this.cancelled;
  }

  /** Idempotent. Other threads see it at once; the listeners of this one have run on return. */
  cancel(reason: CancelReason = "requested"): void {
    this.mark(reason);
    this.tie?.leave();
    this.watchers?.notify(this.reason);
  }

  /** Runs the listeners of this thread if the token was cancelled in another; true if it was. */
  noticed(): boolean {
    if (!this.cancelled) return false;
    this.cancel("parent");
    return true;
  }

  /** @throws {CANCELLED} with the reason in the details, when the token is cancelled. */
  throwIfCancelled(): void {
    if (this.cancelled) throw cancelledError(this.reason);
  }

  /** Runs `listener` once on cancellation, at once if that was; returns the way to withdraw it. */
  onCancel(listener: () => void): () => void {
    if (this.cancelled) {
      listener();
      return () => {};
    }
    this.watchers ??= new Watchers();
    return this.watchers.add(listener);
  }

  /** The view of it for the platform's functions; costs microseconds when first asked for. */
  get signal(): AbortSignal {
    this.watchers ??= new Watchers();
    this.watchers.controller ??= new AbortController();
    const { controller } = this.watchers;
    if (this.cancelled && !controller.signal.aborted) controller.abort(cancelledError(this.reason));
    return controller.signal;
  }

  /**
   * A token that is cancelled with this one, and can be cancelled alone.
   * @throws {TOKEN_LIMIT} below 32 generations.
   */
  child(options?: TokenOptions): CancellationToken {
    const depth = (this.tie?.depth ?? 0) + 1;
    if (depth > TOKEN_DEPTH) {
      const text = `cancellation tokens nest ${TOKEN_DEPTH} deep at most`;
      throw new EsperError("TOKEN_LIMIT", text, { depth, limit: TOKEN_DEPTH });
    }
    const child = new CancellationToken(options);
    child.limitMs = earlier(child.limitMs, this.limitMs);
    const leave = this.onCancel(() => child.cancel("parent"));
    child.tie = { parent: this, depth, leave };
    return child;
  }

  /**
   * The wire form. From now on the token holds a slot of this thread's table until its release.
   * @throws {TOKEN_LIMIT} when the table is full.
   */
  get handle(): TokenHandle {
    const slot = this.share();
    if (this.holds >= 0) {
      this.holds = PINNED;
      dropped.register(this, slot, this);
    }
    return slot.handle;
  }

  /**
   * The wire form for one message. Every lend is followed by one `returned`; after the last the
   * slot is free again, and copies that others still poll read as cancelled.
   * @throws {TOKEN_LIMIT} when the table is full.
   */
  lend(): TokenHandle {
    const slot = this.share();
    if (this.holds >= 0) this.holds += 1;
    return slot.handle;
  }

  /** The message of one `lend` is settled. */
  returned(): void {
    if (this.holds <= 0) return;
    this.holds -= 1;
    if (this.holds === 0) this.unshare();
  }

  /** The work is over: cancels what still goes on under this token and gives its slot back. */
  release(): void {
    if (this.holds === FOREIGN) this.state = this.slot?.state ?? LIVE;
    if (this.holds === FOREIGN && this.state === LIVE) this.state = reasonCode("released");
    try {
      this.cancel("released");
    } finally {
      if (this.holds === PINNED) dropped.unregister(this);
      if (this.holds !== FOREIGN) this.unshare();
      this.holds = 0;
    }
  }

  /** So that `using` releases it. */
  [Symbol.dispose](): void {
    this.release();
  }

  /** The state after making sure that it is cancelled. */
  private mark(reason: CancelReason): number {
    if (this.state === LIVE) {
      const code = reasonCode(reason);
      this.state = this.slot === null ? code : this.slot.cancel(code);
    }
    return this.state;
  }

  /** A parent that another thread cancelled cancels this one, for all who hold copies of it. */
  private follow(parent: CancellationToken): boolean {
    if (!parent.cancelled) return false;
    this.mark("parent");
    return true;
  }

  private share(): TokenSlot {
    if (this.slot !== null) return this.slot;
    this.slot = ownTable().allocate(this.limitMs);
    if (this.state !== LIVE) this.slot.cancel(this.state);
    return this.slot;
  }

  private unshare(): void {
    const { slot } = this;
    if (slot === null) return;
    if (this.state === LIVE) this.state = slot.state;
    this.slot = null;
    ownTable().free(slot);
  }
}

function earlier(left: number | null, right: number | null): number | null {
  if (left === null || right === null) return left ?? right;
  return Math.min(left, right);
}

function cancelledError(reason: CancelReason | null): EsperError {
  return new EsperError("CANCELLED", `cancelled: ${reason ?? "requested"}`, { reason });
}
