/**
 * One run as the main thread sees it: hands the trainer its orders, keeps the latest checkpoint,
 * tells the observer, and settles `done` exactly once.
 */
import type { RunOrder, RunResult, SeedTransition } from "../../protocols/actors/growth.ts";
import { ERROR_CATALOGUE, type ErrorCode, EsperError } from "../../protocols/errors.ts";
import type { RunObserver } from "../../protocols/run.ts";
import type { Clock } from "../clock.ts";
import type { CheckpointStore } from "../durable/checkpoint-store.ts";
import type { EpochReport, ProgressReport, RunHost } from "./run-host.ts";

export interface SessionOptions {
  /** The first order; `identity.incarnation` is already this process's own. */
  readonly order: RunOrder;
  readonly store: CheckpointStore;
  readonly observer: RunObserver;
  readonly clock: Clock;
  /** Makes a new incarnation durable before it is used. */
  readonly saveIncarnation: (incarnation: number) => Promise<void>;
  /** Decisions that missed their deadline so far, for replay. */
  readonly readMisses: () => Promise<readonly number[]>;
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

  async nextOrder(_trainerStarts: number): Promise<RunOrder | null> {
    if (this.#over) return null;
    this.#orders += 1;
    if (this.#orders === 1) return this.#order;
    const incarnation = this.#order.identity.incarnation + 1;
    await this.#options.saveIncarnation(incarnation);
    // A rewind takes misses off the disk until the trainer passes their steps again.
    const misses = new Set([...this.#order.missedDecisions, ...(await this.#options.readMisses())]);
    this.#order = {
      ...this.#order,
      identity: { ...this.#order.identity, incarnation },
      missedDecisions: [...misses].sort((left, right) => left - right),
    };
    return this.#order;
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

  /** A checkpoint that is on disk also becomes the point a restarted trainer continues from. */
  async storeCheckpoint(step: number, bytes: Uint8Array, final: boolean): Promise<boolean> {
    await this.#options.store.save(step, bytes, { final });
    this.#order = { ...this.#order, checkpoint: bytes };
    return true;
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
}
