/**
 * Many small jobs to a thread: they travel in batches, about two milliseconds of work ahead, so
 * that a worker never waits for the next one. Such jobs are not forced: a thread is ended only when
 * it does not even answer a ping, and then no job in it could go on.
 */
import { MessageChannel, type MessagePort } from "node:worker_threads";
import type { WireError } from "../../protocols/errors.ts";
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
import { crossingOf } from "./crossing.ts";
import { causeOf, PiscinaHost, Switch } from "./piscina-host.ts";
import { checkMovable, isCloneError, unsendable } from "./run-job.ts";
import { END_FIELDS, type FromShared, JOB_FIELDS, type ToShared } from "./shared-worker.ts";

/** Work a thread holds ahead: enough to hide the trip, little enough to drop and to balance. */
const AHEAD_MS = 2;
const MIN_AHEAD = 2;
const MAX_AHEAD = 256;
/** Weight of the newest batch in the mean time of a job. */
const NEWEST = 0.3;
/** Jobs told to stop that do not, and await: more of them in one thread close it to new ones. */
const MAX_ABANDONED = 1_024;
const PING_LIMIT_MS = 500;
const MAX_BACK_OFF_MS = 5_000;

/** One thread and the jobs it holds. */
class Seat {
  readonly ids = new Set<number>();
  readonly abandoned = new Set<number>();
  readonly signal = new Switch();
  readonly port: MessagePort;
  batch: unknown[] = [];
  /** Per job of the batch: what moves with its input. */
  transfers: (readonly ArrayBuffer[])[] = [];
  flushing = false;
  ahead = 8;
  ping: Timer | null = null;
  answered = false;
  #meanMs = AHEAD_MS / 8;

  constructor(port: MessagePort) {
    this.port = port;
  }

  /** Jobs told to stop do not count: their place is needed for those that may still end well. */
  get load(): number {
    return this.ids.size - this.abandoned.size;
  }

  get full(): boolean {
    return this.load >= this.ahead || this.abandoned.size >= MAX_ABANDONED;
  }

  /** Short jobs are held by the hundred, long ones two at a time: one runs, one waits. */
  learn(meanMs: number): void {
    this.#meanMs += NEWEST * (meanMs - this.#meanMs);
    const fits = Math.ceil(AHEAD_MS / Math.max(this.#meanMs, AHEAD_MS / MAX_AHEAD));
    this.ahead = Math.min(MAX_AHEAD, Math.max(MIN_AHEAD, fits));
  }

  forget(id: number): void {
    this.ids.delete(id);
    this.abandoned.delete(id);
  }
}

class SharedCrew implements Crew {
  readonly forceable = false;
  readonly #events: CrewEvents;
  readonly #host: PiscinaHost;
  readonly #names: readonly string[];
  readonly #clock: Clock;
  readonly #seats: (Seat | null)[];
  #failures = 0;
  #closed = false;

  constructor(events: CrewEvents, host: PiscinaHost, plan: CrewPlan) {
    this.#events = events;
    this.#host = host;
    this.#names = plan.names;
    this.#clock = plan.settings.clock;
    this.#seats = Array.from({ length: plan.settings.workers }, () => null);
    for (let place = 0; place < this.#seats.length; place++) this.#seat(place);
  }

  hasRoom(): boolean {
    for (const seat of this.#seats) if (seat !== null && !seat.full) return true;
    return false;
  }

  start(order: JobOrder): void {
    const seat = this.#leastLoaded();
    if (seat === null) return;
    const crossing = order.cancellable ? crossingOf(order.token) : null;
    const place = this.#names.indexOf(order.name);
    seat.ids.add(order.id);
    seat.batch.push(order.id, place, order.deadlineAtMs, order.input, crossing);
    seat.transfers.push(order.transfer);
    if (seat.flushing) return;
    seat.flushing = true;
    // An idle thread gets the job at once; a busy one can wait for what else this turn brings.
    if (seat.load > 1) setImmediate(() => this.#flush(seat));
    else void Promise.resolve().then(() => this.#flush(seat));
  }

  notice(id: number): void {
    const seat = this.#seatOf(id);
    if (seat === null) return;
    seat.abandoned.add(id);
    this.#tell(seat, { kind: "notice", id });
    // The job's place is free for another one.
    void Promise.resolve().then(() => this.#events.room());
  }

  force(id: number): void {
    const seat = this.#seatOf(id);
    if (seat === null || seat.ping !== null) return;
    this.#tell(seat, { kind: "ping" });
    seat.ping = this.#clock.after(PING_LIMIT_MS, () => this.#host.end(seat.signal));
  }

  figures(): CrewFigures {
    return this.#host.figures();
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const seat of this.#seats) {
      seat?.ping?.cancel();
      seat?.port.close();
    }
    await this.#host.destroy();
  }

  /** Balances by count; jobs of one pool are taken to be alike. */
  #leastLoaded(): Seat | null {
    let best: Seat | null = null;
    for (const seat of this.#seats) {
      if (seat === null || seat.full) continue;
      if (best === null || seat.load < best.load) best = seat;
    }
    return best;
  }

  #seatOf(id: number): Seat | null {
    return this.#seats.find((seat) => seat?.ids.has(id)) ?? null;
  }

  /** Puts a thread to work at this place, and again when it has ended. */
  #seat(place: number): void {
    const { port1, port2 } = new MessageChannel();
    const seat = new Seat(port1);
    this.#seats[place] = seat;
    port1.on("message", (message: FromShared) => this.#hear(seat, message));
    const order = { port: port2, names: this.#names };
    this.#host.run("serve", order, [port2], seat.signal).then(
      () => this.#lose(place, seat, "its port was closed"),
      (error) => this.#lose(place, seat, causeOf(error)),
    );
  }

  #hear(seat: Seat, message: FromShared): void {
    seat.answered = true;
    seat.ping?.cancel();
    seat.ping = null;
    if (message.kind === "pong") return;
    this.#failures = 0;
    const { batch } = message;
    if (message.meanMs > 0) seat.learn(message.meanMs);
    for (let at = 0; at < batch.length; at += END_FIELDS) {
      const id = batch[at] as number;
      seat.forget(id);
      this.#events.ended(id, outcomeOf(batch[at + 1], batch[at + 2]));
    }
  }

  #flush(seat: Seat): void {
    const { batch, transfers } = seat;
    seat.flushing = false;
    seat.batch = [];
    seat.transfers = [];
    if (!this.#closed) this.#post(seat, batch, transfers);
  }

  /** One input that cannot be sent must not take the others with it. */
  #post(seat: Seat, batch: unknown[], transfers: readonly (readonly ArrayBuffer[])[]): void {
    try {
      const moving = transfers.flat();
      checkMovable(moving);
      seat.port.postMessage({ kind: "jobs", batch } satisfies ToShared, moving);
    } catch (error) {
      if (!isCloneError(error)) throw error;
      if (transfers.length === 1) this.#unsent(seat, batch[0] as number, error);
      else {
        transfers.forEach((transfer, index) => {
          const at = index * JOB_FIELDS;
          this.#post(seat, batch.slice(at, at + JOB_FIELDS), [transfer]);
        });
      }
    }
  }

  #unsent(seat: Seat, id: number, error: Error): void {
    const outcome = unsendable(error.message);
    seat.forget(id);
    // Not at once: this may happen inside a call of the one who is told.
    void Promise.resolve().then(() => this.#events.ended(id, outcome));
  }

  /** After the jobs that were given before: a notice must not overtake its job. */
  #tell(seat: Seat, message: ToShared): void {
    if (seat.flushing) this.#flush(seat);
    seat.port.postMessage(message);
  }

  /** A thread that never said anything is started again later and later. */
  #lose(place: number, seat: Seat, cause: string): void {
    if (this.#closed) return;
    seat.ping?.cancel();
    seat.port.close();
    this.#seats[place] = null;
    const backOffMs = seat.answered ? 0 : Math.min(MAX_BACK_OFF_MS, 50 * 2 ** this.#failures++);
    this.#clock.after(backOffMs, () => {
      if (this.#closed) return;
      this.#seat(place);
      this.#events.room();
    });
    for (const id of [...seat.ids]) this.#events.ended(id, { kind: "lost", cause });
  }
}

function outcomeOf(kind: unknown, content: unknown): Outcome {
  if (kind === "value") return { kind, value: content };
  if (kind === "error") return { kind, error: content as WireError };
  return { kind: "late" };
}

/** Threads that many small jobs share. */
export function sharedCrew(plan: CrewPlan): CrewMaker {
  return async (events) => {
    const host = new PiscinaHost(plan, null);
    await host.load();
    return new SharedCrew(events, host, plan);
  };
}
