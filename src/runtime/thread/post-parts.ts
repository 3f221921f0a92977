/** What the sending side of a host is given. */
import type { Clock } from "../clock.ts";
import type { DeadlineWheel } from "../deadline-wheel.ts";
import type { CallWatch } from "../inspect/call-watch.ts";
import type { Random } from "../random.ts";
import type { Kind } from "../wire/protocol-table.ts";
import type { CallTable } from "./call-table.ts";
import type { CellServices } from "./cell-parts.ts";
import type { Link } from "./link.ts";
import type { Caller } from "./message.ts";
import type { CallOwner, PendingCall } from "./pending.ts";
import type { Target } from "./refs.ts";
import type { DeadLetterReason } from "./types.ts";

/** Encodes and decodes what stays in the thread, as if it crossed threads. */
export interface LocalEncoding {
  /** @throws {NOT_TRANSFERABLE} */
  payload(kind: Kind, payload: unknown, transfer: readonly ArrayBuffer[] | undefined): unknown;
  caller(call: PendingCall): Caller;
}

export interface PostParts {
  readonly threadId: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly wheel: DeadlineWheel;
  readonly owner: CallOwner;
  readonly calls: CallTable;
  /** Null: payloads stay as they are inside the thread. */
  readonly encodeLocal: LocalEncoding | null;
  readonly services: () => CellServices;
  link(threadId: number): Link | undefined;
  /** False until the thread was heard of for the first time. */
  wasLinked(threadId: number): boolean;
  /** Of the actors of the tree, for messages to people. */
  names(): readonly string[];
  isRetired(target: Target): boolean;
  /** Makes the trace context of what is sent, and follows calls. */
  readonly watch: CallWatch;
  bury(actor: string, kind: Kind, from: number, reason: DeadLetterReason): void;
}
