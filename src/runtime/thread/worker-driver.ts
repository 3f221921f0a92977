/** Runs every host in a worker thread of its own. */
import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";
import { EsperError, invariant } from "../../protocols/errors.ts";
import type { Neighbour, PlacedActor, ThreadDriver, ThreadEvents, ThreadHandle } from "./driver.ts";
import { portOf } from "./port-link.ts";
import type { ActorSource, Control, HostSeed, Report } from "./wire.ts";

/** What a new worker finds as its `workerData`. */
export interface WorkerOrder {
  readonly seed: HostSeed;
  readonly actors: readonly ActorSource[];
}

export interface WorkerOptions {
  /** Bound of the JavaScript heap of each worker; tensors and buffers lie outside it. */
  readonly heapLimitMb: number | null;
}

const ENTRY = new URL("./worker-entry.js", import.meta.url);

class WorkerHandle implements ThreadHandle {
  readonly #worker: Worker;
  #cause = "";

  constructor(
    seed: HostSeed,
    actors: readonly PlacedActor[],
    events: ThreadEvents,
    options: WorkerOptions,
  ) {
    const sources = actors.map(({ name, source }) => {
      invariant(source !== null, `the definition of ${name} can be found in a worker`);
      return source;
    });
    const order: WorkerOrder = { seed, actors: sources };
    const { heapLimitMb } = options;
    const limits = heapLimitMb === null ? {} : { maxOldGenerationSizeMb: heapLimitMb };
    this.#worker = new Worker(ENTRY, {
      name: seed.thread,
      workerData: order,
      resourceLimits: limits,
    });
    this.#worker.on("message", (report: Report) => {
      if (report.kind !== "fatal") events.report(report);
      else {
        this.#note(`${report.error.name}: ${report.error.message}`);
        events.failed();
      }
    });
    this.#worker.on("error", (error) => this.#note(`${error.name}: ${error.message}`));
    this.#worker.on("exit", (code) => events.exited(code, this.#cause || `exit code ${code}`));
  }

  control(control: Control<MessagePort>, transfer: MessagePort[] = []): void {
    this.#worker.postMessage(control, transfer);
  }

  async terminate(): Promise<void> {
    this.#note("terminated");
    await this.#worker.terminate();
  }

  /** The first thing known about an end is its cause; what follows from it is not. */
  #note(cause: string): void {
    if (this.#cause === "") this.#cause = cause;
  }
}

/** @throws {CONFIG_INVALID} when run from TypeScript sources, which a worker cannot load. */
export function createWorkerDriver(options: WorkerOptions): ThreadDriver {
  if (import.meta.url.endsWith(".ts")) {
    const text = "worker threads need the built package; from sources use threads: inline";
    throw new EsperError("CONFIG_INVALID", text, { module: import.meta.url });
  }
  function link(to: ThreadHandle, { thread, epoch, credits }: Neighbour, port: MessagePort): void {
    invariant(to instanceof WorkerHandle, "a worker is linked with a worker");
    to.control({ kind: "link", thread, epoch, credits, port }, [port]);
  }
  return {
    spawn: (seed, actors, events) => new WorkerHandle(seed, actors, events, options),
    connect(left, right) {
      const { port1, port2 } = new MessageChannel();
      link(left.handle, right, port1);
      link(right.handle, left, port2);
    },
    connectHere(here, there) {
      const { port1, port2 } = new MessageChannel();
      link(there.handle, here, port2);
      return portOf(port1);
    },
  };
}
