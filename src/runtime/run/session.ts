/**
 * One run as the main thread sees it: hands the trainer its orders, stores its checkpoints one
 * after the other, tells the observer, and settles `done` exactly once. A trainer that starts again
 * continues from what is on the disk, never from what was only meant to be there.
 */
import type {
  RunOrder,
  RunResult,
  SeedTransition,
  TrainingState,
} from "../../protocols/actors/growth.ts";
import { ERROR_CATALOGUE, type ErrorCode, EsperError } from "../../protocols/errors.ts";
import type { RunObserver } from "../../protocols/run.ts";
import type { Clock } from "../clock.ts";
import type { CheckpointStore } from "../durable/checkpoint-store.ts";
import { firstNotFinite } from "../durable/snapshot-cache.ts";
import type { EpochReport, ProgressReport, RunHost } from "./run-host.ts";

/** A save that the disk holds up for longer is not waited for when the trainer starts again. */
const SAVE_PATIENCE_MS = 5_000;
/** One under way and one that waits; more would only be the past, held in memory. */
const MAX_SAVES = 2;

export interface SessionOptions {
  /** The first order; `identity.incarnation` is already this process's own. */
  readonly order: RunOrder;
  readonly store: CheckpointStore;
  readonly observer: RunObserver;
  readonly clock: Clock;
  /** Makes a new incarnation durable before it is used, and what it must repeat. */
  readonly saveIncarnation: (
    incarnation: number,
    missedDecisions: readonly number[],
  ) => Promise<void>;
  /** Decisions that missed their deadline so far, for replay. */
  readonly readMisses: () => Promise<readonly number[]>;
}

/** A network with broken numbers must not be what a run goes on from. @throws {LOSS_NOT_FINITE} */
function requireFinite(step: number, state: TrainingState): void {
  const array = firstNotFinite(state);
  if (array === null) return;
  const text = `the state of step ${step} is not stored: ${array} is not finite throughout`;
  throw new EsperError("LOSS_NOT_FINITE", text, { step, array });
}

export class RunSession implements RunHost {
  readonly done: Promise<RunResult>;
  readonly #options: SessionOptions;
  readonly #startedMs: number;
  #settle: (result: RunResult) => void = () => undefined;
  #fail: (error: EsperError) => void = () => undefined;
  #order: RunOrder;
  #orders = 0;
  #over = false;
  #firstGrowthMs: number | null = null;
  #saves = 0;
  #lastSave: Promise<unknown> = Promise.resolve();
  /** True from a failed save to the next good one: people are told of both, and of no more. */
  #savesFail = false;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#order = options.order;
    this.#startedMs = options.clock.monotonicMs();
    this.done = new Promise((resolve, reject) => {
      this.#settle = resolve;
      this.#fail = reject;
    });
    this.done.catch(() => undefined);
  }

  /** Milliseconds from the session's start to the first germination; null when nothing grew. */
  get firstGrowthMs(): number | null {
    return this.#firstGrowthMs;
  }

  /** What cannot be made durable or read ends the run, instead of leaving it without a trainer. */
  async nextOrder(_trainerStarts: number): Promise<RunOrder | null> {
    if (this.#over) return null;
    this.#orders += 1;
    if (this.#orders === 1) return this.#order;
    try {
      await this.#renew([]);
      const checkpoint = await this.#latestCheckpoint();
      this.#order = { ...this.#order, checkpoint };
      return this.#over ? null : this.#order;
    } catch (error) {
      if (!EsperError.is(error)) throw error;
      this.failed(error.code, error.message);
      return null;
    }
  }

  async rollBack(missed: readonly number[]) {
    await this.#renew(missed);
    const { identity, missedDecisions } = this.#order;
    return this.#over ? null : { incarnation: identity.incarnation, missedDecisions };
  }

  async restore(upToStep: number) {
    const { good } = await this.#options.store.latestGood(upToStep);
    return good === null ? null : { step: good.step, bytes: good.bytes };
  }

  current(incarnation: number): boolean {
    return !this.#over && incarnation === this.#order.identity.incarnation;
  }

  epoch(report: EpochReport): void {
    this.#options.observer.on({ kind: "epoch", ...report });
  }

  progress(report: ProgressReport): void {
    this.#options.observer.on({ kind: "progress", ...report });
  }

  transition(transition: SeedTransition): void {
    this.#firstGrowthMs ??= this.#options.clock.monotonicMs() - this.#startedMs;
    this.#options.observer.on({ kind: "seed", transition });
  }

  /**
   * True once it is on disk; false when its incarnation was over before its turn came.
   * @throws {BACKLOG_FULL} when the disk holds up earlier ones, and what saving it failed with.
   */
  async storeCheckpoint(step: number, state: TrainingState, final: boolean): Promise<boolean> {
    if (this.#saves >= MAX_SAVES) {
      const text = `no checkpoint of step ${step}: the disk is not done with earlier ones`;
      throw new EsperError("BACKLOG_FULL", text, { step, waiting: this.#saves });
    }
    const { incarnation } = this.#order.identity;
    this.#saves += 1;
    const turn = this.#lastSave.then(() => this.#save(step, state, final, incarnation));
    this.#lastSave = turn.catch(() => undefined);
    try {
      return await turn;
    } finally {
      this.#saves -= 1;
    }
  }

  finished(result: RunResult): void {
    this.#over = true;
    this.#settle(result);
  }

  failed(code: string, message: string): void {
    this.#over = true;
    const known = code in ERROR_CATALOGUE ? (code as ErrorCode) : "HANDLER_FAILED";
    this.#fail(new EsperError(known, message));
  }

  async #save(step: number, state: TrainingState, final: boolean, incarnation: number) {
    if (!this.current(incarnation)) return false;
    const { store, clock } = this.#options;
    try {
      requireFinite(step, state);
      const { housekeeping } = await store.save(step, state, { final, nowMs: clock.nowMs() });
      if (housekeeping !== null) {
        this.#notice(`old checkpoints could not be put in order: ${housekeeping.message}`);
      }
    } catch (error) {
      if (!this.#savesFail) this.#notice(`no checkpoint of step ${step}: ${String(error)}`);
      this.#savesFail = true;
      throw error;
    }
    if (this.#savesFail) this.#notice(`checkpoints are stored again, from step ${step} on`);
    this.#savesFail = false;
    return true;
  }

  /** The next incarnation, durable, with every miss there ever was. */
  async #renew(missed: readonly number[]): Promise<void> {
    const { saveIncarnation, readMisses } = this.#options;
    const incarnation = this.#order.identity.incarnation + 1;
    // A rewind takes misses off the disk until the trainer passes their steps again.
    const misses = new Set([...this.#order.missedDecisions, ...missed, ...(await readMisses())]);
    const missedDecisions = [...misses].sort((left, right) => left - right);
    await saveIncarnation(incarnation, missedDecisions);
    const identity = { ...this.#order.identity, incarnation };
    this.#order = { ...this.#order, identity, missedDecisions };
  }

  async #latestCheckpoint(): Promise<Uint8Array | null> {
    await this.#saved();
    const { store } = this.#options;
    const { good, damaged } = await store.latestGood();
    for (const { path, error } of damaged) this.#notice(`passed over ${path}: ${error.message}`);
    try {
      await store.setAside(damaged);
    } catch (error) {
      if (!EsperError.is(error)) throw error;
      this.#notice(`damaged checkpoints could not be moved aside: ${error.message}`);
    }
    return good?.bytes ?? this.#options.order.checkpoint;
  }

  /** Waits for the saves under way, but not for ever. */
  async #saved(): Promise<void> {
    const { clock } = this.#options;
    await new Promise<void>((resolve) => {
      const timer = clock.after(SAVE_PATIENCE_MS, resolve);
      void this.#lastSave.then(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  #notice(message: string): void {
    this.#options.observer.on({ kind: "notice", level: "WARNING", message });
  }
}
