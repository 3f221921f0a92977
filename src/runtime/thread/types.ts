/** What a running system tells the process that started it. Plain data. */
import type { EsperError } from "../../protocols/errors.ts";
import type { Lane } from "../../protocols/protocol.ts";
import type { Strike } from "../faults/fault-desk.ts";
import type { ActorState } from "../supervision.ts";

/** How grave a log line is. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/** One line of the log. `time` is wall time in milliseconds; further keys are the fields given. */
export interface LogRecord {
  readonly level: LogLevel;
  readonly time: number;
  readonly actor: string;
  readonly thread: string;
  readonly msg: string;
  readonly [field: string]: string | number | boolean;
}

/** Why a message was not handled. */
export type DeadLetterReason =
  | "actor-unknown"
  | "mailbox-full"
  | "stopped"
  | "deadline-passed"
  | "crashed-actor"
  | "quarantined"
  | "malformed";

/** Messages that nobody will handle; equal ones that die together are counted in one. */
export interface DeadLetter {
  readonly actor: string;
  /** The message's name; `*` when it died unseen in the memory of a dead thread. */
  readonly message: string;
  readonly lane: Lane | "unknown";
  readonly from: string;
  readonly reason: DeadLetterReason;
  readonly count: number;
}

/** What happens in a system. */
export type SystemEvent =
  | { readonly kind: "up" }
  | ({ readonly kind: "dead-letter"; readonly thread: string } & DeadLetter)
  | {
      readonly kind: "crashed";
      readonly actor: string;
      readonly thread: string;
      readonly error: EsperError;
    }
  | {
      readonly kind: "restarted";
      readonly actor: string;
      readonly thread: string;
      readonly supervisor: string;
      readonly starts: number;
      readonly tookMs: number;
    }
  | {
      readonly kind: "gave-up";
      readonly supervisor: string;
      readonly actor: string;
      readonly error: EsperError;
    }
  | { readonly kind: "retired"; readonly actor: string }
  | {
      readonly kind: "thread-exit";
      readonly thread: string;
      readonly code: number;
      readonly cause: string;
    }
  /** Work has held the thread for too long: the actor's token is cancelled, the thread may die. */
  | {
      readonly kind: "actor-stuck";
      readonly thread: string;
      /** Null when the thread hangs between two messages, as after an `await`. */
      readonly actor: string | null;
      /** The message, or `(setup)`, `(stop)`, `(timer)`; null as above. */
      readonly message: string | null;
      readonly ageMs: number;
    }
  /** A thread that was told to end and did not; it is cut off and replaced all the same. */
  | { readonly kind: "zombie"; readonly thread: string; readonly zombies: number }
  /** A thread that had been given up has ended after all. */
  | { readonly kind: "zombie-ended"; readonly thread: string; readonly zombies: number }
  | ({ readonly kind: "fault" } & Strike);

/** One actor of the tree in brief. */
export interface ActorStatus {
  readonly name: string;
  readonly thread: string;
  readonly state: ActorState;
  readonly starts: number;
  readonly restarts: number;
  /** Messages on their way or queued, not yet begun. */
  readonly mailboxDepth: number;
  readonly processed: number;
  readonly failed: number;
}

/** How a system came to its end. */
export type SystemEnd =
  | { readonly outcome: "stopped" }
  | { readonly outcome: "gave-up"; readonly error: EsperError };
