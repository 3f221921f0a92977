/** Starts the product's actor system the way every bench does: real threads, nothing logged. */
import { type ActorSpec, ActorSystem, actor, supervisor, systemClock } from "esper-runtime";
import { collector, forgetReports } from "./collector.actors.ts";

const STOP_GRACE_MS = 2_000;

/** One supervisor over the given actors and a collector on the main thread. */
export function startSystem(children: Readonly<Record<string, ActorSpec>>): Promise<ActorSystem> {
  forgetReports();
  return ActorSystem.start({
    tree: supervisor({
      children: { collector: actor(collector, { thread: "main" }), ...children },
    }),
    clock: systemClock,
    log: () => {},
  });
}

/** Runs `use` on a system and stops it, whatever happens. */
export async function withSystem<T>(
  children: Readonly<Record<string, ActorSpec>>,
  use: (system: ActorSystem) => Promise<T>,
): Promise<T> {
  const system = await startSystem(children);
  try {
    return await use(system);
  } finally {
    await system.stop({ graceMs: STOP_GRACE_MS });
  }
}
