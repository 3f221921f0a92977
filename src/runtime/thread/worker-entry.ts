/**
 * What runs first in every worker thread: it loads the definitions, builds the host, and obeys the
 * system on the main thread. Whatever nobody caught in this thread ends it, with its cause, no
 * matter which handlers a library has put on `process`.
 */
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { dehydrate, invariant } from "../../protocols/errors.ts";
import { systemClock } from "../clock.ts";
import { Host } from "./host.ts";
import { isCloneError } from "./link.ts";
import { loadDefinition } from "./locate.ts";
import { portOf } from "./port-link.ts";
import type { Control, Report } from "./wire.ts";
import type { WorkerOrder } from "./worker-driver.ts";

invariant(parentPort !== null, "the worker entry runs in a worker thread");
const system = parentPort;
const { seed, actors: sources } = workerData as WorkerOrder;

/** The details of an error may hold anything; when they cannot cross, the rest still does. */
function report(message: Report): void {
  try {
    system.postMessage(message);
  } catch (error) {
    if (!isCloneError(error) || !("error" in message)) throw error;
    const details = { lost: "the details cannot cross threads" };
    system.postMessage({ ...message, error: { ...message.error, details } });
  }
}

let host: Host | null = null;

// The capture callback goes before every listener, so a library's own listener cannot swallow the
// error or turn it into another. The system terminates this thread when it has read the report.
process.setUncaughtExceptionCaptureCallback((error) => {
  report({ kind: "fatal", error: dehydrate(error) });
  host?.close();
});
process.on("unhandledRejection", (reason) => {
  throw reason;
});

const actors = await Promise.all(
  sources.map(async (source) => ({
    name: source.name,
    config: source.config,
    definition: await loadDefinition(source.module, source.exportName),
  })),
);
const running = new Host({ seed, actors, clock: systemClock, report });
host = running;
system.on("message", (control: Control<MessagePort>) => {
  if (control.kind !== "link") running.control(control);
  else running.control({ ...control, port: portOf(control.port) });
});
report({ kind: "ready" });
