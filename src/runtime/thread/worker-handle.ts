/**
 * One worker thread as the main thread holds it, from its start, with or without an identity, to
 * its exit. What it tells after it was given up is not listened to.
 */
import { type MessagePort, Worker } from "node:worker_threads";
import { invariant, textOf } from "../../protocols/errors.ts";
import type { ThreadEvents, ThreadHandle, ThreadOrder } from "./driver.ts";
import type { TravellingConnection } from "./port-connection.ts";
import type { SpareEvents } from "./spares.ts";
import { enrol, isEnding } from "./thread-roll.ts";
import type { ActorSource, Control, HostSeed, Report } from "./wire.ts";

/** An identity: what a worker is to be. */
export interface WorkerOrder {
  readonly kind: "run";
  readonly seed: HostSeed;
  readonly actors: readonly ActorSource[];
}

/** What a new worker finds as its `workerData`: an identity, or what to load while it waits. */
export type WorkerStart =
  | WorkerOrder
  | { readonly kind: "spare"; readonly modules: readonly string[] };

const ENTRY = new URL("./worker-entry.js", import.meta.url);

function travelling({ seed, actors }: ThreadOrder): WorkerOrder {
  const sources = actors.map(({ name, source }) => {
    invariant(source !== null, `the definition of ${name} can be found in a worker`);
    return source;
  });
  return { kind: "run", seed, actors: sources };
}

/** A spare that dies is no loss to anybody but the reserve. */
function asThread(events: SpareEvents): ThreadEvents {
  return {
    report: ({ kind }) => {
      if (kind === "ready") events.ready();
    },
    failed: () => events.failed(),
    exited: (_code, cause) => events.gone(cause),
  };
}

export class WorkerHandle implements ThreadHandle {
  readonly #worker: Worker;
  readonly #strikeOff: () => void;
  #name: string;
  #events: ThreadEvents;
  #cause = "";

  private constructor(
    name: string,
    start: WorkerStart,
    heapLimitMb: number | null,
    events: ThreadEvents,
  ) {
    this.#name = name;
    this.#events = events;
    const limits = heapLimitMb === null ? {} : { maxOldGenerationSizeMb: heapLimitMb };
    this.#worker = new Worker(ENTRY, { name, workerData: start, resourceLimits: limits });
    this.#strikeOff = enrol(this);
    this.#worker.on("message", (report: Report) => this.#onReport(report));
    this.#worker.on("error", (error: unknown) => this.#note(describe(error)));
    this.#worker.on("exit", (code) => {
      this.#strikeOff();
      if (isEnding()) return;
      this.#events.exited(code, this.#cause || `exit code ${code}`);
    });
  }

  static fresh(order: ThreadOrder, events: ThreadEvents): WorkerHandle {
    const { seed, policy } = order;
    return new WorkerHandle(seed.thread, travelling(order), policy.heapLimitMb, events);
  }

  static spare(
    modules: readonly string[],
    heapLimitMb: number | null,
    events: SpareEvents,
  ): WorkerHandle {
    return new WorkerHandle("spare", { kind: "spare", modules }, heapLimitMb, asThread(events));
  }

  get name(): string {
    return this.#name;
  }

  /** Gives a spare its identity. */
  attach(order: ThreadOrder, events: ThreadEvents): void {
    this.#name = order.seed.thread;
    this.#events = events;
    this.#worker.postMessage(travelling(order));
  }

  control(control: Control<TravellingConnection>, transfer: MessagePort[] = []): void {
    this.#worker.postMessage(control, transfer);
  }

  async terminate(cause = "terminated"): Promise<void> {
    this.#note(cause);
    await this.#worker.terminate();
  }

  idleMs(): number {
    return this.#worker.performance.eventLoopUtilization().idle;
  }

  busyMs(): number {
    return this.#worker.performance.eventLoopUtilization().active;
  }

  abandon(): void {
    this.#worker.unref();
  }

  #onReport(report: Report): void {
    if (report.kind !== "fatal") {
      this.#events.report(report);
      return;
    }
    this.#note(`${report.error.name}: ${report.error.message}`);
    this.#events.failed();
  }

  /** The first thing known about an end is its cause; what follows from it is not. */
  #note(cause: string): void {
    if (this.#cause === "") this.#cause = cause;
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : textOf(error);
}
