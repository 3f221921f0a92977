/**
 * What runs first in every worker thread: it loads the definitions, builds the host, and obeys the
 * system on the main thread. A spare loads the modules only and waits for its identity. Whatever
 * nobody caught in this thread ends it, with its cause, no matter which handlers a library has put
 * on `process`.
 */
import { parentPort, workerData } from "node:worker_threads";
import { dehydrate, invariant } from "../../protocols/errors.ts";
import { systemClock } from "../clock.ts";
import { adoptOwnTable } from "../token-table.ts";
import { Host } from "./host.ts";
import { loadDefinition, preload } from "./locate.ts";
import { isCloneError } from "./parcels.ts";
import { connectionOf, type TravellingConnection } from "./port-connection.ts";
import type { Control, Report } from "./wire.ts";
import type { WorkerOrder, WorkerStart } from "./worker-handle.ts";

invariant(parentPort !== null, "the worker entry runs in a worker thread");
const system = parentPort;

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

async function run({ seed, actors: sources }: WorkerOrder): Promise<void> {
  adoptOwnTable(seed.tokens.id, seed.tokens.memory);
  const actors = await Promise.all(
    sources.map(async (source) => ({
      name: source.name,
      config: source.config,
      definition: await loadDefinition(source),
    })),
  );
  host = new Host({ seed, actors, clock: systemClock, report });
  report({ kind: "ready" });
}

function link(connection: TravellingConnection): void {
  host?.control({ kind: "link", connection: connectionOf(connection, () => host?.rung()) });
}

system.on("message", (message: Control<TravellingConnection> | WorkerOrder) => {
  if (message.kind === "run") void run(message);
  else if (message.kind === "link") link(message.connection);
  else host?.control(message);
});

const start = workerData as WorkerStart;
if (start.kind === "run") await run(start);
else {
  await preload(start.modules);
  report({ kind: "ready" });
}
