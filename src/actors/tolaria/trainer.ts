/**
 * The training loop: batches, steps, epochs, decision points, checkpoints. One call of `step` is
 * one optimizer step. It talks to the other actors only through its ports and keeps all its state
 * in plain data, so that a checkpoint continues it bit for bit.
 */
import type { RunOrder, SeedTransition } from "../../protocols/actors/growth.ts";
import { type ErrorDetails, EsperError } from "../../protocols/errors.ts";
import type { EpochPoint, SeedState } from "../../protocols/leyline/state.ts";
import type { Clock } from "../../runtime/clock.ts";
import type { GrowableNetwork, StepResult } from "../../runtime/device/network.ts";
import type { Checkpoint } from "../../runtime/durable/checkpoint.ts";
import { createRandom } from "../../runtime/random.ts";
import { BatchCursor } from "./batches.ts";
import { describeTraining, type TrainingCheckpoint } from "./checkpoint.ts";
import { DecisionWindow } from "./decisions.ts";
import { type LrSettings, learningRateAt } from "./learning-rate.ts";
import { buildPacket } from "./packet.ts";
import type { Capture, TrainerPorts } from "./ports.ts";
import { closeEpoch, newProgress, type Progress, recordStep } from "./progress.ts";
import { describeResult } from "./result.ts";
import { decisionMissRow, epochRow, seedRow, stepRow } from "./rows.ts";
import { scoreOf } from "./score.ts";

/** Where good states are kept, in case training must return to one. */
export interface Keepsakes {
  /** At the first decision point at least so many steps after the one before. */
  readonly everySteps: number;
  /** Copies the state; must not fail because it cannot. */
  keep(step: number, checkpoint: Checkpoint): void;
}

export interface TrainerSettings extends LrSettings {
  /** Absent where training never returns to an earlier state. */
  readonly keepsakes?: Keepsakes | undefined;
}

export type StopReason = "completed" | "target-reached" | "stopped";

const PROGRESS_EVERY_MS = 100;
const CONVERGED_LOSS = 1e-3;
const CONVERGED_SCORE = 0.999;

function lossNotFinite(what: string, details: ErrorDetails): EsperError {
  return new EsperError("LOSS_NOT_FINITE", `${what}; try a smaller --learning-rate`, details);
}

export class Trainer {
  readonly #order: RunOrder;
  readonly #network: GrowableNetwork;
  readonly #ports: TrainerPorts;
  readonly #clock: Clock;
  readonly #schedule: LrSettings;
  readonly #keepsakes: Keepsakes | null;
  readonly #cursor: BatchCursor;
  readonly #decisions: DecisionWindow;
  readonly #progress: Progress;
  readonly #tensorsAtStart: number;
  readonly #missed: Set<number>;
  #seeds: readonly SeedState[] = [];
  #knowsSeeds = false;
  /** True while a seed has moves ahead of it, so that Kasmina must see every step. */
  #growing = true;
  #stopRequested = false;
  #lastCheckpointStep: number;
  /** The state that training begins with is good. */
  #lastKeptStep = Number.NEGATIVE_INFINITY;
  #lastProgressMs = 0;
  #epochStartedMs: number;

  constructor(
    order: RunOrder,
    network: GrowableNetwork,
    ports: TrainerPorts,
    clock: Clock,
    settings: TrainerSettings,
    resumed: TrainingCheckpoint | null,
    tensorsAtStart: number,
  ) {
    this.#order = order;
    this.#network = network;
    this.#ports = ports;
    this.#clock = clock;
    const { lrPolicy, lrWarmupSteps } = settings;
    this.#schedule = resumed?.schedule ?? { lrPolicy, lrWarmupSteps };
    this.#keepsakes = settings.keepsakes ?? null;
    this.#tensorsAtStart = tensorsAtStart;
    this.#missed = new Set(order.missedDecisions);
    this.#progress = resumed?.progress ?? newProgress();
    this.#lastCheckpointStep = this.#progress.step;
    this.#epochStartedMs = clock.monotonicMs();
    const { decideEvery, decisionLag, batchSize } = order.options;
    this.#decisions = new DecisionWindow(decideEvery, decisionLag, order.missedDecisions);
    const epochStart = createRandom(order.identity.seed, "order").state();
    const cursor = resumed?.cursor ?? { epochStart, epoch: 1, position: 0 };
    this.#cursor = new BatchCursor(order.dataset.train, batchSize, cursor);
  }

  /** Every decision known to have missed its deadline, for an equal replay. */
  get missedDecisions(): readonly number[] {
    return [...this.#missed];
  }

  get currentStep(): number {
    return this.#progress.step;
  }

  /** Training ends at the next decision boundary, after a checkpoint. */
  requestStop(): void {
    this.#stopRequested = true;
  }

  /** Returns when what was recorded is on disk, for whoever continues from an earlier step. */
  flush(): Promise<void> {
    return this.#ports.flush();
  }

  /** One optimizer step with everything around it; the reason when training is over. */
  async step(): Promise<StopReason | null> {
    if (this.#cursor.epochDone) {
      // A run resumed from its final checkpoint has nothing left to do but to say so again, of the
      // seeds that it had.
      if (!this.#knowsSeeds) await this.#readSeeds();
      const over = this.#reasonToEnd();
      if (over !== null) return over;
      this.#cursor.startNextEpoch();
    }
    if (await this.#boundary()) return "stopped";
    const batch = this.#cursor.next();
    const learningRate = this.#learningRate();
    const result = await this.#network.trainStep(batch, learningRate);
    this.#requireFinite(result);
    recordStep(this.#progress, { ...result, samples: batch.count });
    await this.#advanceSeeds(result);
    if (this.#progress.step % this.#order.options.decideEvery === 0) {
      await this.#recordStep(learningRate);
    }
    this.#reportProgress();
    return this.#cursor.epochDone ? await this.#finishEpoch() : null;
  }

  /** Final measurements, the final checkpoint, and the result. */
  async finish(reason: StopReason): Promise<void> {
    const { seeds, snapshot } = await this.#ports.seeds(this.currentStep);
    const capture = await this.#capture(snapshot, true);
    const result = await describeResult({
      reason,
      order: this.#order,
      network: this.#network,
      progress: this.#progress,
      epoch: this.#cursor.epoch,
      seeds,
      snapshot,
      tensorsAtStart: this.#tensorsAtStart,
    });
    await this.#ports.checkpoint(capture);
    await this.#ports.finished(result);
  }

  #learningRate(): number {
    const { options } = this.#order;
    return learningRateAt(this.#progress.step, {
      base: options.learningRate,
      policy: this.#schedule.lrPolicy,
      warmupSteps: this.#schedule.lrWarmupSteps,
      totalSteps: options.maxEpochs * this.#cursor.stepsPerEpoch,
    });
  }

  /** @throws {LOSS_NOT_FINITE} */
  #requireFinite({ loss, gradientNorm }: StepResult): void {
    if (Number.isFinite(loss) && Number.isFinite(gradientNorm)) return;
    const step = this.#progress.step + 1;
    throw lossNotFinite(
      `the loss at step ${step} is ${loss} and the gradient norm ${gradientNorm}`,
      { step, loss, gradientNorm },
    );
  }

  /** Takes a due decision, asks the next one, checkpoints. True when training must stop here. */
  async #boundary(): Promise<boolean> {
    const step = this.currentStep;
    const taken = await this.#decisions.take(step);
    if (taken !== null && taken.decision === null) {
      this.#missed.add(taken.askedAtStep);
      await this.#ports.record([decisionMissRow(taken.askedAtStep)]);
    }
    const command = taken?.decision?.command ?? null;
    if (command !== null) await this.#applyCommand(command, step);
    if (!this.#decisions.atBoundary(step)) return false;
    if (this.#stopRequested) return true;
    const { seeds, snapshot } = await this.#readSeeds();
    await this.#save(step, snapshot);
    if (this.#order.options.growth) this.#ask(step, seeds);
    return false;
  }

  async #applyCommand(command: Parameters<TrainerPorts["apply"]>[0], step: number): Promise<void> {
    // Set before the call: an answer that came too late may still have germinated a seed.
    this.#growing = true;
    try {
      const transitions = await this.#ports.apply(command, step);
      this.#progress.beforeGrowth ??= this.#progress.history.at(-1) ?? null;
      await this.#publish(transitions);
    } catch (error) {
      // A refused command is a fact of life for the trainer: it goes on with the network it has.
      if (!EsperError.is(error)) throw error;
      this.#ports.rejected(step, error);
    }
  }

  #ask(step: number, seeds: readonly SeedState[]): void {
    const { identity, options } = this.#order;
    const packet = buildPacket({
      identity,
      options,
      epoch: this.#cursor.epoch,
      step,
      stepsLeft: options.maxEpochs * this.#cursor.stepsPerEpoch - step,
      learningRate: this.#learningRate(),
      loss: this.#progress.loss,
      gradient: this.#progress.gradient,
      lossDelta: this.#progress.lossDelta,
      history: this.#progress.history,
      seeds,
      sites: this.#network.sites,
      hostParameters: this.#network.parameterCount().host,
      totalParameters: this.#network.parameterCount().total,
    });
    this.#decisions.ask(step, () => this.#ports.decide(packet));
  }

  async #advanceSeeds(result: StepResult): Promise<void> {
    if (!this.#growing) return;
    const { transitions, busy } = await this.#ports.advance({
      step: this.currentStep,
      trainingLoss: result.loss,
      shadows: result.shadows,
    });
    this.#growing = busy;
    await this.#publish(transitions);
  }

  async #readSeeds(): ReturnType<TrainerPorts["seeds"]> {
    const answer = await this.#ports.seeds(this.currentStep);
    this.#seeds = answer.seeds;
    this.#knowsSeeds = true;
    return answer;
  }

  async #publish(transitions: readonly SeedTransition[]): Promise<void> {
    if (transitions.length === 0) return;
    for (const transition of transitions) this.#ports.transition(transition);
    await this.#ports.record(transitions.map(seedRow));
    await this.#readSeeds();
  }

  async #recordStep(learningRate: number): Promise<void> {
    if (this.#growing) await this.#readSeeds();
    const row = stepRow({
      step: this.currentStep,
      epoch: this.#cursor.epoch,
      trainingLoss: this.#progress.loss.last,
      gradientNorm: this.#progress.gradient.last,
      learningRate,
      seeds: this.#seeds,
      totalParameters: this.#network.parameterCount().total,
    });
    await this.#ports.record([row]);
  }

  #reportProgress(): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#lastProgressMs < PROGRESS_EVERY_MS) return;
    this.#lastProgressMs = nowMs;
    this.#ports.progress({
      step: this.currentStep,
      epoch: this.#cursor.epoch,
      epochStep: this.#cursor.epochStep,
      epochSteps: this.#cursor.stepsPerEpoch,
      trainingLoss: this.#progress.loss.last,
    });
  }

  async #finishEpoch(): Promise<StopReason | null> {
    const { dataset } = this.#order;
    const validation = await this.#network.evaluate(dataset.validation);
    if (!Number.isFinite(validation.loss)) {
      const { epoch } = this.#cursor;
      const text = `the validation loss after epoch ${epoch} is ${validation.loss}`;
      throw lossNotFinite(text, { epoch, loss: validation.loss });
    }
    const point = closeEpoch(this.#progress, this.#cursor.epoch, validation, (sum, samples) =>
      scoreOf(dataset, sum, samples),
    );
    const nowMs = this.#clock.monotonicMs();
    const seconds = Math.max(1e-6, (nowMs - this.#epochStartedMs) / 1_000);
    this.#epochStartedMs = nowMs;
    const samplesPerSecond = dataset.train.count / seconds;
    const totalParameters = this.#network.parameterCount().total;
    await this.#ports.record([epochRow(point, totalParameters, samplesPerSecond)]);
    this.#ports.epoch({ point, samplesPerSecond, seeds: this.#seeds, totalParameters });
    return this.#reasonToEnd();
  }

  /** Why the epoch that has just been closed is the last one, or null. */
  #reasonToEnd(): StopReason | null {
    const point = this.#progress.history.at(-1);
    if (point === undefined) return null;
    if (this.#reachedTarget(point)) return "target-reached";
    const over = this.#converged(point) || this.#cursor.epoch >= this.#order.options.maxEpochs;
    return over ? "completed" : null;
  }

  /** Never in the middle of a seed's life: what a half-blended network reached is not reached. */
  get #settled(): boolean {
    return this.#seeds.every((seed) => seed.settledAtStep !== null);
  }

  #reachedTarget(point: EpochPoint): boolean {
    const { targetScore } = this.#order.options;
    return targetScore !== null && this.#settled && point.validationScore >= targetScore;
  }

  /** Nothing is left to learn: more epochs would only repeat what the network can say already. */
  #converged(point: EpochPoint): boolean {
    const { trainingLoss, trainingScore } = point;
    return this.#settled && trainingLoss < CONVERGED_LOSS && trainingScore >= CONVERGED_SCORE;
  }

  /** Keeps and stores the state where either is due. */
  async #save(step: number, snapshot: TrainingCheckpoint["kasmina"]): Promise<void> {
    const every = this.#order.options.checkpointEverySteps;
    const toStore = step - this.#lastCheckpointStep >= every;
    const keepsakes = this.#keepsakes;
    const toKeep = keepsakes !== null && step - this.#lastKeptStep >= keepsakes.everySteps;
    if (!toStore && !toKeep) return;
    const capture = await this.#capture(snapshot, false);
    if (keepsakes !== null) {
      // Every stored state is kept too; first, because storing gives its arrays away.
      keepsakes.keep(step, capture.checkpoint);
      this.#lastKeptStep = step;
    }
    if (!toStore) return;
    this.#lastCheckpointStep = step;
    await this.#ports.checkpoint(capture);
  }

  async #capture(snapshot: TrainingCheckpoint["kasmina"], final: boolean): Promise<Capture> {
    const startedMs = this.#clock.monotonicMs();
    const network = await this.#network.snapshot();
    const checkpoint = describeTraining(this.#order, {
      progress: this.#progress,
      cursor: this.#cursor.state(),
      kasmina: snapshot,
      network,
      schedule: this.#schedule,
    });
    const tookMs = this.#clock.monotonicMs() - startedMs;
    return { step: this.currentStep, final, checkpoint, tookMs };
  }
}
