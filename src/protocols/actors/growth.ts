/** What the actors that grow the network say to each other: Urza, Tamiyo, Kasmina, Tolaria. */
import type { Dataset } from "../dataset.ts";
import type { SignedCommand } from "../leyline/command.ts";
import type {
  BlendModeName,
  BlueprintTierName,
  SeedGateName,
  SeedStageName,
} from "../leyline/enums.ts";
import type { HostSpec, ModuleSpec } from "../leyline/modules.ts";
import type { EpochPoint, SeedState, SiteInfo, SystemStatePacket } from "../leyline/state.ts";
import { call, cast, protocol } from "../protocol.ts";

/** One entry of the blueprint catalogue. */
export interface BlueprintListing {
  readonly blueprintId: string;
  readonly name: string;
  readonly tier: BlueprintTierName;
  readonly risk: number;
  readonly stage: number;
  /** Kinds of site the blueprint can be built for. */
  readonly sites: readonly SiteInfo["kind"][];
  readonly parameters: Readonly<Record<string, { min: number; max: number; default: number }>>;
  readonly description: string;
}

/** A blueprint compiled for one site: data, with the SHA-256 of its canonical JSON. */
export interface KernelArtifact {
  readonly blueprintId: string;
  readonly blueprintName: string;
  readonly siteId: string;
  readonly module: ModuleSpec;
  readonly checksum: string;
}

/** Urza: the blueprint library. */
export const UrzaProtocol = protocol("urza", {
  catalogue: call<null, readonly BlueprintListing[]>(),
  fetch: call<
    { blueprintId: string; site: SiteInfo; parameters: Readonly<Record<string, number>> },
    KernelArtifact
  >(),
});

/** Tamiyo's answer: a signed command, or null for "leave the network alone", and why. */
export interface Decision {
  readonly packetId: string;
  readonly command: SignedCommand | null;
  readonly reason: string;
}

/** Tamiyo: the controller. A decision is a pure function of the packet, the ids aside. */
export const TamiyoProtocol = protocol("tamiyo", {
  decide: call<{ packet: SystemStatePacket }, Decision>(),
});

/** A gate's verdict with the numbers it was based on. */
export interface GateResult {
  readonly gate: SeedGateName;
  readonly passed: boolean;
  readonly reason: string;
  readonly numbers: Readonly<Record<string, number>>;
}

/** One change in a seed's life, as people and telemetry see it. */
export interface SeedTransition {
  readonly seedId: string;
  readonly siteId: string;
  readonly blueprintId: string;
  readonly blueprintName: string;
  readonly step: number;
  readonly from: SeedStageName;
  readonly to: SeedStageName;
  readonly alpha: number;
  readonly parameters: number;
  readonly gate: GateResult | null;
  readonly reason: string;
}

/** What the trainer measured in one step, from which Kasmina advances its seeds. */
export interface StepEvidence {
  readonly step: number;
  readonly trainingLoss: number;
  /** Loss of the shadow pass and gradient norm, per seed in TRAINING. */
  readonly shadows: readonly { seedId: string; loss: number; gradientNorm: number }[];
}

/** Kasmina's own part of a checkpoint: plain data. */
export interface KasminaSnapshot {
  readonly seeds: readonly unknown[];
  readonly nextSeed: number;
}

export interface RunIdentity {
  readonly runId: string;
  readonly incarnation: number;
  readonly seed: number;
}

/** Kasmina: executes commands and grows the network held by the device thread. */
export const KasminaProtocol = protocol("kasmina", {
  /** Called once the trainer has put the network on the device. */
  attach: call<{ identity: RunIdentity; snapshot: KasminaSnapshot | null }, null>(),
  /** Refusals are replies of the call (coded errors); they change nothing. */
  apply: call<
    { command: SignedCommand; step: number },
    { transitions: readonly SeedTransition[] }
  >(),
  /** After every step while a seed is alive; stages advance here, by steps and evidence. */
  advance: call<StepEvidence, { transitions: readonly SeedTransition[]; busy: boolean }>(),
  states: call<{ step: number }, { seeds: readonly SeedState[]; snapshot: KasminaSnapshot }>(),
});

export interface TrainingOptions {
  readonly host: HostSpec;
  readonly batchSize: number;
  readonly maxEpochs: number;
  readonly optimizer: "adam" | "sgd";
  readonly learningRate: number;
  readonly weightDecay: number;
  readonly decideEvery: number;
  readonly decisionLag: number;
  readonly decisionDeadlineMs: number;
  /** Validation score at which the run ends early; null trains all epochs. */
  readonly targetScore: number | null;
  readonly growth: boolean;
  readonly blendMode: BlendModeName;
  readonly hostGradient: "through" | "detached";
  readonly checkpointEverySteps: number;
}

/** Everything the trainer needs to begin or to continue. */
export interface RunOrder {
  readonly identity: RunIdentity;
  readonly dataset: Dataset;
  readonly options: TrainingOptions;
  /** Encoded checkpoint to continue from, or null to begin. */
  readonly checkpoint: Uint8Array | null;
  /** Steps whose decision missed its deadline before; replayed so that the run repeats itself. */
  readonly missedDecisions: readonly number[];
}

export interface RunResult {
  readonly outcome: "completed" | "target-reached" | "stopped";
  readonly step: number;
  readonly epoch: number;
  readonly last: EpochPoint;
  readonly beforeGrowth: EpochPoint;
  readonly testScore: number | null;
  readonly seeds: readonly SeedState[];
  readonly hostParameters: number;
  readonly totalParameters: number;
  readonly tensorsAtStart: number;
  readonly tensorsAtEnd: number;
  /** SHA-256 over all trained state: equal for equal runs. */
  readonly digest: string;
}

/** Tolaria: the trainer. */
export const TolariaProtocol = protocol("tolaria", {
  /** The trainer's own: trains for a few milliseconds, then asks itself again. */
  work: cast<null>(),
  /** Starts training in the background; progress and the result go to Weatherlight. */
  begin: call<RunOrder, null>(),
  /** Writes a checkpoint at the next step boundary and ends training. */
  halt: call<{ reason: string }, { step: number }>({ lane: "system" }),
});

/** The whole state of a training as data: what a checkpoint is made of. */
export interface TrainingState {
  readonly meta: Readonly<Record<string, unknown>>;
  readonly arrays: Readonly<Record<string, Float32Array | Float64Array | Int32Array | Uint8Array>>;
}

/** Weatherlight: the root actor on the main thread, which follows the run. */
export const WeatherlightProtocol = protocol("weatherlight", {
  ready: cast<{ actor: string; starts: number }>(),
  epoch: cast<{
    incarnation: number;
    point: EpochPoint;
    samplesPerSecond: number;
    seeds: readonly SeedState[];
    totalParameters: number;
  }>(),
  progress: cast<{
    incarnation: number;
    step: number;
    epoch: number;
    epochStep: number;
    epochSteps: number;
    trainingLoss: number;
  }>({ lane: "bulk" }),
  transition: cast<{ incarnation: number; transition: SeedTransition }>(),
  /** Answered when it is on disk and was read back. */
  checkpoint: call<
    { incarnation: number; step: number; final: boolean; state: TrainingState },
    { stored: boolean }
  >(),
  /** The newest intact checkpoint up to a step, as bytes; null when there is none. */
  restore: call<
    { incarnation: number; upToStep: number },
    { step: number; bytes: Uint8Array } | null
  >(),
  /**
   * The trainer goes back to a step: from here on it is a new incarnation, with the decisions that
   * were missed so far. Null when the run is over or belongs to another incarnation already.
   */
  rollback: call<
    { incarnation: number; step: number; missedDecisions: readonly number[] },
    { incarnation: number; missedDecisions: readonly number[] } | null
  >(),
  finished: call<{ incarnation: number; result: RunResult }, null>(),
  failed: call<{ incarnation: number; code: string; message: string }, null>(),
});
