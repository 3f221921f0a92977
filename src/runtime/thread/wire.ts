/** The messages between threads: between hosts (mail) and between a host and the system. */
import type { WireError } from "../../protocols/errors.ts";
import type { Overflow } from "../actor.ts";
import type { TokenHandle } from "../token.ts";
import type { DeadLetter, LogRecord } from "./types.ts";

/** Where an actor lives and how much it takes; known to every thread. */
export interface Route {
  readonly name: string;
  readonly protocol: string;
  readonly thread: string;
  /** Row of the actor in its thread's credit table. */
  readonly slot: number;
  /** Row of the actor in the system's tally. */
  readonly index: number;
  readonly capacity: number;
  readonly overflow: Overflow;
}

/** Between two hosts. Deadlines are on the process-wide monotonic clock. */
export type Mail =
  | {
      readonly kind: "call";
      readonly id: number;
      readonly to: string;
      readonly from: string;
      readonly name: string;
      readonly payload: unknown;
      readonly deadlineAtMs: number;
      readonly token: TokenHandle | null;
    }
  | {
      readonly kind: "cast";
      readonly to: string;
      readonly from: string;
      readonly name: string;
      readonly payload: unknown;
    }
  | { readonly kind: "reply"; readonly id: number; readonly value: unknown }
  | { readonly kind: "fail"; readonly id: number; readonly error: WireError }
  | { readonly kind: "cancel"; readonly id: number };

/** One end of the connection between two hosts. */
export interface MailPort {
  /** @throws DataCloneError when the mail cannot cross threads. */
  post(mail: Mail, transfer?: readonly ArrayBuffer[]): void;
  /** `receive` gets every mail in order; `closed` is called once when the other end is gone. */
  open(receive: (mail: Mail) => void, closed: () => void): void;
  /** Reads what has arrived and was not yet delivered, then closes. */
  close(): void;
}

/** The system tells a host. */
export type Control<Port = MailPort> =
  | {
      readonly kind: "link";
      readonly thread: string;
      readonly epoch: number;
      readonly credits: SharedArrayBuffer;
      readonly port: Port;
    }
  | { readonly kind: "down"; readonly thread: string; readonly epoch: number }
  | { readonly kind: "retired"; readonly actor: string }
  | { readonly kind: "start"; readonly actor: string; readonly starts: number }
  | {
      readonly kind: "stop";
      readonly actor: string;
      readonly final: boolean;
      readonly limitMs: number;
    }
  | { readonly kind: "crash"; readonly actor: string }
  | { readonly kind: "flush"; readonly limitMs: number };

/** A host tells the system. */
export type Report =
  | { readonly kind: "ready" }
  | { readonly kind: "started"; readonly actor: string }
  | { readonly kind: "crashed"; readonly actor: string; readonly error: WireError }
  | { readonly kind: "failed"; readonly actor: string; readonly error: WireError }
  | { readonly kind: "stopped"; readonly actor: string }
  /** `left` events were not acknowledged by the collector within the limit. */
  | { readonly kind: "flushed"; readonly left: number }
  | { readonly kind: "log"; readonly record: LogRecord }
  | { readonly kind: "dead-letter"; readonly letter: DeadLetter }
  | { readonly kind: "fatal"; readonly error: WireError };

/** Everything a host must know before its actors start. */
export interface HostSeed {
  readonly thread: string;
  /** Counts the starts of this thread, from 1. */
  readonly epoch: number;
  readonly runSeed: number;
  readonly incarnation: number;
  readonly routes: readonly Route[];
  readonly credits: SharedArrayBuffer;
  readonly tally: SharedArrayBuffer;
  /** The telemetry collector's actor name. */
  readonly collector: string | null;
  /** Clone payloads between actors of one thread as if they crossed threads. */
  readonly encodeLocal: boolean;
  readonly setupLimitMs: number;
}

/** How a worker finds an actor's definition. */
export interface ActorSource {
  readonly name: string;
  readonly module: string;
  readonly exportName: string;
  /** Parsed already; plain data. */
  readonly config: unknown;
}
