/**
 * Jobs that may take their whole process with them: one at a time in each child process. A child is
 * ended with SIGKILL only, is replaced by itself, and sees no variable it does not need.
 */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { EsperError, rehydrate } from "../../protocols/errors.ts";
import type { Clock, Timer } from "../clock.ts";
import type {
  Crew,
  CrewEvents,
  CrewFigures,
  CrewMaker,
  CrewPlan,
  JobOrder,
  Outcome,
} from "./crew.ts";
import type { FromChild, ToChild } from "./process-messages.ts";
import { unsendable } from "./run-job.ts";

const ENTRY = fileURLToPath(new URL("./process-entry.js", import.meta.url));
const LOAD_LIMIT_MS = 10_000;
const END_LIMIT_MS = 1_000;
const MAX_BACK_OFF_MS = 5_000;

/** One child process and its job. */
class Seat {
  readonly child: ChildProcess;
  readonly gone: Promise<string>;
  loaded = false;
  job: number | null = null;
  loading: Timer | null = null;

  constructor(child: ChildProcess) {
    this.child = child;
    const ended = new Promise<string>((resolve) => {
      child.once("exit", (code, signal) => resolve(signal ?? `exit code ${code}`));
      child.once("error", (error) => resolve(`${error.name}: ${error.message}`));
    });
    // What the child sent before its end arrives before the channel is reported closed.
    const drained = new Promise<void>((resolve) => {
      if (child.connected) child.once("disconnect", resolve);
      else resolve();
    });
    this.gone = ended.then(async (cause) => {
      await drained;
      return cause;
    });
  }

  get free(): boolean {
    return this.loaded && this.job === null && this.child.connected;
  }

  /** A child without a job does not keep the parent alive. */
  occupy(job: number | null): void {
    this.job = job;
    if (job === null) {
      this.child.unref();
      this.child.channel?.unref();
    } else {
      this.child.ref();
      this.child.channel?.ref();
    }
  }

  tell(message: ToChild): void {
    if (this.child.connected) this.child.send(message, ignoreBrokenPipe);
  }
}

/** A child that died is reported by its exit; the failed send says nothing more. */
function ignoreBrokenPipe(error: Error | null): Error | null {
  return error;
}

class ProcessCrew implements Crew {
  readonly forceable = true;
  readonly #events: CrewEvents;
  readonly #plan: CrewPlan;
  readonly #clock: Clock;
  readonly #seats = new Set<Seat>();
  #started = 0;
  #failures = 0;
  #closed = false;

  constructor(events: CrewEvents, plan: CrewPlan) {
    this.#events = events;
    this.#plan = plan;
    this.#clock = plan.settings.clock;
  }

  /** Starts every child. @throws {CONFIG_INVALID} @throws {JOB_LOST} */
  async open(): Promise<void> {
    const first = Array.from({ length: this.#plan.settings.workers }, () => this.#spawn());
    const failed = (await Promise.allSettled(first)).find(({ status }) => status === "rejected");
    if (failed === undefined || failed.status !== "rejected") return;
    await this.close();
    throw failed.reason;
  }

  /** False while every child works, or is being replaced. */
  hasRoom(): boolean {
    for (const seat of this.#seats) if (seat.free) return true;
    return false;
  }

  start(order: JobOrder): void {
    const seat = [...this.#seats].find(({ free }) => free);
    if (seat === undefined) return;
    const { id, name, input, deadlineAtMs } = order;
    seat.occupy(id);
    try {
      seat.tell({ kind: "run", id, name, input, deadlineAtMs });
    } catch (error) {
      const outcome = unsendable(error instanceof Error ? error.message : String(error));
      void Promise.resolve().then(() => this.#ended(seat, id, outcome));
    }
  }

  notice(id: number): void {
    this.#seatOf(id)?.tell({ kind: "notice", id });
  }

  force(id: number): void {
    this.#seatOf(id)?.child.kill("SIGKILL");
  }

  figures(): CrewFigures {
    const { workers } = this.#plan.settings;
    return { workers, replaced: Math.max(0, this.#started - workers) };
  }

  // SIGKILL: a child has nothing to save, and native code may not come back to be asked.
  async close(): Promise<void> {
    this.#closed = true;
    const gone = [...this.#seats].map((seat) => {
      seat.child.kill("SIGKILL");
      return seat.gone;
    });
    await new Promise<void>((resolve) => {
      const timer = this.#clock.after(END_LIMIT_MS, resolve);
      void Promise.all(gone).then(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  #seatOf(id: number): Seat | undefined {
    return [...this.#seats].find(({ job }) => job === id);
  }

  /** The child goes on with the next job; its end is told by `#replace`. */
  #ended(seat: Seat, id: number, outcome: Outcome): void {
    if (seat.job !== id) return;
    seat.occupy(null);
    this.#events.ended(id, outcome);
  }

  /** Starts one child; rejects when it ends, or cannot load the jobs, before it is ready. */
  #spawn(): Promise<void> {
    const { settings, environment, source } = this.#plan;
    const { heapLimitMb } = settings;
    this.#started += 1;
    const child = fork(ENTRY, [], {
      serialization: "advanced",
      // The standard output belongs to the product; what a job prints goes to the error output.
      stdio: ["ignore", 2, 2, "ipc"],
      env: { ...environment },
      execArgv: heapLimitMb === null ? [] : [`--max-old-space-size=${heapLimitMb}`],
    });
    const seat = new Seat(child);
    this.#seats.add(seat);
    // A module that never finishes loading must not hold `openPool` up for ever.
    seat.loading = this.#clock.after(LOAD_LIMIT_MS, () => child.kill("SIGKILL"));
    const loaded = new Promise<void>((resolve, reject) => {
      child.on("message", (message: FromChild) => {
        if (message.kind === "ended") this.#ended(seat, message.id, message.outcome);
        else if (message.error === null) resolve(this.#ready(seat));
        else {
          reject(rehydrate(message.error));
          child.kill("SIGKILL");
        }
      });
      void seat.gone.then((cause) => {
        const text = `a process ended before it had loaded the jobs: ${cause}`;
        reject(new EsperError("JOB_LOST", text, { cause }));
        this.#replace(seat, cause);
      });
    });
    // The child names its parent by this number, and ends when it has another parent.
    seat.tell({ kind: "load", source, parentPid: process.pid });
    return loaded;
  }

  #ready(seat: Seat): void {
    seat.loading?.cancel();
    seat.loaded = true;
    seat.occupy(null);
    this.#failures = 0;
    this.#events.room();
  }

  /** A child that never got ready is started again later and later. */
  #replace(seat: Seat, cause: string): void {
    seat.loading?.cancel();
    this.#seats.delete(seat);
    const { job } = seat;
    if (job !== null) this.#events.ended(job, { kind: "lost", cause });
    if (this.#closed) return;
    const delayMs = seat.loaded ? 0 : Math.min(MAX_BACK_OFF_MS, 50 * 2 ** this.#failures++);
    this.#clock.after(delayMs, () => {
      // A failed start comes back here by the end of its process.
      if (!this.#closed) this.#spawn().catch((error: unknown) => error);
    });
  }
}

/** Child processes that run one job at a time. */
export function processCrew(plan: CrewPlan): CrewMaker {
  return async (events) => {
    const crew = new ProcessCrew(events, plan);
    await crew.open();
    return crew;
  };
}
