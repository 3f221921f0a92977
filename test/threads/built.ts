/** The built package, as thread tests use it; workers cannot load TypeScript sources. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterEach } from "vitest";
import type { ActorSystem as System, SystemOptions } from "../../src/runtime/thread/system.ts";
import type { LogRecord, SystemEvent } from "../../src/runtime/thread/types.ts";
import type { SupervisorSpec } from "../../src/runtime/topology.ts";

const entry = fileURLToPath(new URL("../../dist/runtime/thread/worker-entry.js", import.meta.url));
if (!existsSync(entry)) {
  throw new Error(`the built package is missing (${entry}); run: npx tsc -p tsconfig.json`);
}

const system = await import("../../dist/runtime/thread/system.js");
const topology = await import("../../dist/runtime/topology.js");
const clock = await import("../../dist/runtime/clock.js");
const token = await import("../../dist/runtime/token.js");

const ActorSystem = system.ActorSystem as typeof System;
export const actor = topology.actor as typeof import("../../src/runtime/topology.ts").actor;
export const supervisor =
  topology.supervisor as typeof import("../../src/runtime/topology.ts").supervisor;
export const CancellationToken =
  token.CancellationToken as typeof import("../../src/runtime/token.ts").CancellationToken;

export interface Started {
  readonly system: System;
  readonly events: SystemEvent[];
  readonly logs: LogRecord[];
}

const running = new Set<System>();

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
  const started = await ActorSystem.start({
    ...{ tree, run: run as never, clock: clock.systemClock },
    log: (record) => logs.push(record),
    onEvent: (event) => events.push(event),
    ...options,
  });
  running.add(started);
  return { system: started, events, logs };
}
