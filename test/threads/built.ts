/** The built package, as thread tests use it; workers cannot load TypeScript sources. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterEach } from "vitest";
import type { ActorSystem, SystemOptions } from "../../dist/runtime/thread/system.js";
import type { LogRecord, SystemEvent } from "../../dist/runtime/thread/types.js";
import type { SupervisorSpec } from "../../dist/runtime/topology.js";

const entry = fileURLToPath(new URL("../../dist/runtime/thread/worker-entry.js", import.meta.url));
if (!existsSync(entry)) {
  throw new Error(`the built package is missing (${entry}); run: npx tsc -p tsconfig.json`);
}

const system = await import("../../dist/runtime/thread/system.js");
const topology = await import("../../dist/runtime/topology.js");
const clock = await import("../../dist/runtime/clock.js");
const token = await import("../../dist/runtime/token.js");

export const { actor, supervisor } = topology;
export const { CancellationToken } = token;

export interface Started {
  readonly system: ActorSystem;
  readonly events: SystemEvent[];
  readonly logs: LogRecord[];
}

const running = new Set<ActorSystem>();

afterEach(async () => {
  await Promise.all([...running].map((started) => started.stop({ graceMs: 3_000 })));
  running.clear();
});

/** Starts a system on real worker threads; it is stopped after the test. */
export async function startThreads(
  tree: SupervisorSpec,
  options: Partial<SystemOptions> = {},
): Promise<Started> {
  const events: SystemEvent[] = [];
  const logs: LogRecord[] = [];
  const run = {
    ...{ runId: "test", incarnation: 1, seed: 7, directory: "/nowhere", secret: "secret" },
    ...{ engine: "cpu", arm: "grown", host: {}, settings: {} },
  };
  const started = await system.ActorSystem.start({
    ...{ tree, run: run as never, clock: clock.systemClock },
    log: (record) => logs.push(record),
    onEvent: (event) => events.push(event),
    ...options,
  });
  running.add(started);
  return { system: started, events, logs };
}
