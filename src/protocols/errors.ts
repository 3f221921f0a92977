/**
 * Every failure a user, an operator or another actor can see has one code and one row here.
 * Errors cross threads as plain data (`dehydrate`) and come back as `EsperError` (`rehydrate`).
 */

/** How grave an event is, mildest first. */
export type TelemetryLevelName = "INFO" | "WARNING" | "ERROR" | "CRITICAL";

/** What is known of every error with one code. */
export interface ErrorRow {
  readonly text: string;
  readonly retryable: boolean;
  readonly exitCode: 1 | 2 | 3 | 4 | 5 | 6;
  readonly level: TelemetryLevelName;
  /** True when the actor that throws it must be restarted after the reply is sent. */
  readonly fatal: boolean;
}

function row(
  text: string,
  exitCode: ErrorRow["exitCode"],
  level: TelemetryLevelName,
  flags: { retryable?: boolean; fatal?: boolean } = {},
): ErrorRow {
  return {
    text,
    exitCode,
    level,
    retryable: flags.retryable ?? false,
    fatal: flags.fatal ?? false,
  };
}

const retryable = { retryable: true };
const fatal = { fatal: true };

/** Every code with what it means and what follows from it. */
export const ERROR_CATALOGUE = {
  USAGE: row("the command line is not understood", 2, "ERROR"),
  CONFIG_INVALID: row("the configuration is not valid", 2, "ERROR"),
  CONFIG_UNKNOWN_KEY: row("the configuration has an unknown key", 2, "ERROR"),
  TOPOLOGY_UNKNOWN: row("there is no such topology", 2, "ERROR"),
  DATA_INVALID: row("the data cannot be used", 2, "ERROR"),
  DATA_TOO_LARGE: row("the data is larger than the memory budget", 2, "ERROR"),
  RUN_NOT_FOUND: row("there is no such run", 2, "ERROR"),
  RUN_LAYOUT: row("something in the run's directory is not the run's own", 2, "ERROR"),
  RUN_LOCKED: row("another process is using this run", 2, "ERROR"),
  RUN_NOT_RUNNING: row("the run is not running", 2, "ERROR"),
  CONTROL_DENIED: row("the control socket may not be used", 2, "ERROR"),
  CONTROL_UNREACHABLE: row("the control socket does not answer", 1, "ERROR", retryable),
  DEPENDENCY_MISSING: row("something this run needs is missing", 3, "CRITICAL"),
  DEPENDENCY_VIOLATION: row("a required id, entry or secret is missing", 3, "CRITICAL"),
  PREFLIGHT_FAILED: row("the start checks failed", 3, "CRITICAL"),
  SECRET_MISSING: row("the signing secret is missing or too short", 3, "CRITICAL"),

  MAILBOX_FULL: row("the mailbox is full", 1, "WARNING", retryable),
  ACTOR_RESTARTING: row("the actor is restarting", 1, "WARNING", retryable),
  ACTOR_STOPPED: row("the actor has stopped", 1, "WARNING"),
  ACTOR_UNKNOWN: row("there is no actor of this name", 1, "ERROR"),
  MESSAGE_UNKNOWN: row("the actor does not understand this message", 1, "ERROR"),
  DEADLINE_EXCEEDED: row("the deadline passed before the reply", 1, "WARNING"),
  CANCELLED: row("the work was cancelled", 1, "INFO"),
  TOKEN_LIMIT: row("there are too many cancellation tokens", 1, "ERROR"),
  NOT_TRANSFERABLE: row("the payload cannot cross threads", 1, "ERROR"),
  NAME_TAKEN: row("another actor has this name", 1, "ERROR"),
  LINKED_DOWN: row("an actor to which this one is linked failed", 1, "ERROR", fatal),
  SUPERVISOR_GAVE_UP: row("an actor failed more often than its supervisor allows", 1, "CRITICAL"),
  PROTOCOL_MISMATCH: row("the actor understands another protocol", 1, "ERROR"),
  STASH_FULL: row("the actor has put aside as many messages as it may", 1, "WARNING"),
  ACTOR_LIMIT: row("the thread holds as many actors as it can", 1, "ERROR"),
  HANDLER_TIMEOUT: row("the actor took too long over one message", 1, "ERROR", fatal),
  HANDLER_FAILED: row("the actor failed while handling the message", 1, "ERROR"),
  BACKLOG_FULL: row("too much work waits already", 1, "WARNING", retryable),
  JOB_LOST: row("the worker of the job ended before the job", 1, "ERROR", retryable),
  POOL_CLOSED: row("the pool is closed", 1, "WARNING"),
  SIMULATION_FAILED: row("a simulated run did not keep its promises", 4, "ERROR"),

  FRAME_MALFORMED: row("the bytes are not a valid frame", 1, "ERROR"),
  FRAME_TOO_LARGE: row("the frame is larger than allowed", 1, "ERROR"),

  COMMAND_UNSIGNED: row("the command has no signature", 1, "CRITICAL"),
  COMMAND_FORGED: row("the signature does not match the command", 1, "CRITICAL"),
  COMMAND_STALE: row("the command is too old", 1, "CRITICAL"),
  COMMAND_FUTURE: row("the command is dated in the future", 1, "ERROR"),
  COMMAND_REPLAYED: row("the command was already accepted once", 1, "CRITICAL"),
  COMMAND_MISSING_ID: row("the command has no id", 1, "ERROR"),
  COMMAND_INVALID: row("the command is not valid", 1, "ERROR"),
  COMMAND_ILLEGAL_TRANSITION: row("the seed cannot move to that stage", 1, "ERROR"),
  LEDGER_FULL: row("the nonce ledger is full of live entries", 1, "CRITICAL", retryable),
  BLEND_INVALID: row("the blend mode or its parameters are not valid", 1, "ERROR"),
  BLUEPRINT_UNKNOWN: row("there is no such blueprint", 1, "ERROR"),
  BLUEPRINT_REFUSED: row("the blueprint may not be used here", 1, "ERROR"),

  WAL_CORRUPT: row("the write-ahead log is damaged", 1, "CRITICAL", fatal),
  WAL_FOREIGN: row("the write-ahead log belongs to another run", 1, "CRITICAL"),
  WAL_NOT_A_LOG: row("this is not a write-ahead log", 1, "CRITICAL", fatal),
  WAL_VERSION: row("the write-ahead log is of a later version", 1, "CRITICAL", fatal),
  WAL_MISSING: row("a log of the run is missing or was emptied", 1, "CRITICAL"),
  WAL_POISONED: row("the write-ahead log can no longer be trusted", 1, "CRITICAL", fatal),
  WAL_FULL: row("there is no room for the write-ahead log", 1, "CRITICAL"),
  STORAGE_FULL: row("there is no room on the disk", 1, "CRITICAL"),
  STORAGE_FAILED: row("the disk refused an operation", 1, "CRITICAL"),
  NOTHING_STORED: row("there is nothing of that kind on the disk", 3, "ERROR"),
  LOG_DAMAGED: row("a log of the run is damaged", 4, "CRITICAL"),
  LOG_BUSY: row("the log changed under every look", 1, "WARNING", retryable),
  BACKUP_MISSING: row("there is no finished backup", 3, "ERROR"),
  BACKUP_INVALID: row("the backup cannot be used here", 2, "ERROR"),
  BACKUP_DAMAGED: row("the backup is damaged", 4, "CRITICAL"),
  PLACE_TAKEN: row("the place is not empty", 2, "ERROR"),
  PLACE_UNUSABLE: row("no directory can be made at the place", 2, "ERROR"),
  CHECKPOINT_DIGEST: row("the checkpoint is damaged", 1, "CRITICAL"),
  CHECKPOINT_DAMAGED: row("a checkpoint that was to be compared is damaged", 4, "CRITICAL"),
  CHECKPOINT_VERSION: row("the checkpoint is of a later version", 1, "CRITICAL"),
  CHECKPOINT_MISSING: row("there is no checkpoint to continue from", 2, "ERROR"),
  CHECKPOINT_FOREIGN: row("the checkpoint belongs to another run", 1, "CRITICAL"),
  SNAPSHOT_REFUSED: row("the state cannot be kept for a rollback", 1, "WARNING"),
  RECORD_WITHOUT_TIME: row("the record has no time", 1, "ERROR"),

  GRAFT_SHAPE: row("the seed does not fit where it is grafted", 1, "ERROR"),
  LOSS_NOT_FINITE: row("the loss is not a finite number", 1, "CRITICAL"),
  ENGINE_UNSUPPORTED: row("the tensor engine lacks an operation", 3, "CRITICAL"),
} as const satisfies Record<string, ErrorRow>;

/** The codes of the catalogue. */
export type ErrorCode = keyof typeof ERROR_CATALOGUE;
/** What was given, what is allowed, who is concerned; plain data. */
export type ErrorDetails = Readonly<Record<string, unknown>>;

/** The one error class of the product: a code from the catalogue and plain-data details. */
export class EsperError extends Error {
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "EsperError";
    this.code = code;
    this.details = details;
  }

  /** As `new`, for what `cause` failed with: its stack is that of `cause`, made when it is read. */
  static from(code: ErrorCode, message: string, details: ErrorDetails, cause: unknown): EsperError {
    const { stackTraceLimit } = Error;
    // Looking at the stack takes longer than restarting an actor.
    Error.stackTraceLimit = 0;
    try {
      const error = new EsperError(code, message, details, cause);
      if (cause instanceof Error) Object.defineProperty(error, "stack", stackOf(cause));
      return error;
    } finally {
      Error.stackTraceLimit = stackTraceLimit;
    }
  }

  get row(): ErrorRow {
    return ERROR_CATALOGUE[this.code];
  }

  /** True for an error of this class, with this code if one is given. */
  static is(value: unknown, code?: ErrorCode): value is EsperError {
    return value instanceof EsperError && (code === undefined || value.code === code);
  }
}

/** Where `cause` was thrown tells more than where it was caught. */
function stackOf(cause: Error): PropertyDescriptor {
  return { get: () => cause.stack, configurable: true, enumerable: false };
}

/** Something that must hold did not: a bug. Never caught by an actor, always restarts it. */
export class InvariantViolation extends Error {
  constructor(what: string) {
    super(`invariant violated: ${what}`);
    this.name = "InvariantViolation";
  }
}

/** Throws an `InvariantViolation` unless `condition` holds. */
export function invariant(condition: unknown, what: string): asserts condition {
  if (!condition) throw new InvariantViolation(what);
}

/** A thrown value as it travels between threads. */
export interface WireError {
  readonly code: ErrorCode | null;
  readonly name: string;
  readonly message: string;
  readonly details: ErrorDetails;
  readonly stack: string | null;
}

/** Turns any thrown value into plain data that structured clone accepts. */
export function dehydrate(error: unknown): WireError {
  if (error instanceof Error) {
    const coded = error instanceof EsperError ? error : null;
    return {
      code: coded?.code ?? null,
      name: error.name,
      message: error.message,
      details: coded?.details ?? {},
      stack: error.stack ?? null,
    };
  }
  return { code: null, name: "NonError", message: textOf(error), details: {}, stack: null };
}

/** The text of anything, even of what has none. */
export function textOf(value: unknown): string {
  try {
    return String(value);
  } catch {
    return `a ${typeof value} without a text`;
  }
}

/** The inverse of `dehydrate`; an error without a code comes back as `HANDLER_FAILED`. */
export function rehydrate(wire: WireError): EsperError {
  const error = new EsperError(
    wire.code ?? "HANDLER_FAILED",
    wire.code === null ? `${wire.name}: ${wire.message}` : wire.message,
    wire.details,
  );
  if (wire.stack !== null) error.stack = wire.stack;
  return error;
}
