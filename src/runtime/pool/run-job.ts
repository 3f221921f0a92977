/**
 * One job inside its worker. Whatever the function does short of ending the worker becomes an
 * outcome that can cross threads; a job whose token or deadline came first is never begun.
 */
import { dehydrate, EsperError, type WireError } from "../../protocols/errors.ts";
import { type Clock, systemClock } from "../clock.ts";
import type { CancellationToken } from "../token.ts";
import type { Outcome } from "./crew.ts";
import { arrived, type Crossing } from "./crossing.ts";
import type { JobContext, JobMap } from "./jobs.ts";

/** A job as it arrives in its worker. */
export interface JobMessage {
  readonly id: number;
  readonly name: string;
  readonly input: unknown;
  readonly deadlineAtMs: number;
  readonly crossing: Crossing | null;
}

const NEVER_BEGUN: Outcome = {
  kind: "error",
  error: dehydrate(new EsperError("CANCELLED", "the job was cancelled before it began")),
};

const LATE: Outcome = { kind: "late" };

/** The context of one run; most jobs are too short to look at their token. */
export class JobRun implements JobContext {
  readonly name: string;
  readonly deadlineAtMs: number;
  readonly clock: Clock = systemClock;
  readonly #crossing: Crossing | null;
  #token: CancellationToken | null = null;

  constructor(name: string, deadlineAtMs: number, crossing: Crossing | null) {
    this.name = name;
    this.deadlineAtMs = deadlineAtMs;
    this.#crossing = crossing;
  }

  get token(): CancellationToken {
    this.#token ??= arrived(this.#crossing, this.deadlineAtMs);
    return this.#token;
  }

  /** The outcome of a job that need not begin any more; null when it should. */
  get over(): Outcome | null {
    if (this.clock.monotonicMs() >= this.deadlineAtMs) return LATE;
    const looked = this.#token !== null || this.#crossing !== null;
    return looked && this.token.cancelled ? NEVER_BEGUN : null;
  }

  /** Runs the listeners of the token in this thread; a word that another thread set is seen. */
  notice(): void {
    this.token.cancel();
  }
}

/** The details of an error may hold anything; when they cannot cross, the rest still does. */
function sendable(wire: WireError): WireError {
  try {
    structuredClone(wire.details);
    return wire;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { ...wire, details: { lost: `the details cannot cross threads: ${why}` } };
  }
}

/** The name of what a post throws when a value cannot leave its thread. */
export const CLONE_ERROR = "DataCloneError";

/** True for what a post throws when a value cannot leave its thread. */
export function isCloneError(error: unknown): error is Error {
  return error instanceof Error && error.name === CLONE_ERROR;
}

/**
 * The platform accepts a buffer that has moved away before, and then the message never arrives.
 * @throws a DataCloneError when one of these buffers has.
 */
export function checkMovable(buffers: readonly ArrayBuffer[]): void {
  for (const buffer of buffers) if (buffer.byteLength === 0) structuredClone(buffer);
}

/** The outcome of a job whose input or result cannot leave its thread. */
export function unsendable(why: string): Outcome {
  return failed(new EsperError("NOT_TRANSFERABLE", `the input or the result of the job: ${why}`));
}

/** The outcome of a job that threw. */
export function failed(error: unknown): Outcome {
  return { kind: "error", error: sendable(dehydrate(error)) };
}

const succeeded = (value: unknown): Outcome => ({ kind: "value", value });

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value;
}

/** Runs one job; synchronous functions end synchronously. Never throws, never rejects. */
export function runJob(
  functions: JobMap,
  run: JobRun,
  input: unknown,
): Outcome | PromiseLike<Outcome> {
  const over = run.over;
  if (over !== null) return over;
  try {
    const work = functions[run.name] as (input: unknown, job: JobContext) => unknown;
    const value = work(input, run);
    return isPromise(value) ? value.then(succeeded, failed) : succeeded(value);
  } catch (error) {
    return failed(error);
  }
}
