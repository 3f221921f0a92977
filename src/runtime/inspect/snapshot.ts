/**
 * One running system at one moment, as plain data. Every figure comes from shared memory, so a
 * thread that hangs is shown like any other; what such a thread last published itself is marked by
 * its `publishedAgeMs`. Durations are in milliseconds, sizes in bytes.
 */
import type { Lane } from "../../protocols/protocol.ts";
import type { Overflow, RestartKind } from "../actor.ts";
import type { PoolAccount } from "../pool/account.ts";
import type { ActorState } from "../supervision.ts";
import type { DeadLetterReason } from "../thread/types.ts";
import type { Strategy } from "../topology.ts";

/** Goes up when a field changes its meaning or goes away; new fields may come at any time. */
export const SNAPSHOT_VERSION = 1;

/** A system at one moment. */
export interface SystemSnapshot {
  readonly version: typeof SNAPSHOT_VERSION;
  /** Wall time. */
  readonly atMs: number;
  readonly uptimeMs: number;
  /** Over how long the rates (`perSecond`, `utilisation`) were measured. */
  readonly overMs: number;
  readonly process: ProcessSnapshot;
  readonly tree: SupervisorSnapshot;
  readonly threads: readonly ThreadSnapshot[];
  readonly deadLetters: DeadLettersSnapshot;
  /** Loaded threads in reserve. */
  readonly spares: number;
  /** Threads that were told to end and did not. */
  readonly zombies: number;
}

/** The process as a whole. */
export interface ProcessSnapshot {
  readonly pid: number;
  readonly rssBytes: number;
}

/** How often something failed lately, against how often it may. */
export interface FailuresSnapshot {
  readonly recent: number;
  readonly intensity: number;
  readonly periodMs: number;
}

/** One supervisor and what it supervises. */
export interface SupervisorSnapshot {
  readonly kind: "supervisor";
  readonly name: string;
  readonly strategy: Strategy;
  readonly failures: FailuresSnapshot;
  readonly children: readonly TreeSnapshot[];
}

/** A node of the supervision tree. */
export type TreeSnapshot = SupervisorSnapshot | ActorSnapshot;

/** One actor of the tree. */
export interface ActorSnapshot {
  readonly kind: "actor";
  readonly name: string;
  readonly protocol: string;
  readonly thread: string;
  readonly restart: RestartKind;
  readonly state: ActorState;
  readonly starts: number;
  readonly failures: FailuresSnapshot;
  readonly mailbox: MailboxSnapshot;
  readonly processed: number;
  readonly failed: number;
  readonly perSecond: number;
  readonly current: CurrentSnapshot | null;
}

/** What waits for an actor. */
export interface MailboxSnapshot {
  /** Messages sent and not yet begun, exact: `onTheWay` and those of all lanes. */
  readonly depth: number;
  readonly capacity: number;
  readonly overflow: Overflow;
  /** Messages that its thread has not seen yet. */
  readonly onTheWay: number;
  /** Messages that the actor has put aside. */
  readonly stashed: number;
  readonly lanes: readonly LaneSnapshot[];
}

/** One lane of a mailbox. */
export interface LaneSnapshot {
  readonly lane: Lane;
  readonly depth: number;
  /** Age of the oldest message; null in an empty lane. */
  readonly oldestMs: number | null;
}

/** What an actor does now. */
export interface CurrentSnapshot {
  /** The name of the message, or `(setup)`, `(stop)`, `(timer)`. */
  readonly message: string;
  readonly forMs: number;
  /** The handler waits for something and holds nobody up but its own mailbox. */
  readonly waiting: boolean;
}

/** What a thread is doing. */
export type ThreadStateName =
  | "loading"
  | "running"
  /** Asleep until a message comes; what waits for a timer or the disk goes on. */
  | "parked"
  | "condemned"
  | "dead"
  /** Between the end of a thread and the start of the next. */
  | "missing";

/** One thread. */
export interface ThreadSnapshot {
  readonly name: string;
  readonly id: number;
  /** Counts the starts of the thread. */
  readonly epoch: number;
  readonly state: ThreadStateName;
  /** For how long the thread has given no sign of life. */
  readonly heartbeatAgeMs: number;
  /** Share of the time in which the event loop worked; null where the platform does not say. */
  readonly utilisation: number | null;
  readonly parks: number;
  readonly wakes: number;
  readonly spins: number;
  /** How often a ring to another thread had no room. */
  readonly ringFull: number;
  /** Rings to other threads that hold something. */
  readonly rings: readonly RingSnapshot[];
  readonly memory: MemorySnapshot | null;
  /** Age of what the thread itself last published; null before the first time. */
  readonly publishedAgeMs: number | null;
  readonly spawned: SpawnedSnapshot;
  readonly pools: readonly PoolSnapshot[];
}

/** One ring that leaves a thread. */
export interface RingSnapshot {
  /** The thread that reads the ring. */
  readonly to: string;
  readonly lane: Lane;
  readonly usedBytes: number;
  readonly capacityBytes: number;
}

/** Memory of one thread; buffers count where they were made. */
export interface MemorySnapshot {
  readonly heapUsedBytes: number;
  readonly heapLimitBytes: number;
  readonly externalBytes: number;
  readonly arrayBuffersBytes: number;
}

/** Actors that were started by actors. */
export interface SpawnedSnapshot {
  readonly count: number;
  /** Those with the most messages, if any have some. */
  readonly top: readonly {
    readonly name: string;
    readonly depth: number;
    readonly oldestMs: number | null;
  }[];
}

/** One open pool. */
export interface PoolSnapshot {
  readonly name: string;
  readonly account: PoolAccount;
}

/** All messages that nobody handled, and the last of them. */
export interface DeadLettersSnapshot {
  readonly total: number;
  readonly byReason: Readonly<Partial<Record<DeadLetterReason, number>>>;
  /** Newest last. */
  readonly last: readonly DeadLetterSnapshot[];
}

/** Equal messages that nobody handled. */
export interface DeadLetterSnapshot {
  readonly atMs: number;
  readonly thread: string;
  readonly actor: string;
  readonly message: string;
  readonly lane: Lane | "unknown";
  readonly from: string;
  readonly reason: DeadLetterReason;
  readonly count: number;
}
