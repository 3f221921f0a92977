/**
 * A network that grows while it trains: a host with sites, and seeds grafted at them. Owns all its
 * tensors and frees them; removing a seed leaves the network exactly as if it had never been.
 * Whatever reads values from the engine gives a promise; one such call at a time per network.
 */
import type { Samples, Task } from "../../protocols/dataset.ts";
import { EsperError } from "../../protocols/errors.ts";
import type { BlendModeName } from "../../protocols/leyline/enums.ts";
import type { ModuleSpec } from "../../protocols/leyline/modules.ts";
import type { SiteInfo } from "../../protocols/leyline/state.ts";
import { createRandom, type Random } from "../random.ts";
import { checkBlend } from "./blend.ts";
import type { Engine } from "./engine-types.ts";
import { EVALUATION_BATCH, type Evaluation, evaluate, outputsOf } from "./evaluation.ts";
import { Graft, type GraftPhase, type GraftRecord } from "./graft.ts";
import { type AlphaOf, GrownNetwork } from "./grown-network.ts";
import { HostNetwork, type HostShape } from "./host-network.ts";
import { buildModule } from "./layers/build-module.ts";
import { moduleOutputShape, refuseShape, sameShape } from "./layers/shapes.ts";
import { softmaxRows } from "./loss.ts";
import { Optimizer, type OptimizerOptions } from "./optimizer.ts";
import { HOST_OWNER, ParameterStore } from "./parameters.ts";
import { type NetworkSnapshot, parseStructure } from "./snapshot.ts";
import { captureState, loadState } from "./snapshot-state.ts";
import { type Batch, type StepResult, type TrainingSubject, trainStep } from "./training-step.ts";

export type { Evaluation } from "./evaluation.ts";
export type { GraftPhase } from "./graft.ts";
export type { NetworkSnapshot } from "./snapshot.ts";
export type { Batch, ShadowResult, StepResult } from "./training-step.ts";

/** What a fresh network is made of; `host` ends before the output head. */
export interface NetworkOptions extends HostShape {
  readonly task: Task;
  readonly optimizer: OptimizerOptions;
  /** Where start weights come from. */
  readonly random: Random;
}

/** How a seed is joined to the host. */
export interface GraftOptions {
  readonly mode: BlendModeName;
  /** Whether the host learns through the seed once it blends, or sees its own output cut off. */
  readonly hostGradient: "through" | "detached";
  readonly random: Random;
  /** One factor per channel; mode CHANNEL only. */
  readonly alphaVec?: readonly number[];
}

/** How to evaluate; without anything, the network as it is. */
export interface EvaluateOptions {
  /** Alphas for this evaluation only, by seed id; a graft named here takes part in any phase. */
  readonly alphaOverride?: ReadonlyMap<string, number>;
  readonly batchSize?: number;
}

type NetworkShape = Omit<NetworkOptions, "random">;

/** The network on the device; see the header. */
export class GrowableNetwork {
  readonly #subject: TrainingSubject;
  readonly #shape: NetworkShape;

  private constructor(engine: Engine, { random, ...shape }: NetworkOptions) {
    const store = new ParameterStore(engine);
    const network = new GrownNetwork(new HostNetwork(engine.tf, store, shape, random));
    const optimizer = new Optimizer(engine, shape.optimizer, { fused: true });
    const { inputShape, outputUnits, task } = shape;
    this.#shape = shape;
    this.#subject = { engine, store, optimizer, network, inputShape, outputUnits, task };
  }

  /**
   * A fresh network on this engine.
   * @throws {GRAFT_SHAPE} @throws {CONFIG_INVALID} when the host's layers or sites do not fit.
   */
  static create(engine: Engine, options: NetworkOptions): GrowableNetwork {
    return new GrowableNetwork(engine, options);
  }

  /**
   * The network of a snapshot, ready to continue where it was taken.
   * @throws {CHECKPOINT_DIGEST} when structure and arrays are not a whole network.
   */
  static restore(engine: Engine, snapshot: NetworkSnapshot): GrowableNetwork {
    const { format: _, grafts, steps, ...shape } = parseStructure(snapshot.structure);
    // Start weights are drawn and then overwritten; any stream will do.
    const network = GrowableNetwork.create(engine, {
      ...shape,
      random: createRandom(0, "overwritten"),
    });
    try {
      for (const record of grafts) network.#insert(record, createRandom(0, "overwritten"));
      loadState(network.#subject, snapshot.arrays, steps);
      return network;
    } catch (error) {
      network.dispose();
      throw error;
    }
  }

  get sites(): readonly SiteInfo[] {
    return this.#subject.network.host.sites;
  }

  /** The grafts in their order, as data. */
  get grafts(): readonly GraftRecord[] {
    return this.#subject.network.grafts.map(({ record }) => record);
  }

  /** Trainable numbers: of the host with its head, and of host and all seeds. */
  parameterCount(): { readonly host: number; readonly total: number } {
    const { store } = this.#subject;
    return { host: store.count(HOST_OWNER), total: store.total() };
  }

  /** Live tensors on the whole engine, this network's and others'. */
  tensors(): number {
    return this.#subject.engine.memory().tensors;
  }

  /**
   * Grafts a seed at a site, behind the grafts already there; it starts idle with alpha 0.
   * @throws {GRAFT_SHAPE} when the module does not map the site's shape to itself
   * @throws {BLEND_INVALID} @throws {COMMAND_INVALID} for an unknown site or a used seed id;
   * nothing has changed then.
   */
  graft(
    seedId: string,
    siteId: string,
    module: ModuleSpec,
    options: GraftOptions,
  ): { readonly parameters: number } {
    const { mode, hostGradient, alphaVec, random } = options;
    const record: GraftRecord = {
      seedId,
      siteId,
      module,
      mode,
      hostGradient,
      alphaVec: alphaVec ?? null,
      alpha: 0,
      phase: "idle",
    };
    return { parameters: this.#insert(record, random) };
  }

  /** Sets how much of the seed is felt while it blends, 0 to 1. @throws {COMMAND_INVALID} */
  setAlpha(seedId: string, alpha: number): void {
    if (!(alpha >= 0 && alpha <= 1)) {
      throw new EsperError(
        "BLEND_INVALID",
        `seed ${seedId}: alpha is ${alpha}, allowed is 0 to 1`,
        {
          seedId,
          alpha,
        },
      );
    }
    this.#graft(seedId).alpha = alpha;
  }

  /** @throws {COMMAND_INVALID} for an unknown seed. */
  setPhase(seedId: string, phase: GraftPhase): void {
    this.#graft(seedId).phase = phase;
  }

  /** Removes the seed: module, parameters, optimizer state. @throws {COMMAND_INVALID} */
  detach(seedId: string): void {
    const { network, store, optimizer } = this.#subject;
    network.remove(this.#graft(seedId));
    store.remove(seedId);
    optimizer.drop(seedId);
  }

  /** What is left of a seed; all zero after `detach`. */
  residue(seedId: string): {
    readonly parametersLeft: number;
    readonly optimizerSlotsLeft: number;
  } {
    const { store, optimizer } = this.#subject;
    return { parametersLeft: store.count(seedId), optimizerSlotsLeft: optimizer.slots(seedId) };
  }

  /** One optimizer step on one batch; see `training-step.ts`. @throws {DATA_INVALID} */
  trainStep(batch: Batch, learningRate: number): Promise<StepResult> {
    return trainStep(this.#subject, batch, learningRate);
  }

  /** Loss and score over all samples. @throws {DATA_INVALID} for a target that is no class. */
  evaluate(samples: Samples, options: EvaluateOptions = {}): Promise<Evaluation> {
    const alphaOf = overriding(options.alphaOverride);
    return evaluate(this.#subject, samples, alphaOf, options.batchSize ?? EVALUATION_BATCH);
  }

  /** Probabilities, or values, [count, outputUnits] row-major. */
  async predict(x: Float32Array, count: number): Promise<Float32Array> {
    const { task, outputUnits } = this.#shape;
    const outputs = await outputsOf(this.#subject, x, count, overriding(), EVALUATION_BATCH);
    return task === "classification" ? softmaxRows(outputs, outputUnits) : outputs;
  }

  /** Largest change of any output that the seed's presence at alpha 0 makes; 0 when unfelt. */
  async functionDelta(seedId: string, samples: Samples): Promise<number> {
    const { network } = this.#subject;
    const graft = this.#graft(seedId);
    const present = await this.#outputs(samples, overriding(new Map([[seedId, 0]])));
    const withoutIt = { ...this.#subject, network: network.without(graft) };
    const absent = await this.#outputs(samples, overriding(), withoutIt);
    return present.reduce(
      (most, value, index) => Math.max(most, Math.abs(value - (absent[index] ?? Number.NaN))),
      0,
    );
  }

  /** The whole network as plain data, as it is now. */
  async snapshot(): Promise<NetworkSnapshot> {
    const { inputShape, ...shape } = structuredClone(this.#shape);
    const grafts = structuredClone(this.grafts);
    const { arrays, steps } = await captureState(this.#subject);
    const structure = { format: 1, ...shape, inputShape: [...inputShape], grafts, steps };
    return { structure: parseStructure(structure), arrays };
  }

  /** Frees everything the network has on the engine. */
  dispose(): void {
    this.#subject.optimizer.dispose();
    this.#subject.store.dispose();
  }

  #outputs(samples: Samples, alphaOf: AlphaOf, subject = this.#subject): Promise<Float32Array> {
    return outputsOf(subject, samples.x, samples.count, alphaOf, EVALUATION_BATCH);
  }

  #graft(seedId: string): Graft {
    const found = this.#subject.network.find(seedId);
    if (found !== undefined) return found;
    const known = this.grafts.map((graft) => graft.seedId).join(", ") || "none";
    throw new EsperError(
      "COMMAND_INVALID",
      `there is no seed ${seedId} in the network; grafted are: ${known}`,
      { seedId },
    );
  }

  /** Checks everything, then builds. Returns the number of parameters. */
  #insert(record: GraftRecord, random: Random): number {
    const { engine, store, network } = this.#subject;
    const { seedId, siteId, module } = record;
    const site = this.sites.find((candidate) => candidate.siteId === siteId);
    const taken = seedId === HOST_OWNER || network.find(seedId) !== undefined;
    if (site === undefined || taken || seedId === "") {
      const names = this.sites.map((candidate) => candidate.siteId).join(", ") || "none";
      throw new EsperError(
        "COMMAND_INVALID",
        site === undefined
          ? `seed ${seedId}: there is no site ${siteId}; sites are: ${names}`
          : `a seed cannot be named "${seedId}": the name is taken or empty`,
        { seedId, siteId },
      );
    }
    checkBlend(seedId, { mode: record.mode, alphaVec: record.alphaVec ?? undefined }, site.shape);
    const output = moduleOutputShape(module, site.shape, "");
    const path = `seed ${seedId} at site ${siteId}, output`;
    if (!sameShape(output, site.shape)) refuseShape(path, output, `[${site.shape.join(", ")}]`);
    const built = buildModule(engine.tf, store, seedId, module, site.shape, random);
    network.add(new Graft(engine.tf, record, built));
    return built.parameters;
  }
}

/** The grafts' own alphas, but for those named. */
function overriding(override: ReadonlyMap<string, number> = new Map()): AlphaOf {
  return (graft) => override.get(graft.seedId) ?? graft.activeAlpha;
}
