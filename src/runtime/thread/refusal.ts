/** The coded errors by which a sender learns why its message was not taken. */
import { EsperError, textOf } from "../../protocols/errors.ts";
import { MAX_DELAY_MS } from "../clock.ts";
import type { CancellationToken } from "../token.ts";
import type { Attempt } from "./post.ts";
import type { DeadLetterReason } from "./types.ts";

export function unknownMessage(to: string, name: string, kind: "call" | "cast"): EsperError {
  const details = { actor: to, name };
  return new EsperError("MESSAGE_UNKNOWN", `${to} has no ${kind} named ${name}`, details);
}

export function cancelled(to: string, name: string, token: CancellationToken): EsperError {
  const { reason } = token;
  return new EsperError("CANCELLED", `${to}.${name} was cancelled before it was sent`, { reason });
}

export function unknownActor(name: string, known: readonly string[]): EsperError {
  const text = `there is no actor ${name}; there are ${known.join(", ")}`;
  return new EsperError("ACTOR_UNKNOWN", text, { actor: name, known });
}

export function refused(
  attempt: Attempt,
  actor: string,
  depth: number,
  capacity: number,
): EsperError {
  if (attempt === "full" || attempt === "behind") {
    const text = `the mailbox of ${actor} is full: ${depth} messages, capacity ${capacity}`;
    return new EsperError("MAILBOX_FULL", text, { actor, depth, capacity });
  }
  if (attempt === "restarting") {
    const text = `${actor} is restarting: its thread is being replaced`;
    return new EsperError("ACTOR_RESTARTING", text, { actor });
  }
  const text = `${actor} has stopped and takes no more messages`;
  return new EsperError("ACTOR_STOPPED", text, { actor });
}

/** Why a cast that was not taken is dead. */
export function letterReason(attempt: Attempt): DeadLetterReason {
  if (attempt === "full" || attempt === "behind") return "mailbox-full";
  if (attempt === "unknown") return "actor-unknown";
  return attempt === "restarting" ? "crashed-actor" : "stopped";
}

/** Adds to an error of the codec which message it was. @throws the error itself when it is none. */
export function located(error: unknown, actor: string, message: string): EsperError {
  if (!(error instanceof EsperError)) throw error;
  const text = `the payload of ${actor}.${message} cannot travel: ${error.message}`;
  return new EsperError(error.code, text, { ...error.details, actor, message }, error);
}

/** What the caller of a message that nobody will handle is told. */
export function discardError(actor: string, reason: DeadLetterReason, depth: number): EsperError {
  switch (reason) {
    case "mailbox-full": {
      const text = `the mailbox of ${actor} is full: ${depth} messages`;
      return new EsperError("MAILBOX_FULL", text, { actor, depth });
    }
    case "crashed-actor":
      return new EsperError("ACTOR_RESTARTING", `${actor} is restarting`, { actor });
    default:
      return new EsperError("ACTOR_STOPPED", `${actor} has stopped`, { actor });
  }
}

/** @throws {CONFIG_INVALID} unless there is a deadline, in milliseconds, that a timer can keep. */
export function checkDeadline(
  to: string,
  name: string,
  options: { readonly deadlineMs?: number } | undefined,
): void {
  const value = options?.deadlineMs;
  if (typeof value === "number" && value <= MAX_DELAY_MS) return;
  const allowed = `a number of milliseconds up to ${MAX_DELAY_MS}`;
  const text = `deadlineMs of ${to}.${name} is ${textOf(value)}; allowed: ${allowed}`;
  throw new EsperError("CONFIG_INVALID", text, {
    path: "deadlineMs",
    value: value ?? null,
    allowed,
  });
}
