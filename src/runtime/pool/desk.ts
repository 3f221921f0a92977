/**
 * The pool between its callers and its crew: queue, deadlines, cancellation, books. Every job
 * settles exactly once, with a value or a coded error, by its deadline; what its worker does after
 * that is discarded. A cancelled job settles when its worker has let go of it.
 */
import { EsperError, rehydrate } from "../../protocols/errors.ts";
import type { Clock } from "../clock.ts";
import { Histogram } from "../telemetry/meter.ts";
import type { CancellationToken } from "../token.ts";
import type { CancelReason } from "../token-table.ts";
import { Account, type Ending, type PoolAccount } from "./account.ts";
import type { Crew, CrewEvents, CrewMaker, Outcome } from "./crew.ts";
import { DeadlineAlarm } from "./deadline-alarm.ts";
import { Job, type Request } from "./job.ts";
import { type PoolStatistics, summaryOf } from "./statistics.ts";

/** How long a caller waits for a worker that is being ended; measured at 2 to 5 ms when idle. */
const FORCED_END_MS = 40;
/** How long a shared worker may sit on a job that was told to stop before it is looked at. */
const WEDGED_MS = 1_500;

/** What the desk must know of the pool's options. */
export interface DeskOptions {
  readonly clock: Clock;
  readonly queueCapacity: number;
  readonly graceMs: number;
}

/** Takes jobs in, gives them to the crew, and settles them. */
export class Desk implements CrewEvents {
  readonly #clock: Clock;
  readonly #options: DeskOptions;
  readonly #account = new Account();
  readonly #alarm: DeadlineAlarm;
  /** Jobs that wait, oldest first. */
  readonly #queue = new Map<number, Job>();
  /** Jobs that a worker has, those the caller no longer waits for included. */
  readonly #handed = new Map<number, Job>();
  readonly #waitMs = new Histogram();
  readonly #runMs = new Histogram();
  readonly #tallies = { refused: 0, discarded: 0, forced: 0 };
  #crew: Crew | null = null;
  #nextId = 1;
  #closing: Promise<void> | null = null;
  #emptied: (() => void) | null = null;

  constructor(options: DeskOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#alarm = new DeadlineAlarm(options.clock, () => this.#expire());
  }

  /** Must come before the first job. */
  async open(make: CrewMaker): Promise<void> {
    this.#crew = await make(this);
  }

  submit(request: Request, token: CancellationToken | undefined): Promise<unknown> {
    const refusal = this.#refusal();
    if (refusal !== null) {
      this.#tallies.refused += 1;
      return Promise.reject(refusal);
    }
    return new Promise((resolve, reject) => {
      const promised = { resolve, reject };
      const nowMs = this.#clock.monotonicMs();
      const job = new Job(this.#nextId++, request, nowMs, promised, token !== undefined);
      this.#account.submit();
      this.#queue.set(job.id, job);
      if (token !== undefined) {
        const { graceMs } = this.#options;
        const withdraw = token.onCancel(() => this.#cancel(job, "requested", graceMs));
        if (job.column === null) return;
        job.withdraw = withdraw;
      }
      this.#alarm.arm(job.deadlineAtMs);
      this.#pump();
    });
  }

  account(): PoolAccount {
    return this.#account.read();
  }

  statistics(): PoolStatistics {
    let lingering = 0;
    for (const job of this.#handed.values()) if (job.column === null) lingering += 1;
    const figures = this.#crew?.figures() ?? { workers: 0, replaced: 0 };
    const waitMs = summaryOf(this.#waitMs);
    return { ...this.#tallies, ...figures, lingering, waitMs, runMs: summaryOf(this.#runMs) };
  }

  /** Drops what waits, stops what runs, ends the workers. Idempotent: the first call's grace. */
  close(graceMs: number): Promise<void> {
    this.#closing ??= this.#close(graceMs);
    return this.#closing;
  }

  ended(id: number, outcome: Outcome): void {
    const job = this.#handed.get(id);
    // An end after `close` gave up on this worker, or a second one, changes nothing.
    if (job === undefined) return;
    this.#handed.delete(id);
    job.timer?.cancel();
    job.releaseToken();
    const nowMs = this.#clock.monotonicMs();
    if (job.column !== null) this.#runMs.observe(nowMs - job.sinceMs);
    this.#conclude(job, outcome, nowMs);
    this.#afterAnEnd();
  }

  room(): void {
    this.#pump();
  }

  #refusal(): EsperError | null {
    if (this.#closing !== null) return new EsperError("POOL_CLOSED", "the pool is closed");
    const { queueCapacity } = this.#options;
    if (this.#queue.size < queueCapacity) return null;
    const text = `${this.#queue.size} jobs wait already; at most ${queueCapacity} may`;
    return new EsperError("BACKLOG_FULL", text, { waiting: this.#queue.size, queueCapacity });
  }

  #pump(): void {
    const crew = this.#crew;
    if (crew === null || this.#closing !== null) return;
    // A crew reports nothing while it takes a job, so the queue changes only here.
    for (const job of this.#queue.values()) {
      if (!crew.hasRoom()) return;
      const nowMs = this.#clock.monotonicMs();
      this.#queue.delete(job.id);
      this.#handed.set(job.id, job);
      this.#account.move("queued", "running");
      job.column = "running";
      this.#waitMs.observe(nowMs - job.sinceMs);
      job.sinceMs = nowMs;
      // From here on the worker may have begun, and only its report can end the job well.
      this.#start(crew, job);
    }
  }

  #start(crew: Crew, job: Job): void {
    try {
      crew.start(job);
    } catch (error) {
      if (!EsperError.is(error)) throw error;
      this.#handed.delete(job.id);
      this.#settle(job, "failed", error);
    }
    job.forgetInput();
  }

  /** Decides what an end in the worker means for the caller. */
  #conclude(job: Job, outcome: Outcome, nowMs: number): void {
    const late = outcome.kind === "late" || nowMs >= job.deadlineAtMs;
    if (job.column === null || job.stopped !== null || late) {
      if (outcome.kind === "value") this.#tallies.discarded += 1;
      if (job.stopped !== null) this.#settle(job, "cancelled", job.stopped);
      else this.#settle(job, "timedOut", tooLate(job));
    } else if (outcome.kind === "value") {
      this.#release(job, "completed");
      job.promised.resolve(outcome.value);
    } else if (outcome.kind === "error") {
      this.#settle(job, "failed", rehydrate(outcome.error));
    } else {
      const text = `the worker of the job ${job.name} ended: ${outcome.cause}`;
      const details = { job: job.name, cause: outcome.cause };
      this.#settle(job, "failed", new EsperError("JOB_LOST", text, details));
    }
  }

  /** Answers the caller with an error, unless it has its answer. */
  #settle(job: Job, ending: Ending, error: EsperError): void {
    if (this.#release(job, ending)) job.promised.reject(error);
  }

  /** Moves the job out of the open columns; false when that has happened before. */
  #release(job: Job, ending: Ending): boolean {
    if (job.column === null) return false;
    if (job.column === "queued") this.#queue.delete(job.id);
    this.#account.move(job.column, ending);
    job.column = null;
    job.withdraw?.();
    job.withdraw = null;
    if (this.#queue.size + this.#handed.size === 0) this.#alarm.clear();
    return true;
  }

  #cancel(job: Job, reason: "requested" | "stopped", graceMs: number): void {
    if (job.column === null || job.stopped !== null) return;
    const why = reason === "stopped" ? "its pool was closed" : "its token was set";
    const stop = new EsperError("CANCELLED", `the job ${job.name} was cancelled: ${why}`, {
      ...{ job: job.name, reason },
    });
    if (job.column === "queued") this.#settle(job, "cancelled", stop);
    else {
      job.stopped = stop;
      this.#stop(job, reason, graceMs);
    }
  }

  /** Tells a running job to stop, and ends its worker when it has not after the grace. */
  #stop(job: Job, reason: CancelReason, graceMs: number): void {
    job.stop(reason);
    this.#crew?.notice(job.id);
    job.timer?.cancel();
    job.timer = this.#clock.after(graceMs, () => this.#force(job));
  }

  #force(job: Job): void {
    const crew = this.#crew;
    if (crew === null || job.forced || !this.#handed.has(job.id)) return;
    job.timer?.cancel();
    job.forced = true;
    const answer = (): void => {
      if (job.stopped !== null) this.#settle(job, "cancelled", job.stopped);
    };
    if (crew.forceable) {
      this.#tallies.forced += 1;
      job.timer = this.#clock.after(FORCED_END_MS, answer);
      crew.force(job.id);
    } else {
      // A shared worker keeps its neighbours; it is ended only if it answers nothing at all.
      answer();
      job.timer = this.#clock.after(WEDGED_MS, () => crew.force(job.id), true);
    }
  }

  /** Settles what is due. A job that was cancelled before loses the rest of its grace. */
  #expire(): void {
    const nowMs = this.#clock.monotonicMs();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const jobs of [this.#queue, this.#handed]) {
      for (const job of jobs.values()) {
        if (job.column === null) continue;
        if (job.deadlineAtMs > nowMs) nextMs = Math.min(nextMs, job.deadlineAtMs);
        else this.#overdue(job);
      }
    }
    if (nextMs < Number.POSITIVE_INFINITY) this.#alarm.arm(nextMs);
  }

  #overdue(job: Job): void {
    if (job.stopped !== null) {
      this.#force(job);
      return;
    }
    const running = job.column === "running";
    this.#settle(job, "timedOut", tooLate(job));
    if (running) this.#stop(job, "deadline", this.#options.graceMs);
  }

  #afterAnEnd(): void {
    this.#pump();
    if (this.#handed.size > 0) return;
    if (this.#queue.size === 0) this.#alarm.clear();
    this.#emptied?.();
  }

  async #close(graceMs: number): Promise<void> {
    // The caller of `close` is told by its promise; jobs that linger get the same grace.
    for (const job of [...this.#queue.values(), ...this.#handed.values()]) {
      if (job.column !== null) this.#cancel(job, "stopped", graceMs);
      else this.#stop(job, "stopped", graceMs);
    }
    await this.#whenEmpty(graceMs + FORCED_END_MS);
    this.#alarm.clear();
    await this.#crew?.close();
    for (const job of this.#handed.values()) {
      job.timer?.cancel();
      if (job.stopped !== null) this.#settle(job, "cancelled", job.stopped);
      job.releaseToken();
    }
    this.#handed.clear();
  }

  #whenEmpty(limitMs: number): Promise<void> {
    if (this.#handed.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = this.#clock.after(limitMs, resolve);
      this.#emptied = () => {
        timer.cancel();
        resolve();
      };
    });
  }
}

function tooLate(job: Job): EsperError {
  const text = `the deadline of the job ${job.name} passed before it ended`;
  return new EsperError("DEADLINE_EXCEEDED", text, { job: job.name });
}
