/** Tells the log, the telemetry collector and the process that a fault has struck. */
import type { Strike } from "./fault-desk.ts";

/** The telling side of the main thread's host. */
interface Voice {
  log(
    level: "warn",
    actor: string,
    fields: Readonly<Record<string, string | number>>,
    msg: string,
  ): void;
  emit(
    source: string,
    name: string,
    level: "WARNING",
    attributes: Readonly<Record<string, string | number>>,
  ): void;
}

const SOURCE = "faults";

/** Every strike that a thread reports is one line in the log and one event. */
export function tellStrike(voice: Voice, strike: Strike): void {
  const { actor: struck, thread, message, fault, strikes } = strike;
  voice.log(
    "warn",
    SOURCE,
    { fault, struck, in: thread, message, strikes },
    "a fault was injected",
  );
  const attributes = { fault, actor: struck, thread, message, strikes };
  voice.emit(SOURCE, "runtime.fault_injected", "WARNING", attributes);
}
