/**
 * The shape of `actors.config.ts`. Every object is closed: a key nobody knows is an error, never
 * ignored. Rules over the whole tree (names used twice, cycles) are in `validate-tree.ts`.
 */
import { z } from "zod";
import type { AnyActorDefinition } from "../actor.ts";
import { ENGINE_KINDS } from "../device/engine-kind.ts";
import {
  type ActorSpec,
  type EsperConfig,
  MAX_SPARES,
  type SupervisorSpec,
  type ThreadOptions,
} from "../topology.ts";

/** Names of topologies, actors and threads. */
const NAME = /^[a-z][a-z0-9-]{0,39}$/;
const NAME_RULE = "allowed: a lower-case letter, then letters, digits and -, at most 40 in all";

const name = z.string().regex(NAME, NAME_RULE);

/** Named by its keys, so that a definition of another copy of the package is accepted too. */
function isDefinition(value: unknown): value is AnyActorDefinition {
  if (typeof value !== "object" || value === null) return false;
  return ["module", "protocol", "config", "setup", "receive"].every((key) => key in value);
}

const definition = z.custom<AnyActorDefinition>(
  isDefinition,
  "needed: an actor definition made by defineActor(...)",
);

const configFunction = z.custom<ActorSpec["config"]>(
  (value) => typeof value === "function",
  "needed: a function from the run to the actor's configuration",
);

const actorSpec = z.strictObject({
  kind: z.literal("actor"),
  definition,
  thread: name,
  config: configFunction,
});

const supervisorSpec = z.strictObject({
  kind: z.literal("supervisor"),
  strategy: z.enum(["one_for_one", "one_for_all", "rest_for_one"]),
  intensity: z.int().min(0).max(1_000),
  periodMs: z.int().min(1).max(3_600_000),
  children: z.record(
    name,
    z.lazy(() => treeNode),
  ),
});

const treeNode: z.ZodType<ActorSpec | SupervisorSpec> = z.discriminatedUnion("kind", [
  actorSpec,
  supervisorSpec,
]);

const threadOptions: z.ZodType<ThreadOptions> = z.strictObject({
  stuckMs: z.int().min(50).max(3_600_000).exactOptional(),
  graceMs: z.int().min(0).max(60_000).exactOptional(),
  heapLimitMb: z.int().min(16).max(65_536).exactOptional(),
  spare: z.boolean().exactOptional(),
});

const topology = z.strictObject({
  description: z.string().min(1).max(200),
  engine: z.enum([...ENGINE_KINDS, "gpu"]),
  fabric: z.strictObject({ kind: z.literal("embedded") }),
  tree: supervisorSpec,
  threads: z.record(name, threadOptions).optional(),
  spares: z.int().min(0).max(MAX_SPARES).optional(),
});

/** The whole file. */
export const configSchema: z.ZodType<EsperConfig> = z.strictObject({
  defaults: z.string(),
  runDirectory: z.string().min(1),
  topologies: z.record(name, topology),
  allowFaults: z.boolean().exactOptional(),
});
