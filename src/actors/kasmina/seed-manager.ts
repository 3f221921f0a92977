/**
 * Grows the network on the device: grafts seeds, moves them through their life behind the gates,
 * and removes every trace of a seed that fails one. Free of actors, so that it can be tested with a
 * network alone; waits for nothing but the network, and takes one call at a time.
 */
import type {
  GateResult,
  KasminaSnapshot,
  KernelArtifact,
  SeedTransition,
  StepEvidence,
} from "../../protocols/actors/growth.ts";
import type { Samples } from "../../protocols/dataset.ts";
import { EsperError, invariant } from "../../protocols/errors.ts";
import type { BlendModeName, SeedStageName } from "../../protocols/leyline/enums.ts";
import type { SeedState } from "../../protocols/leyline/state.ts";
import type { GrowableNetwork } from "../../runtime/device/network.ts";
import { createRandom } from "../../runtime/random.ts";
import { alphaAt } from "./alpha-schedule.ts";
import {
  gateGradientHealth,
  gateInterface,
  gateReset,
  gateSanity,
  gateStability,
  gateSystemImpact,
} from "./gates.ts";
import { assertMove, isAlive } from "./lifecycle.ts";
import { type Due, dueMove, evidenceOf } from "./progression.ts";
import { exportState, type Seed, seedSchema } from "./seed.ts";
import type { GrowthSettings } from "./settings.ts";

export interface Germination {
  readonly seedId: string;
  readonly commandId: string;
  readonly blueprintName: string;
  readonly artifact: KernelArtifact;
  readonly mode: BlendModeName;
  readonly hostGradient: "through" | "detached";
  readonly step: number;
}

export class SeedManager {
  readonly #network: GrowableNetwork;
  readonly #validation: Samples;
  readonly #settings: GrowthSettings;
  readonly #runSeed: number;
  readonly #seeds: Seed[];
  #transitions: SeedTransition[] = [];

  constructor(
    network: GrowableNetwork,
    validation: Samples,
    settings: GrowthSettings,
    runSeed: number,
    snapshot: KasminaSnapshot | null,
  ) {
    this.#network = network;
    this.#validation = validation;
    this.#settings = settings;
    this.#runSeed = runSeed;
    this.#seeds = (snapshot?.seeds ?? []).map((seed) => seedSchema.parse(seed));
  }

  states(step: number): readonly SeedState[] {
    return this.#seeds.map((seed) => exportState(seed, step));
  }

  snapshot(): KasminaSnapshot {
    return { seeds: structuredClone(this.#seeds), nextSeed: this.#seeds.length + 1 };
  }

  /**
   * DORMANT to GERMINATED behind G0.
   * @throws {COMMAND_ILLEGAL_TRANSITION} for a seed id that was used before; {GRAFT_SHAPE}; and
   * {COMMAND_INVALID} when G0 fails. The network is then exactly as it was.
   */
  async germinate(order: Germination): Promise<readonly SeedTransition[]> {
    const existing = this.#seeds.find((seed) => seed.seedId === order.seedId);
    if (existing !== undefined) refuseAgain(existing);
    const { artifact, seedId } = order;
    const before = await this.#network.evaluate(this.#validation);
    const report = this.#network.graft(seedId, artifact.siteId, artifact.module, {
      mode: order.mode,
      hostGradient: order.hostGradient,
      random: createRandom(this.#runSeed, `seed:${seedId}`),
    });
    const functionDelta = await this.#network.functionDelta(seedId, this.#validation);
    const gate = gateSanity({ parameters: report.parameters, functionDelta }, this.#settings);
    if (!gate.passed) {
      this.#network.detach(seedId);
      throw new EsperError("COMMAND_INVALID", `gate G0 refused ${seedId}: ${gate.reason}`, {
        seedId,
        gate: gate.gate,
        ...gate.numbers,
      });
    }
    const seed = newSeed(order, report.parameters, before);
    this.#seeds.push(seed);
    this.#network.setPhase(seedId, "shadow");
    this.#move(seed, "GERMINATED", order.step, gate, "germinated");
    return this.#take();
  }

  /** Culls on command; idempotent for a seed that is already out. */
  cull(seedId: string, step: number): readonly SeedTransition[] {
    const seed = this.#seeds.find((candidate) => candidate.seedId === seedId);
    if (seed !== undefined && isAlive(seed.stage)) this.#cull(seed, step, null, "cull_command");
    return this.#take();
  }

  /** Takes in one step's evidence and makes every move that is due. */
  async advance(evidence: StepEvidence): Promise<readonly SeedTransition[]> {
    for (const seed of this.#seeds) {
      this.#record(seed, evidence);
      if (seed.stage === "BLENDING") this.#ramp(seed, evidence.step);
      const due = dueMove(seed, evidence.step, this.#settings);
      if (due !== null) await this.#make(seed, due, evidence.step);
    }
    return this.#take();
  }

  /** True while some seed still has a move ahead of it. */
  get busy(): boolean {
    const settled: readonly SeedStageName[] = ["DORMANT", "FOSSILIZED", "TERMINATED"];
    return this.#seeds.some((seed) => !settled.includes(seed.stage));
  }

  #record(seed: Seed, evidence: StepEvidence): void {
    const shadow = evidence.shadows.find((entry) => entry.seedId === seed.seedId);
    if (shadow === undefined) return;
    // A checkpoint holds no Infinity and no NaN; the largest number means "exploded" as well.
    seed.gradientNorm = measured(shadow.gradientNorm) ?? Number.MAX_VALUE;
    // A broken loss ends the training at once (see `dueMove`), unless gates may stop nothing.
    if (!Number.isFinite(shadow.loss) && !this.#settings.enforceGates) return;
    seed.hostLosses.push(evidence.trainingLoss);
    seed.shadowLosses.push(shadow.loss);
    if (seed.hostLosses.length <= this.#settings.evidenceSteps) return;
    seed.hostLosses.shift();
    seed.shadowLosses.shift();
  }

  #ramp(seed: Seed, step: number): void {
    seed.alpha = alphaAt(step - seed.stageSinceStep, this.#settings.blendSteps);
    this.#network.setAlpha(seed.seedId, seed.alpha);
  }

  async #make(seed: Seed, due: Due, step: number): Promise<void> {
    const gate = due.gate === null ? null : await this.#evaluate(seed, due);
    if (gate !== null && !gate.passed && isAlive(seed.stage) && this.#settings.enforceGates) {
      this.#cull(seed, step, gate, gate.reason);
      return;
    }
    invariant(
      due.next !== "DORMANT" || gate?.passed === true,
      "a reset seed leaves nothing behind",
    );
    this.#enter(seed, due.next, step);
    this.#move(seed, due.next, step, gate, gate?.reason ?? "time");
  }

  async #evaluate(seed: Seed, due: Due): Promise<GateResult> {
    switch (due.gate) {
      case "G1_GRADIENT_HEALTH": {
        const shadowLoss = seed.shadowLosses.at(-1) ?? Number.NaN;
        return gateGradientHealth({ gradientNorm: seed.gradientNorm, shadowLoss }, this.#settings);
      }
      case "G2_STABILITY": {
        const evidence = evidenceOf(seed);
        seed.gain = measured(evidence.gain);
        return gateStability(evidence, this.#settings);
      }
      case "G3_INTERFACE":
        return gateInterface({
          alpha: seed.alpha,
          validationLoss: (await this.#network.evaluate(this.#validation)).loss,
          sitePresent: this.#network.sites.some((site) => site.siteId === seed.siteId),
        });
      case "G4_SYSTEM_IMPACT":
        return await this.#impact(seed);
      default:
        return gateReset(this.#network.residue(seed.seedId));
    }
  }

  async #impact(seed: Seed): Promise<GateResult> {
    const { loss } = await this.#network.evaluate(this.#validation);
    const { loss: lossWithout } = await this.#network.evaluate(this.#validation, {
      alphaOverride: new Map([[seed.seedId, 0]]),
    });
    seed.gain = measured((seed.baselineLoss - loss) / Math.max(seed.baselineLoss, 1e-12));
    return gateSystemImpact({ baselineLoss: seed.baselineLoss, loss, lossWithout }, this.#settings);
  }

  /** What the device must do when a stage begins. */
  #enter(seed: Seed, stage: SeedStageName, step: number): void {
    if (stage === "BLENDING") {
      this.#network.setAlpha(seed.seedId, 0);
      this.#network.setPhase(seed.seedId, "blend");
      seed.hostLosses = [];
      seed.shadowLosses = [];
    }
    if (stage === "FOSSILIZED") seed.settledAtStep = step;
  }

  /** Out of the network completely: module, optimizer state, evidence. */
  #cull(seed: Seed, step: number, gate: GateResult | null, reason: string): void {
    this.#network.detach(seed.seedId);
    seed.alpha = 0;
    seed.settledAtStep = step;
    seed.hostLosses = [];
    seed.shadowLosses = [];
    seed.reason = reason;
    this.#move(seed, "CULLED", step, gate, reason);
  }

  #move(
    seed: Seed,
    to: SeedStageName,
    step: number,
    gate: GateResult | null,
    reason: string,
  ): void {
    assertMove(seed.seedId, seed.stage, to);
    const { seedId, siteId, blueprintId, blueprintName, stage: from, alpha, parameters } = seed;
    seed.stage = to;
    seed.stageSinceStep = step;
    if (to !== "EMBARGOED" && to !== "RESETTING" && to !== "DORMANT") seed.reason = reason;
    this.#transitions.push({
      seedId,
      siteId,
      blueprintId,
      blueprintName,
      step,
      from,
      to,
      alpha,
      parameters,
      gate,
      reason,
    });
  }

  #take(): readonly SeedTransition[] {
    const taken = this.#transitions;
    this.#transitions = [];
    return taken;
  }
}

/** Null stands for a number that could not be measured: a checkpoint holds no NaN. */
function measured(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

/** An id names one life: a seed that was culled and reset comes back under a new id. */
function refuseAgain({ seedId, stage }: Seed): never {
  assertMove(seedId, stage, "GERMINATED");
  throw new EsperError(
    "COMMAND_ILLEGAL_TRANSITION",
    `${seedId} has lived already and is ${stage} again: germinate under a new seed id`,
    { seedId, from: stage, to: "GERMINATED", allowed: [] },
  );
}

function newSeed(
  order: Germination,
  parameters: number,
  baseline: { readonly loss: number; readonly score: number },
): Seed {
  return {
    seedId: order.seedId,
    siteId: order.artifact.siteId,
    blueprintId: order.artifact.blueprintId,
    blueprintName: order.blueprintName,
    stage: "DORMANT",
    alpha: 0,
    parameters,
    germinatedAtStep: order.step,
    stageSinceStep: order.step,
    settledAtStep: null,
    gradientNorm: 0,
    gain: null,
    reason: "",
    commandId: order.commandId,
    baselineLoss: baseline.loss,
    baselineScore: baseline.score,
    hostLosses: [],
    shadowLosses: [],
  };
}
