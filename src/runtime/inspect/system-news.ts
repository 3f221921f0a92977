/** The events that only the main thread sees, for those who listen to its channels. */
import type { SystemEvent } from "../thread/types.ts";
import { tell } from "./channels.ts";

/** Tells restarts, stuck actors and ends of threads. */
export function tellSystemEvent(event: SystemEvent): void {
  if (event.kind === "restarted") {
    const { actor, thread, supervisor, starts, tookMs } = event;
    tell("actorRestart", () => ({ actor, thread, supervisor, starts, tookMs }));
  } else if (event.kind === "actor-stuck") {
    const { actor, thread, message, ageMs } = event;
    tell("stuck", () => ({ actor, thread, message, ageMs }));
  } else if (event.kind === "thread-exit") {
    const { thread, code, cause } = event;
    tell("threadExit", () => ({ thread, code, cause }));
  }
}
