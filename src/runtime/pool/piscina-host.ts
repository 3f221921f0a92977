/**
 * Piscina as the keeper of worker threads: it starts, limits, replaces and ends them. Nothing of it
 * is global, nothing waits in its queue, and its errors come out as the outcome of one job.
 */
import { fileURLToPath } from "node:url";
import type { MessagePort, Worker } from "node:worker_threads";
import { Piscina } from "piscina";
import { EsperError, rehydrate, type WireError } from "../../protocols/errors.ts";
import type { Clock } from "../clock.ts";
import type { CrewFigures, CrewPlan, Outcome } from "./crew.ts";
import { type Tables, tablesToSend } from "./crossing.ts";
import type { JobsSource } from "./jobs.ts";

const ENTRY = fileURLToPath(new URL("./thread-entry.js", import.meta.url));
/** A thread inside a native call that cannot be interrupted is not waited for any longer. */
const END_LIMIT_MS = 500;
const LOAD_LIMIT_MS = 10_000;

/** What every thread finds as its `workerData`. */
export interface ThreadOrder {
  readonly source: JobsSource;
  readonly tables: Tables;
  /** The channel on which all threads hear of tokens that were set; null: they have a port. */
  readonly notices: string | null;
}

/** What a thread says of the error that ends it. */
export interface LastWords {
  readonly job: number;
  readonly error: WireError;
}

/**
 * What piscina takes for an AbortSignal: it asks for three members only, and a real one with its
 * controller costs more than a small job.
 */
export class Switch {
  aborted = false;
  /** Resolves when the thread is gone; null until the switch was thrown. */
  gone: Promise<void> | null = null;
  #listener: (() => void) | null = null;

  addEventListener(_name: "abort", listener: () => void): void {
    this.#listener = listener;
  }

  removeEventListener(): void {
    this.#listener = null;
  }

  throw(): void {
    this.aborted = true;
    this.#listener?.();
  }
}

/** The threads of one pool. */
export class PiscinaHost {
  readonly #piscina: Piscina;
  readonly #clock: Clock;
  readonly #workers: number;
  #started = 0;
  #destroyed: Worker | null = null;

  constructor(
    { settings, environment, source }: CrewPlan,
    notices: string | null,
    hear: (words: LastWords) => void = () => {},
  ) {
    const { workers, heapLimitMb } = settings;
    const order: ThreadOrder = { source, notices, tables: tablesToSend() };
    this.#clock = settings.clock;
    this.#workers = workers;
    this.#piscina = new Piscina({
      filename: ENTRY,
      minThreads: workers,
      maxThreads: workers,
      concurrentTasksPerWorker: 1,
      // Measured as fast as the other two here, and timers of a job that awaits keep running.
      atomics: "disabled",
      recordTiming: false,
      workerData: order,
      env: { ...environment },
      ...(heapLimitMb === null ? {} : { resourceLimits: { maxOldGenerationSizeMb: heapLimitMb } }),
    });
    this.#piscina.on("workerCreate", () => {
      this.#started += 1;
    });
    this.#piscina.on("workerDestroy", ({ id }: { readonly id: number }) => {
      this.#destroyed = this.#piscina.threads.find(({ threadId }) => threadId === id) ?? null;
    });
    this.#piscina.on("message", (words: unknown) => {
      // A job may post anything to the parent; only the entry's own words are heard.
      if (isLastWords(words)) hear(words);
    });
    // A thread that dies between two jobs has no job to fail; it is replaced and counted.
    this.#piscina.on("error", () => {
      this.#destroyed = null;
    });
  }

  /** Loads the jobs in every thread. @throws {CONFIG_INVALID} @throws {JOB_LOST} */
  async load(): Promise<void> {
    const loaded = Array.from({ length: this.#workers }, () => this.#loadOne());
    const failed = (await Promise.allSettled(loaded)).find(({ status }) => status === "rejected");
    if (failed === undefined || failed.status !== "rejected") return;
    await this.destroy();
    throw failed.reason;
  }

  /**
   * Runs one of the entry's functions in a free thread. When it rejects, `gone` of the switch says
   * when the thread has ended, and its last words have arrived by then.
   */
  async run(
    name: string,
    task: unknown,
    transferList: readonly (ArrayBuffer | MessagePort)[],
    signal: Switch,
  ): Promise<unknown> {
    try {
      return await this.#piscina.run(task, { name, transferList: [...transferList], signal });
    } catch (error) {
      signal.gone ??= this.#whenGone(this.#takeDestroyed());
      throw error;
    }
  }

  /** Ends the thread that runs under this switch; `gone` says when. */
  end(signal: Switch): void {
    if (signal.aborted) return;
    this.#destroyed = null;
    signal.throw();
    signal.gone = this.#whenGone(this.#takeDestroyed());
  }

  figures(): CrewFigures {
    return { workers: this.#workers, replaced: Math.max(0, this.#started - this.#workers) };
  }

  async destroy(): Promise<void> {
    await this.#within(this.#piscina.destroy());
  }

  async #loadOne(): Promise<void> {
    const signal = new Switch();
    const timer = this.#clock.after(LOAD_LIMIT_MS, () => this.end(signal));
    try {
      const outcome = (await this.run("load", null, [], signal)) as Outcome;
      if (outcome.kind === "error") throw rehydrate(outcome.error);
    } catch (error) {
      if (error instanceof EsperError) throw error;
      throw new EsperError("JOB_LOST", `a thread ended while it loaded: ${causeOf(error)}`);
    } finally {
      timer.cancel();
    }
  }

  #takeDestroyed(): Worker | null {
    const worker = this.#destroyed;
    this.#destroyed = null;
    return worker;
  }

  #whenGone(worker: Worker | null): Promise<void> {
    if (worker === null) return Promise.resolve();
    const exited = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
    return this.#within(exited);
  }

  /** Waits for the end of threads, but not for one that cannot be ended. */
  async #within(end: Promise<void>): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = this.#clock.after(END_LIMIT_MS, resolve, true);
      void end.then(() => {
        timer.cancel();
        resolve();
      });
    });
  }
}

function isLastWords(value: unknown): value is LastWords {
  return typeof value === "object" && value !== null && "job" in value && "error" in value;
}

/** What an error says, whatever was thrown. */
export function causeOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
