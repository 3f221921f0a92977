/** A call that waits for its reply. Settles exactly once: by reply, deadline, cancel or refusal. */
import { EsperError } from "../../protocols/errors.ts";
import type { Clock, Timer } from "../clock.ts";
import type { CancellationToken } from "../token.ts";
import type { Caller } from "./message.ts";

export interface PendingSpec {
  readonly id: number;
  /** `actor.message`, for messages to people. */
  readonly what: string;
  readonly deadlineAtMs: number;
  readonly token: CancellationToken | null;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: EsperError) => void;
}

export class PendingCall implements Caller {
  readonly id: number;
  readonly #spec: PendingSpec;
  readonly #clock: Clock;
  readonly #sentAtMs: number;
  #timer: Timer | null = null;
  #withdrawListener: (() => void) | null = null;
  #settled = false;
  /** Set by the sender: withdraws the message wherever it is. */
  onCancel: (() => void) | null = null;
  onSettled: ((tookMs: number) => void) | null = null;
  onLate: (() => void) | null = null;

  constructor(spec: PendingSpec, clock: Clock) {
    this.id = spec.id;
    this.#spec = spec;
    this.#clock = clock;
    this.#sentAtMs = clock.monotonicMs();
    const delayMs = spec.deadlineAtMs - this.#sentAtMs;
    this.#timer = clock.after(delayMs, () => this.#expire(delayMs));
    if (spec.token === null) return;
    const withdraw = spec.token.onCancel(() => this.#cancel());
    if (this.#settled) withdraw();
    else this.#withdrawListener = withdraw;
  }

  get settled(): boolean {
    return this.#settled;
  }

  reply(value: unknown): void {
    if (this.#settled) this.onLate?.();
    else if (this.#clock.monotonicMs() > this.#spec.deadlineAtMs) this.#expireLate();
    else if (this.#settle()) this.#spec.resolve(value);
  }

  fail(error: EsperError): void {
    if (this.#settle()) this.#spec.reject(error);
  }

  drop(): void {
    this.#expire(this.#spec.deadlineAtMs - this.#sentAtMs);
  }

  #cancel(): void {
    if (!this.#settle()) return;
    this.onCancel?.();
    this.#spec.reject(new EsperError("CANCELLED", `${this.#spec.what} was cancelled`));
  }

  /** A busy thread runs its timers late; the reply that came before them is late all the same. */
  #expireLate(): void {
    this.onLate?.();
    this.#expire(this.#spec.deadlineAtMs - this.#sentAtMs);
  }

  #expire(deadlineMs: number): void {
    if (!this.#settle()) return;
    const { what } = this.#spec;
    const message = `${what} was not answered within ${Math.round(deadlineMs)} ms`;
    this.#spec.reject(new EsperError("DEADLINE_EXCEEDED", message, { call: what, deadlineMs }));
  }

  #settle(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    this.#timer?.cancel();
    this.#withdrawListener?.();
    this.onSettled?.(this.#clock.monotonicMs() - this.#sentAtMs);
    return true;
  }
}
