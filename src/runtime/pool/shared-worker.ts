/**
 * The worker's side of a thread that many small jobs share: jobs come in batches and run in order,
 * results go back in batches, and a job that awaits lets the next one begin.
 */
import { type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import { systemClock } from "../clock.ts";
import type { Outcome } from "./crew.ts";
import type { Crossing } from "./crossing.ts";
import type { JobMap } from "./jobs.ts";
import { isCloneError, JobRun, runJob, unsendable } from "./run-job.ts";

/** What a shared thread is started with. */
export interface ServeOrder {
  readonly port: MessagePort;
  readonly names: readonly string[];
}

/** Fields of one job in a batch: id, place of its name, deadline, input, token or null. */
export const JOB_FIELDS = 5;
/** Fields of one end in a batch: id, kind of outcome, value or error. */
export const END_FIELDS = 3;

/** What a shared thread is told. Batches are flat: one array costs a third of many objects. */
export type ToShared =
  | { readonly kind: "jobs"; readonly batch: readonly unknown[] }
  | { readonly kind: "notice"; readonly id: number }
  | { readonly kind: "ping" };

/** What a shared thread says; `meanMs` is the time one job of this batch held the thread. */
export type FromShared =
  | { readonly kind: "ends"; readonly batch: readonly unknown[]; readonly meanMs: number }
  | { readonly kind: "pong" };

/** Results wait at most this long while there is more to run. */
const FLUSH_MS = 0.5;
/** After this time the event loop gets its turn, for timers and input of jobs that await. */
const TURN_MS = 4;

/** Runs the jobs of one shared thread. */
export class SharedWorker {
  readonly closed: Promise<void>;
  readonly #functions: JobMap;
  readonly #names: readonly string[];
  readonly #port: MessagePort;
  readonly #waiting = new Map<number, JobRun>();
  #ends: unknown[] = [];
  #busyMs = 0;
  #jobs = 0;
  #flushedAtMs = 0;
  #flushing = false;

  constructor(functions: JobMap, { port, names }: ServeOrder) {
    this.#functions = functions;
    this.#names = names;
    this.#port = port;
    this.closed = new Promise((resolve) => port.once("close", resolve));
    port.on("message", (message: ToShared) => this.#turn(message));
  }

  /** Takes what has come, without a trip through the event loop for each message. */
  #turn(first: ToShared): void {
    const endsAtMs = systemClock.monotonicMs() + TURN_MS;
    let message: ToShared | undefined = first;
    while (message !== undefined) {
      this.#take(message);
      if (systemClock.monotonicMs() >= endsAtMs) break;
      message = receiveMessageOnPort(this.#port)?.message as ToShared | undefined;
    }
    this.#flush();
  }

  #take(message: ToShared): void {
    if (message.kind === "jobs") this.#runAll(message.batch);
    else if (message.kind === "notice") this.#waiting.get(message.id)?.notice();
    else this.#port.postMessage({ kind: "pong" } satisfies FromShared);
  }

  #runAll(batch: readonly unknown[]): void {
    let beganMs = systemClock.monotonicMs();
    for (let at = 0; at < batch.length; at += JOB_FIELDS) {
      const id = batch[at] as number;
      const name = this.#names[batch[at + 1] as number] ?? "";
      const crossing = batch[at + 4] as Crossing | null;
      const run = new JobRun(name, batch[at + 2] as number, crossing);
      const outcome = runJob(this.#functions, run, batch[at + 3]);
      if ("kind" in outcome) this.#push(id, outcome);
      else this.#await(id, run, outcome);
      const nowMs = systemClock.monotonicMs();
      this.#busyMs += nowMs - beganMs;
      this.#jobs += 1;
      beganMs = nowMs;
      if (nowMs - this.#flushedAtMs >= FLUSH_MS) this.#flush(nowMs);
    }
  }

  #await(id: number, run: JobRun, outcome: PromiseLike<Outcome>): void {
    this.#waiting.set(id, run);
    outcome.then((settled) => {
      this.#waiting.delete(id);
      this.#push(id, settled);
      if (this.#flushing) return;
      this.#flushing = true;
      // Jobs that end in the same turn of the event loop share one message.
      setImmediate(() => {
        this.#flushing = false;
        this.#flush();
      });
    });
  }

  #push(id: number, outcome: Outcome): void {
    if (outcome.kind === "value") this.#ends.push(id, "value", outcome.value);
    else if (outcome.kind === "error") this.#ends.push(id, "error", outcome.error);
    else this.#ends.push(id, "late", null);
  }

  #flush(nowMs = systemClock.monotonicMs()): void {
    const batch = this.#ends;
    this.#flushedAtMs = nowMs;
    if (batch.length === 0) return;
    const meanMs = this.#jobs === 0 ? 0 : this.#busyMs / this.#jobs;
    this.#ends = [];
    this.#busyMs = 0;
    this.#jobs = 0;
    this.#post(batch, meanMs);
  }

  /** One result that cannot be sent must not take the others with it. */
  #post(batch: readonly unknown[], meanMs: number): void {
    try {
      this.#port.postMessage({ kind: "ends", batch, meanMs } satisfies FromShared);
    } catch (error) {
      if (!isCloneError(error)) throw error;
      if (batch.length === END_FIELDS) {
        this.#push(batch[0] as number, unsendable(error.message));
        this.#flush();
        return;
      }
      for (let at = 0; at < batch.length; at += END_FIELDS) {
        this.#post(batch.slice(at, at + END_FIELDS), meanMs);
      }
    }
  }
}
