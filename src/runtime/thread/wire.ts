/** What the system on the main thread and the hosts tell each other. */
import type { WireError } from "../../protocols/errors.ts";
import type { DownReason, Overflow } from "../actor.ts";
import type { StrikeReport } from "../faults/fault-points.ts";
import type { ArmedFault } from "../faults/rule.ts";
import type { TokenHandle } from "../token-table.ts";
import type { Connection } from "./connection.ts";
import type { DownCause } from "./notices.ts";
import type { TokenMemory } from "./token-memory.ts";
import type { TracingOptions } from "./trace.ts";
import type { DeadLetter, LogRecord } from "./types.ts";

/** Where an actor lives and how much it takes; known to every thread. */
export interface Route {
  readonly name: string;
  readonly protocol: string;
  /** Tells apart two forms of a protocol of one name. */
  readonly fingerprint: number;
  readonly thread: string;
  readonly threadId: number;
  /** Row of the actor in the tables of its thread; 0 is the thread itself. */
  readonly slot: number;
  /** Row of the actor in the system's tally. */
  readonly index: number;
  readonly capacity: number;
  readonly overflow: Overflow;
  /** True when its messages stay in the rings until each is handled. */
  readonly direct: boolean;
}

/** Rings to a thread that are to be read on by the one that takes its place. */
export type KeptRings = readonly SharedArrayBuffer[];

/** The system tells a host. */
export type Control<Link = Connection> =
  | { readonly kind: "link"; readonly connection: Link }
  | {
      readonly kind: "down";
      readonly thread: string;
      readonly epoch: number;
      /**
       * By thread: how far the rings from it were freed, lane by lane. The rings are given to the
       * next start of the thread. Null when what they hold is lost.
       */
      readonly kept: ReadonlyMap<number, readonly number[]> | null;
    }
  /** What threads that are over had sent, and an earlier start of this thread had not handled. */
  | { readonly kind: "orphans"; readonly rings: readonly KeptRings[] }
  /** The actor of the tree is gone for good. */
  | {
      readonly kind: "retired";
      readonly actor: string;
      readonly reason: DownReason;
      readonly cause: DownCause | null;
    }
  | { readonly kind: "restarted"; readonly actor: string }
  | { readonly kind: "start"; readonly actor: string; readonly starts: number }
  | {
      readonly kind: "stop";
      readonly actor: string;
      readonly final: boolean;
      readonly limitMs: number;
    }
  | { readonly kind: "crash"; readonly actor: string }
  /** The actor held its thread too long and was told to let go; it is failed when it did. */
  | { readonly kind: "stuck"; readonly actor: string; readonly ageMs: number }
  /** Asks the thread to show that its loop turns. */
  | { readonly kind: "beat" }
  | { readonly kind: "flush"; readonly limitMs: number }
  | { readonly kind: "arm"; readonly faults: readonly ArmedFault[] };

/** A host tells the system. */
export type Report =
  | { readonly kind: "ready" }
  | {
      readonly kind: "started";
      readonly actor: string;
      /** The token of this life, so that it can be cancelled while the thread hangs. */
      readonly token: TokenHandle;
    }
  | { readonly kind: "crashed"; readonly actor: string; readonly error: WireError }
  | { readonly kind: "failed"; readonly actor: string; readonly error: WireError }
  | { readonly kind: "stopped"; readonly actor: string }
  /** The actor ended because it wanted to. */
  | { readonly kind: "left"; readonly actor: string }
  /** Somebody in the thread wants to know of the restarts of this actor. */
  | { readonly kind: "watch-restarts"; readonly actor: string }
  /** `left` events were not acknowledged by the collector within the limit. */
  | { readonly kind: "flushed"; readonly left: number }
  | { readonly kind: "log"; readonly record: LogRecord }
  | { readonly kind: "dead-letter"; readonly letter: DeadLetter }
  | { readonly kind: "fatal"; readonly error: WireError }
  | StrikeReport;

/** Everything a host must know before its actors start. */
export interface HostSeed {
  readonly thread: string;
  readonly threadId: number;
  /** Counts the starts of this thread, from 1. */
  readonly epoch: number;
  readonly runSeed: number;
  readonly incarnation: number;
  readonly routes: readonly Route[];
  readonly credits: SharedArrayBuffer;
  readonly tally: SharedArrayBuffer;
  /** What the thread shows of itself. */
  readonly block: SharedArrayBuffer;
  /** What it shows of its actors. */
  readonly stats: SharedArrayBuffer;
  /** The table of the thread's cancellation tokens. */
  readonly tokens: TokenMemory;
  /** The names of spawned actors, of all threads. */
  readonly names: SharedArrayBuffer;
  /** The record shapes that all threads encode with. */
  readonly structures: SharedArrayBuffer;
  /** How long an idle loop looks on before it parks. */
  readonly spinMs: number;
  /** The telemetry collector's actor name. */
  readonly collector: string | null;
  /** Clone payloads between actors of one thread as if they crossed threads. */
  readonly encodeLocal: boolean;
  readonly setupLimitMs: number;
  /** True when all threads are pretended by the calling one. */
  readonly inline: boolean;
  /** What is to go wrong on purpose. */
  readonly faults: readonly ArmedFault[];
  /** Null while nothing is traced. */
  readonly tracing: TracingOptions | null;
}

/** How a worker finds an actor's definition. */
export interface ActorSource {
  readonly name: string;
  readonly module: string;
  /** Its place among the definitions that the module makes. */
  readonly ordinal: number;
  readonly protocol: string;
  /** Parsed already; plain data. */
  readonly config: unknown;
}
