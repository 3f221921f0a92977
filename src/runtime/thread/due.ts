/** Whether a call is still to be handled when its turn has come; one that is not gets its end. */
import { EsperError } from "../../protocols/errors.ts";
import type { Cell } from "./cell.ts";
import type { Caller, Message } from "./message.ts";

/** False for what must not be handled any more. */
export function isDue(cell: Cell, message: Message, caller: Caller): boolean {
  if (cell.services.clock.monotonicMs() > caller.deadlineAtMs) {
    cell.bury(message, "deadline-passed");
    cell.finish(message);
    caller.drop();
    return false;
  }
  if (!caller.settled) {
    if (caller.token === null || !caller.token.cancelled) return true;
    caller.fail(new EsperError("CANCELLED", `${message.name} was cancelled`));
  }
  cell.finish(message);
  return false;
}
