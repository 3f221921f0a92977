/**
 * How a topology is written: a tree of supervisors with actors as leaves, each placed on a named
 * thread. Pure data; `thread/` turns it into a running system.
 */
import type { BlendModeName } from "../protocols/leyline/enums.ts";
import type { GrowthArm } from "../protocols/run.ts";
import type { AnyActorDefinition } from "./actor.ts";
import type { EngineKind } from "./device/engine-kind.ts";
import type { RunHost } from "./run/run-host.ts";

export type Strategy = "one_for_one" | "one_for_all" | "rest_for_one";

/** What is known only when a run starts; actor configs may depend on it. */
export interface RunEnvironment {
  readonly runId: string;
  readonly incarnation: number;
  readonly seed: number;
  readonly directory: string;
  readonly secret: string;
  readonly engine: EngineKind;
  /** Whether the engine may be a GPU that only looks like one. */
  readonly allowSoftwareGpu: boolean;
  readonly arm: GrowthArm;
  readonly blendMode: BlendModeName;
  /** True when a damaged log may be cut back to what is readable. */
  readonly salvage: boolean;
  /** Where the root actor reports to; stays on the main thread. */
  readonly host: RunHost;
  /** The environment settings by name, already parsed (see config/settings.ts). */
  readonly settings: Readonly<Record<string, string | number | boolean | null>>;
}

export interface ActorSpec {
  readonly kind: "actor";
  readonly definition: AnyActorDefinition;
  /** "main", or the name of a worker thread; actors with the same name share the thread. */
  readonly thread: string;
  readonly config: (run: RunEnvironment) => unknown;
}

export interface SupervisorSpec {
  readonly kind: "supervisor";
  readonly strategy: Strategy;
  readonly intensity: number;
  readonly periodMs: number;
  /** Started left to right, stopped right to left. */
  readonly children: Readonly<Record<string, ActorSpec | SupervisorSpec>>;
}

export interface TopologySpec {
  readonly description: string;
  readonly engine: EngineKind | "gpu";
  readonly fabric: { readonly kind: "embedded" };
  readonly tree: SupervisorSpec;
}

export interface EsperConfig {
  readonly defaults: string;
  readonly runDirectory: string;
  readonly topologies: Readonly<Record<string, TopologySpec>>;
}

export function actor(
  definition: AnyActorDefinition,
  options: { readonly thread: string; readonly config?: (run: RunEnvironment) => unknown },
): ActorSpec {
  return {
    kind: "actor",
    definition,
    thread: options.thread,
    config: options.config ?? (() => ({})),
  };
}

export function supervisor(
  options: Pick<SupervisorSpec, "children"> & Partial<SupervisorSpec>,
): SupervisorSpec {
  return {
    kind: "supervisor",
    strategy: options.strategy ?? "one_for_one",
    intensity: options.intensity ?? 3,
    periodMs: options.periodMs ?? 5_000,
    children: options.children,
  };
}

export function defineConfig(config: EsperConfig): EsperConfig {
  return config;
}
