/**
 * Jobs that can be ended: one at a time in each thread, so that ending a thread ends one job. Every
 * job is a task of piscina; a job that ignores its token goes with its thread.
 */
import { BroadcastChannel, threadId } from "node:worker_threads";
import type { WireError } from "../../protocols/errors.ts";
import type {
  Crew,
  CrewEvents,
  CrewFigures,
  CrewMaker,
  CrewPlan,
  JobOrder,
  Outcome,
} from "./crew.ts";
import { crossingOf } from "./crossing.ts";
import { causeOf, PiscinaHost, Switch } from "./piscina-host.ts";
import { CLONE_ERROR, checkMovable, isCloneError, type JobMessage, unsendable } from "./run-job.ts";

/** Channel names are known in the whole process, so each pool needs its own. */
let channels = 0;

class ThreadCrew implements Crew {
  readonly forceable = true;
  readonly #events: CrewEvents;
  readonly #host: PiscinaHost;
  readonly #notices: BroadcastChannel;
  readonly #workers: number;
  readonly #running = new Map<number, Switch>();
  /** What threads said of the errors that end them, by job. */
  readonly #lastWords = new Map<number, WireError>();

  constructor(events: CrewEvents, plan: CrewPlan) {
    channels += 1;
    const channel = `esper-pool-${threadId}-${channels}`;
    this.#events = events;
    this.#workers = plan.settings.workers;
    this.#notices = new BroadcastChannel(channel);
    this.#notices.unref();
    this.#host = new PiscinaHost(plan, channel, ({ job, error }) => {
      if (this.#running.has(job)) this.#lastWords.set(job, error);
    });
  }

  /** @throws {CONFIG_INVALID} @throws {JOB_LOST} */
  async open(): Promise<void> {
    try {
      await this.#host.load();
    } catch (error) {
      this.#notices.close();
      throw error;
    }
  }

  hasRoom(): boolean {
    return this.#running.size < this.#workers;
  }

  start(order: JobOrder): void {
    const { id, name, input, deadlineAtMs } = order;
    const message: JobMessage = {
      ...{ id, name, input, deadlineAtMs },
      crossing: crossingOf(order.token),
    };
    const signal = new Switch();
    this.#running.set(id, signal);
    this.#post(message, order.transfer, signal).then(
      (outcome) => this.#ended(id, outcome as Outcome),
      (error) => this.#failed(id, signal, error),
    );
  }

  /** Piscina cannot speak to a thread that runs a task; the channel reaches all of them. */
  notice(id: number): void {
    this.#notices.postMessage(id);
  }

  force(id: number): void {
    const signal = this.#running.get(id);
    if (signal !== undefined) this.#host.end(signal);
  }

  figures(): CrewFigures {
    return this.#host.figures();
  }

  async close(): Promise<void> {
    await this.#host.destroy();
    this.#notices.close();
  }

  // The place is free before the end is told, so that the next job finds it.
  #ended(id: number, outcome: Outcome): void {
    this.#running.delete(id);
    this.#lastWords.delete(id);
    this.#events.ended(id, outcome);
  }

  async #post(message: JobMessage, transfer: readonly ArrayBuffer[], signal: Switch) {
    checkMovable(transfer);
    return await this.#host.run("run", message, transfer, signal);
  }

  /** The task ended without an answer: its thread did, or its input or result cannot be sent. */
  async #failed(id: number, signal: Switch, error: unknown): Promise<void> {
    await signal.gone;
    const last = this.#lastWords.get(id);
    if (isCloneError(error)) this.#ended(id, unsendable(error.message));
    else if (last?.name === CLONE_ERROR) this.#ended(id, unsendable(last.message));
    else {
      const own = last === undefined ? causeOf(error) : `${last.name}: ${last.message}`;
      const cause = signal.aborted ? "it ignored its token and was terminated" : own;
      this.#ended(id, { kind: "lost", cause });
    }
  }
}

/** Threads that run one job at a time. */
export function threadCrew(plan: CrewPlan): CrewMaker {
  return async (events) => {
    const crew = new ThreadCrew(events, plan);
    await crew.open();
    return crew;
  };
}
