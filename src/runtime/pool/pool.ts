/**
 * Stateless jobs on a bounded set of workers. Every run has a deadline and settles with a value or
 * a coded error; a cancelled job has no later effect; whatever a job does to its worker is the
 * failure of that job alone. An open pool may keep the process alive: close it.
 */
import { basename } from "node:path";
import { EsperError } from "../../protocols/errors.ts";
import type { Clock } from "../clock.ts";
import { readEnvironment } from "../config/environment.ts";
import { enrolPool } from "../inspect/pool-roll.ts";
import type { CancellationToken } from "../token.ts";
import type { PoolAccount } from "./account.ts";
import type { CrewMaker } from "./crew.ts";
import { Desk } from "./desk.ts";
import {
  type InputOf,
  type JobMap,
  type JobsDefinition,
  locateJobs,
  type ResultOf,
} from "./jobs.ts";
import {
  checkOptions,
  delay,
  type PoolOptions,
  type PoolSettings,
  workerEnvironment,
} from "./settings.ts";
import type { PoolStatistics } from "./statistics.ts";

/** How one job is run. */
export interface JobOptions {
  /** Milliseconds from now, the time in the queue included. */
  readonly deadlineMs: number;
  readonly token?: CancellationToken;
  /** Buffers of the input that move to the worker instead of being copied; threads only. */
  readonly transfer?: readonly ArrayBuffer[];
}

/** Workers that run the jobs of one definition. */
export interface Pool<Jobs extends JobMap> {
  /**
   * Runs a job. A cancelled one settles when its worker has let go, at most the grace later.
   * @throws {CANCELLED} @throws {DEADLINE_EXCEEDED} @throws {BACKLOG_FULL} @throws {POOL_CLOSED}
   * @throws {JOB_LOST} when its worker ended, @throws {NOT_TRANSFERABLE}, @throws {CONFIG_INVALID}
   * for wrong options, @throws {MESSAGE_UNKNOWN}, and what the job threw, if coded, else
   * @throws {HANDLER_FAILED}.
   */
  run<K extends keyof Jobs & string>(
    name: K,
    input: InputOf<Jobs, K>,
    options: JobOptions,
  ): Promise<ResultOf<Jobs, K>>;
  /** submitted = completed + cancelled + timedOut + failed + queued + running, at every moment. */
  account(): PoolAccount;
  /** How long jobs waited and ran. */
  statistics(): PoolStatistics;
  /** Cancels everything, ends the workers after the grace, and waits until they are gone. */
  close(options?: { readonly graceMs?: number }): Promise<void>;
}

/** A pool over any crew. */
class JobPool<Jobs extends JobMap> implements Pool<Jobs> {
  readonly #functions: Jobs;
  readonly #clock: Clock;
  readonly #settings: PoolSettings;
  readonly #desk: Desk;
  readonly #strikeOff: () => void;

  constructor(name: string, functions: Jobs, settings: PoolSettings, desk: Desk) {
    this.#functions = functions;
    this.#clock = settings.clock;
    this.#settings = settings;
    this.#desk = desk;
    this.#strikeOff = enrolPool({ name, account: () => desk.account() });
  }

  // Not an async function: one more promise a job is a tenth of what a small job costs here.
  run<K extends keyof Jobs & string>(
    name: K,
    input: InputOf<Jobs, K>,
    options: JobOptions,
  ): Promise<ResultOf<Jobs, K>> {
    try {
      this.#check(name, options);
    } catch (error) {
      return Promise.reject(error);
    }
    const deadlineAtMs = this.#clock.monotonicMs() + options.deadlineMs;
    const request = { name, input, deadlineAtMs, transfer: options.transfer ?? [] };
    // The worker ran the function of this name, so the value is of its type.
    return this.#desk.submit(request, options.token) as Promise<ResultOf<Jobs, K>>;
  }

  account(): PoolAccount {
    return this.#desk.account();
  }

  statistics(): PoolStatistics {
    return this.#desk.statistics();
  }

  async close(options: { readonly graceMs?: number } = {}): Promise<void> {
    const graceMs = delay("graceMs", options.graceMs ?? this.#settings.graceMs, 0);
    await this.#desk.close(graceMs);
    this.#strikeOff();
  }

  /** @throws {MESSAGE_UNKNOWN} @throws {CONFIG_INVALID} */
  #check(name: string, options: JobOptions): void {
    if (!Object.hasOwn(this.#functions, name)) {
      const allowed = Object.keys(this.#functions);
      const text = `there is no job ${name}; allowed are ${allowed.join(", ")}`;
      throw new EsperError("MESSAGE_UNKNOWN", text, { path: "name", value: name, allowed });
    }
    delay("deadlineMs", options.deadlineMs, 0);
    if (this.#settings.kind === "process" && options.transfer !== undefined) {
      const text = "transfer is given; a process shares no memory, so its input is copied";
      throw new EsperError("CONFIG_INVALID", text, { path: "transfer", allowed: [] });
    }
  }
}

/** Opens a pool over the given crew; `openPool` is this with the workers of the platform. */
export async function openPoolOver<Jobs extends JobMap>(
  jobs: JobsDefinition<Jobs>,
  options: PoolOptions,
  makeCrew: (settings: PoolSettings) => CrewMaker | Promise<CrewMaker>,
): Promise<Pool<Jobs>> {
  const settings = checkOptions(options);
  const desk = new Desk(settings);
  await desk.open(await makeCrew(settings));
  return new JobPool(basename(jobs.module), jobs.functions, settings, desk);
}

/**
 * Starts the workers and loads the jobs in each.
 * @throws {CONFIG_INVALID} for wrong options, for jobs that a worker cannot find, and when run from
 * TypeScript sources. @throws {JOB_LOST} when a worker ends while it loads the jobs.
 */
export function openPool<Jobs extends JobMap>(
  jobs: JobsDefinition<Jobs>,
  options: PoolOptions,
): Promise<Pool<Jobs>> {
  return openPoolOver(jobs, options, async (settings) => {
    if (import.meta.url.endsWith(".ts")) {
      const text = "the workers of a pool need the built package";
      throw new EsperError("CONFIG_INVALID", text, { path: "pool", module: import.meta.url });
    }
    const source = await locateJobs(jobs);
    const environment = workerEnvironment(readEnvironment(), settings);
    const names = Object.keys(jobs.functions);
    const plan = { source, settings, environment, names };
    // Loaded when needed: most programs open no pool, or only one kind.
    if (settings.kind === "process") {
      return (await import("./process-crew.ts")).processCrew(plan);
    }
    if (settings.cooperative) return (await import("./shared-crew.ts")).sharedCrew(plan);
    return (await import("./thread-crew.ts")).threadCrew(plan);
  });
}
