/**
 * A network as plain data: a structure that fits in JSON, and named arrays. Enough to rebuild the
 * network so that it continues bit for bit.
 */
import { z } from "zod";
import { EsperError } from "../../protocols/errors.ts";
import { BLEND_MODES } from "../../protocols/leyline/enums.ts";
import {
  ACTIVATIONS,
  type HostSpec,
  type LayerSpec,
  type ModuleSpec,
} from "../../protocols/leyline/modules.ts";
import { GRAFT_PHASES } from "./graft.ts";

const count = z.int().positive();
const activation = z.enum(ACTIVATIONS);
const init = z.union([z.enum(["lecun", "he", "zero"]), z.strictObject({ normal: z.number() })]);
const lazyModule: z.ZodType<ModuleSpec> = z.lazy(() => moduleSchema);

const layerSchema: z.ZodType<LayerSpec> = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("dense"),
    units: count,
    activation,
    init: z.exactOptional(init),
  }),
  z.strictObject({
    kind: z.literal("conv2d"),
    filters: count,
    kernel: count,
    activation,
    init: z.exactOptional(init),
  }),
  z.strictObject({ kind: z.literal("depthwise"), kernel: count, activation }),
  z.strictObject({ kind: z.literal("activation"), activation }),
  z.strictObject({ kind: z.literal("layerNorm"), epsilon: z.number().positive() }),
  z.strictObject({ kind: z.literal("maxPool"), size: count }),
  z.strictObject({ kind: z.literal("flatten") }),
  z.strictObject({ kind: z.literal("globalAverage") }),
  z.strictObject({ kind: z.literal("gate"), gate: lazyModule }),
  z.strictObject({ kind: z.literal("concat"), branches: z.array(lazyModule) }),
  z.strictObject({ kind: z.literal("product"), left: lazyModule, right: lazyModule }),
  z.strictObject({ kind: z.literal("residual"), body: lazyModule }),
]);

/** A blueprint's module as it may come from a file. */
export const moduleSchema: z.ZodType<ModuleSpec> = z.strictObject({
  layers: z.array(layerSchema),
});

const hostSchema: z.ZodType<HostSpec> = z.strictObject({
  layers: z.array(layerSchema),
  sites: z.array(z.strictObject({ after: z.int().nonnegative(), siteId: z.string() })),
});

const structureSchema = z.strictObject({
  format: z.literal(1),
  inputShape: z.array(count),
  outputUnits: count,
  task: z.enum(["classification", "regression"]),
  host: hostSchema,
  optimizer: z.strictObject({
    kind: z.enum(["adam", "sgd"]),
    weightDecay: z.number(),
    clipNorm: z.number().nullable(),
  }),
  grafts: z.array(
    z.strictObject({
      seedId: z.string(),
      siteId: z.string(),
      module: moduleSchema,
      mode: z.enum(BLEND_MODES),
      hostGradient: z.enum(["through", "detached"]),
      alphaVec: z.array(z.number()).nullable(),
      alpha: z.number(),
      phase: z.enum(GRAFT_PHASES),
    }),
  ),
  /** Optimizer steps by owner and parameter name. */
  steps: z.record(z.string(), z.record(z.string(), z.int().positive())),
});
/** The JSON half of a snapshot. */
export type NetworkStructure = z.infer<typeof structureSchema>;

/** `arrays` holds weights and optimizer moments, keyed by `arrayKey`. */
export interface NetworkSnapshot {
  readonly structure: NetworkStructure;
  readonly arrays: Readonly<Record<string, Float32Array>>;
}

/** @throws {CHECKPOINT_DIGEST} for a structure that no network of this version wrote. */
export function parseStructure(structure: unknown): NetworkStructure {
  const parsed = structureSchema.safeParse(structure);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const path = ["network", ...(issue?.path ?? [])].join(".");
  throw new EsperError(
    "CHECKPOINT_DIGEST",
    `the stored network cannot be read: ${path}: ${issue?.message}; use another checkpoint`,
    { path, issue: issue?.message ?? "" },
  );
}

/** Keys of `arrays`. Owner names are escaped, so that no two owners share a key. */
export function arrayKey(part: "weights" | "optimizer", owner: string, name: string): string {
  return `${part}/${encodeURIComponent(owner)}/${name}`;
}

/** @throws {CHECKPOINT_DIGEST} when the array is not there or has another length. */
export function requireArray(
  arrays: NetworkSnapshot["arrays"],
  key: string,
  length: number,
): Float32Array {
  const found = arrays[key];
  if (found?.length === length) return found;
  throw new EsperError(
    "CHECKPOINT_DIGEST",
    `the stored network lacks ${key} with ${length} numbers, found ${found?.length ?? "nothing"}`,
    { key, length, found: found?.length ?? null },
  );
}
