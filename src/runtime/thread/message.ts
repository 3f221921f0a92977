/** A message as the receiving thread holds it, and the one who waits for its reply. */
import type { EsperError } from "../../protocols/errors.ts";
import type { CancellationToken } from "../token.ts";
import type { Kind } from "../wire/protocol-table.ts";
import { type TraceContext, traceparentOf } from "./trace.ts";

/** The waiting side of a call, in this thread or behind a link. */
export interface Caller {
  /** True when nobody waits any more: replied, cancelled or past the deadline. */
  readonly settled: boolean;
  /** On the monotonic clock. */
  readonly deadlineAtMs: number;
  /** Null when the caller gave none. */
  readonly token: CancellationToken | null;
  reply(value: unknown): void;
  fail(error: EsperError): void;
  /** The deadline passed before the message was begun: nothing is sent. */
  drop(): void;
}

/** Memory lent by another thread for the time of one handling. */
export interface Lease {
  end(): void;
}

/** Made once per message and thread, so its fields are few and plain. */
export class Message {
  readonly kind: Kind;
  readonly payload: unknown;
  /** The sender's address. */
  readonly from: number;
  /** Null for casts. */
  readonly caller: Caller | null;
  readonly trace: TraceContext | null;
  /** Coarse milliseconds of the thread's loop; for the age of the oldest message. */
  queuedAtMs = 0;
  /** How often its handling crashed the actor. */
  crashes = 0;
  lease: Lease | null = null;
  /** Who has it, of calls from other threads; for their withdrawal. */
  receiver: { cancel(message: Message): void } | null = null;
  /** The life of the actor that handles it. */
  info: { readonly token: CancellationToken } | null = null;

  constructor(
    kind: Kind,
    payload: unknown,
    from: number,
    caller: Caller | null,
    trace: TraceContext | null,
  ) {
    this.kind = kind;
    this.payload = payload;
    this.from = from;
    this.caller = caller;
    this.trace = trace;
  }

  get name(): string {
    return this.kind.name;
  }

  get lane(): Kind["lane"] {
    return this.kind.lane;
  }

  /** The token the caller gave, else the actor's own. */
  get token(): CancellationToken {
    return this.caller?.token ?? (this.info as { readonly token: CancellationToken }).token;
  }

  get traceparent(): string | null {
    return this.trace === null ? null : traceparentOf(this.trace);
  }

  get deadlineAtMs(): number | null {
    return this.caller === null ? null : this.caller.deadlineAtMs;
  }

  get isCall(): boolean {
    return this.caller !== null;
  }

  get kindIndex(): number {
    return this.kind.index;
  }
}
