/**
 * How a topology is written: a tree of supervisors with actors as leaves, each placed on a named
 * thread. Pure data; `thread/` turns it into a running system.
 */
import type { BlendModeName } from "../protocols/leyline/enums.ts";
import type { GrowthArm } from "../protocols/run.ts";
import type { AnyActorDefinition, ChildPolicy, MailboxPolicy } from "./actor.ts";
import type { EngineKind } from "./device/engine-kind.ts";
import type { RunHost } from "./run/run-host.ts";

/** Which children restart with the one that failed: it alone, all, those after it. */
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

/** An actor and where it runs. */
export interface ActorSpec {
  readonly kind: "actor";
  readonly definition: AnyActorDefinition;
  /** "main", or the name of a worker thread; actors with the same name share the thread. */
  readonly thread: string;
  /** Evaluated on the main thread, when the system starts. */
  readonly config: (run: RunEnvironment) => unknown;
}

/** A supervisor and its children. */
export interface SupervisorSpec {
  readonly kind: "supervisor";
  readonly strategy: Strategy;
  readonly intensity: number;
  readonly periodMs: number;
  /** Started left to right, stopped right to left. */
  readonly children: Readonly<Record<string, ActorSpec | SupervisorSpec>>;
}

/** What may be set for one worker thread. Times in milliseconds. */
export interface ThreadOptions {
  /** How long one piece of work may hold the thread before it is held to be stuck. 10,000. */
  readonly stuckMs?: number;
  /** What a stuck actor gets to heed its token before its thread is ended. At most 250. */
  readonly graceMs?: number;
  /** Bound of the thread's JavaScript heap; tensors and buffers lie outside it. */
  readonly heapLimitMb?: number;
  /** False for a thread whose modules are too heavy to be kept loaded twice. Default true. */
  readonly spare?: boolean;
}

/** Most loaded threads without work that are kept for each heap limit. */
export const MAX_SPARES = 16;

/** One way to run the product. */
export interface TopologySpec {
  readonly description: string;
  readonly engine: EngineKind | "gpu";
  readonly fabric: { readonly kind: "embedded" };
  readonly tree: SupervisorSpec;
  /** By the name of the thread; `main` has no options. */
  readonly threads?: Readonly<Record<string, ThreadOptions>> | undefined;
  /** Loaded threads kept ready to take the place of one that dies. Default 0. */
  readonly spares?: number | undefined;
}

/** What a configuration file exports. */
export interface EsperConfig {
  readonly defaults: string;
  readonly runDirectory: string;
  readonly topologies: Readonly<Record<string, TopologySpec>>;
  /** True: faults may be injected into its runs without further ado. Default false. */
  readonly allowFaults?: boolean;
}

/** Where an actor runs and what it is given. */
export interface Placement {
  readonly thread: string;
  /** What the actor is configured with; default `{}`. */
  readonly config?: (run: RunEnvironment) => unknown;
  /** What differs here from the definition's own policies. */
  readonly supervision?: Partial<ChildPolicy>;
  readonly mailbox?: Partial<MailboxPolicy>;
}

/** Places an actor. */
export function actor(definition: AnyActorDefinition, options: Placement): ActorSpec {
  const supervision = { ...definition.supervision, ...options.supervision };
  const mailbox = { ...definition.mailbox, ...options.mailbox };
  return {
    kind: "actor",
    definition: { ...definition, supervision, mailbox },
    thread: options.thread,
    config: options.config ?? (() => ({})),
  };
}

/** Groups children under a strategy; default one_for_one, 3 failures in 5 s. */
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

/** Gives a configuration file its type. */
export function defineConfig(config: EsperConfig): EsperConfig {
  return config;
}
