/** What the runtime's unit tests share: a run environment and a system in the calling thread. */
import { afterEach } from "vitest";
import { systemClock } from "../../../src/runtime/clock.ts";
import { ActorSystem, type SystemOptions } from "../../../src/runtime/thread/system.ts";
import type { LogRecord, SystemEvent } from "../../../src/runtime/thread/types.ts";
import type { RunEnvironment, SupervisorSpec } from "../../../src/runtime/topology.ts";

export function testRun(overrides: Partial<RunEnvironment> = {}): RunEnvironment {
  return {
    runId: "test",
    incarnation: 1,
    seed: 7,
    directory: "/nowhere",
    secret: "secret",
    engine: "cpu",
    arm: "grown",
    host: {} as never,
    settings: {},
    ...overrides,
  } as RunEnvironment;
}

export interface Started {
  readonly system: ActorSystem;
  readonly events: SystemEvent[];
  readonly logs: LogRecord[];
}

const running = new Set<ActorSystem>();

afterEach(async () => {
  await Promise.all([...running].map((system) => system.stop({ graceMs: 2_000 })));
  running.clear();
});

export async function startInline(
  tree: SupervisorSpec,
  options: Partial<SystemOptions> = {},
): Promise<Started> {
  const events: SystemEvent[] = [];
  const logs: LogRecord[] = [];
  const system = await ActorSystem.start({
    tree,
    run: testRun(),
    clock: systemClock,
    threads: "inline",
    log: (record) => logs.push(record),
    onEvent: (event) => events.push(event),
    ...options,
  });
  running.add(system);
  return { system, events, logs };
}

/** Polls until `condition` holds; fails the test after `limitMs`. */
export async function until(condition: () => boolean, limitMs = 2_000): Promise<void> {
  const endsAt = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > endsAt) throw new Error(`not so after ${limitMs} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** The error a promise rejects with; fails the test when it resolves. */
export async function rejection(promise: Promise<unknown>): Promise<Error & { code?: string }> {
  try {
    await promise;
  } catch (error) {
    return error as Error & { code?: string };
  }
  throw new Error("the promise was expected to reject");
}
