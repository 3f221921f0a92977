/** A call that waits for its reply. Settles exactly once: by reply, deadline, cancel or refusal. */
import { EsperError } from "../../protocols/errors.ts";
import { DeadlineEntry } from "../deadline-wheel.ts";
import type { CancellationToken } from "../token.ts";
import type { Kind } from "../wire/protocol-table.ts";
import type { Caller } from "./message.ts";
import type { TraceContext } from "./trace.ts";

/** What a call needs of the host that sent it. */
export interface CallOwner {
  nowMs(): number;
  /** The entry is in the wheel from now on. */
  arm(call: PendingCall): void;
  onSettled(call: PendingCall): void;
  onLateReply(): void;
}

/** On the monotonic clock. */
export interface CallTimes {
  readonly sentAtMs: number;
  readonly deadlineAtMs: number;
}

export class PendingCall extends DeadlineEntry implements Caller {
  readonly #owner: CallOwner;
  readonly #resolve: (value: unknown) => void;
  readonly #reject: (error: EsperError) => void;
  /** The receiver's name, for messages to people. */
  readonly to: string;
  readonly kind: Kind;
  readonly sentAtMs: number;
  readonly token: CancellationToken | null;
  trace: TraceContext | null = null;
  #withdrawListener: (() => void) | null = null;
  /** Set by the sender: withdraws the message wherever it is. */
  onCancel: (() => void) | null = null;
  /** Its number in the call table, -1 while it waits in its own thread. */
  id = -1;
  /** The thread it waits for; -1 for its own. */
  peer = -1;
  settled = false;
  /** Where its frame ends in the ring to an actor that reads its rings itself; null: not there. */
  position: number | null = null;
  /** True when its token travels with it. */
  lent = false;

  constructor(
    owner: CallOwner,
    to: string,
    kind: Kind,
    { sentAtMs, deadlineAtMs }: CallTimes,
    token: CancellationToken | null,
    resolve: (value: unknown) => void,
    reject: (error: EsperError) => void,
  ) {
    super();
    this.#owner = owner;
    this.to = to;
    this.kind = kind;
    this.deadlineAtMs = deadlineAtMs;
    this.token = token;
    this.#resolve = resolve;
    this.#reject = reject;
    this.sentAtMs = sentAtMs;
    owner.arm(this);
    if (token === null) return;
    const withdraw = token.onCancel(() => this.#cancel());
    if (this.settled) withdraw();
    else this.#withdrawListener = withdraw;
  }

  get what(): string {
    return `${this.to}.${this.kind.name}`;
  }

  reply(value: unknown): void {
    if (this.settled) this.#owner.onLateReply();
    else if (this.#owner.nowMs() > this.deadlineAtMs) {
      // A busy thread runs its timers late; the reply that came before them is late all the same.
      this.#owner.onLateReply();
      this.expire();
    } else if (this.#settle()) this.#resolve(value);
  }

  fail(error: EsperError): void {
    if (this.#settle()) this.#reject(error);
  }

  drop(): void {
    this.expire();
  }

  /** Called by the wheel. */
  override expire(): void {
    if (!this.#settle()) return;
    const deadlineMs = Math.round(this.deadlineAtMs - this.sentAtMs);
    const message = `${this.what} was not answered within ${deadlineMs} ms`;
    const details = { call: this.what, deadlineMs };
    this.#reject(new EsperError("DEADLINE_EXCEEDED", message, details));
  }

  #cancel(): void {
    if (!this.#settle()) return;
    this.onCancel?.();
    this.#reject(new EsperError("CANCELLED", `${this.what} was cancelled`));
  }

  #settle(): boolean {
    if (this.settled) return false;
    this.settled = true;
    this.#withdrawListener?.();
    this.#owner.onSettled(this);
    return true;
  }
}
