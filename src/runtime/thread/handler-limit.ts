/** The limit on how long an actor may take over one message, waiting included. */
import { EsperError } from "../../protocols/errors.ts";
import type { Cell } from "./cell.ts";
import type { Message } from "./message.ts";

/**
 * Settles `done` or `fail` with what the work on `message` comes to, or `fail` with
 * HANDLER_TIMEOUT when the actor has a limit.
 */
export function settleWithin(
  { name, definition, services }: Cell,
  message: Message,
  work: PromiseLike<unknown>,
  done: (value: unknown) => void,
  fail: (error: unknown) => void,
): void {
  const limitMs = definition.supervision.handlerLimitMs;
  if (limitMs === undefined) {
    work.then(done, fail);
    return;
  }
  const what = `${name}.${message.name}`;
  const timer = services.clock.after(limitMs, () => fail(handlerTimeout(what, limitMs)), true);
  work.then(
    (value) => {
      timer.cancel();
      done(value);
    },
    (error) => {
      timer.cancel();
      fail(error);
    },
  );
}

/** The failure of an actor that took `ageMs` over one piece of work and was told to end it. */
export function handlerTimeout(what: string, ageMs: number): EsperError {
  const text = `${what} was not done after ${Math.round(ageMs)} ms`;
  return new EsperError("HANDLER_TIMEOUT", text, { what, limitMs: Math.round(ageMs) });
}
