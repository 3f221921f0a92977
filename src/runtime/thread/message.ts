/** A message as the receiving thread holds it, and the one who waits for its reply. */
import type { EsperError } from "../../protocols/errors.ts";
import type { Lane } from "../../protocols/protocol.ts";
import type { CancellationToken } from "../token.ts";

/** The waiting side of a call, in this thread or behind a link. */
export interface Caller {
  /** True when nobody waits any more: replied, cancelled or past the deadline. */
  readonly settled: boolean;
  reply(value: unknown): void;
  fail(error: EsperError): void;
  /** The deadline passed before the message was begun: nothing is sent. */
  drop(): void;
}

export interface Message {
  readonly kind: "call" | "cast";
  readonly to: string;
  readonly name: string;
  readonly lane: Lane;
  readonly from: string;
  readonly payload: unknown;
  /** On the monotonic clock; null for casts. */
  readonly deadlineAtMs: number | null;
  /** Null when the sender gave none. */
  readonly token: CancellationToken | null;
  /** Null for casts. */
  readonly caller: Caller | null;
  /** How often its handling crashed the actor. */
  crashes: number;
}
