/** One submitted job as the pool remembers it, until its worker has let go of it. */
import type { EsperError } from "../../protocols/errors.ts";
import type { Timer } from "../clock.ts";
import { CancellationToken } from "../token.ts";
import type { CancelReason } from "../token-table.ts";
import type { Open } from "./account.ts";
import type { JobOrder } from "./crew.ts";

/** What a caller asks for, checked. */
export interface Request {
  readonly name: string;
  readonly input: unknown;
  readonly transfer: readonly ArrayBuffer[];
  readonly deadlineAtMs: number;
}

/** How the caller learns of the end. */
export interface Promised {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: EsperError) => void;
}

/** A job from `run` until its worker has let go; moved along by the desk alone. */
export class Job implements JobOrder {
  readonly id: number;
  readonly name: string;
  readonly deadlineAtMs: number;
  /** When the job entered its present column. */
  sinceMs: number;
  transfer: readonly ArrayBuffer[];
  input: unknown;
  /** Where it stands in the books; null once the caller has its answer. */
  column: Open | null = "queued";
  /** Why it was told to stop; null while it may finish. */
  stopped: EsperError | null = null;
  /** True once its worker was told to end. */
  forced = false;
  /** Grace, then the wait for a forced end. */
  timer: Timer | null = null;
  withdraw: (() => void) | null = null;
  readonly promised: Promised;
  /** True when its caller gave a token; only then need the word travel to a shared worker. */
  readonly cancellable: boolean;
  #token: CancellationToken | null = null;

  constructor(
    id: number,
    request: Request,
    nowMs: number,
    promised: Promised,
    cancellable: boolean,
  ) {
    this.id = id;
    this.name = request.name;
    this.input = request.input;
    this.transfer = request.transfer;
    this.deadlineAtMs = request.deadlineAtMs;
    this.sinceMs = nowMs;
    this.promised = promised;
    this.cancellable = cancellable;
  }

  /** The job's own token: set when the caller's is, at the deadline, and when the pool closes. */
  get token(): CancellationToken {
    this.#token ??= new CancellationToken({ deadlineAtMs: this.deadlineAtMs });
    return this.#token;
  }

  /** Tells the job to stop, wherever it runs. */
  stop(reason: CancelReason): void {
    this.token.cancel(reason);
  }

  /** The worker has let go: nobody polls the token any more. */
  releaseToken(): void {
    this.#token?.release();
  }

  /** After the hand-over the worker has its own copy. */
  forgetInput(): void {
    this.input = undefined;
    this.transfer = [];
  }
}
