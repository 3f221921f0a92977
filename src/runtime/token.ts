/**
 * A cancellation token is one word of shared memory: any thread can set it, a busy thread can poll
 * it for a few nanoseconds. The AbortSignal view is made only when someone asks for it.
 */
import { EsperError } from "../protocols/errors.ts";

const CANCELLED = 1;

/** The part that crosses threads. */
export interface TokenHandle {
  readonly word: SharedArrayBuffer;
}

export class CancellationToken {
  readonly #word: Int32Array;
  readonly #listeners = new Set<() => void>();
  #controller: AbortController | null = null;

  constructor(handle?: TokenHandle) {
    this.#word = new Int32Array(handle?.word ?? new SharedArrayBuffer(4));
  }

  get handle(): TokenHandle {
    return { word: this.#word.buffer as SharedArrayBuffer };
  }

  get cancelled(): boolean {
    return Atomics.load(this.#word, 0) === CANCELLED;
  }

  /**
   * Idempotent. Listeners run only in the thread that cancels; other threads see the word, and the
   * runtime calls `cancel` on their copy when the call that carried the token is withdrawn.
   */
  cancel(): void {
    if (Atomics.exchange(this.#word, 0, CANCELLED) !== CANCELLED) Atomics.notify(this.#word, 0);
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of listeners) listener();
    this.#controller?.abort(new EsperError("CANCELLED", "cancelled"));
  }

  /** @throws {CANCELLED} when the token is set. */
  throwIfCancelled(): void {
    if (this.cancelled) throw new EsperError("CANCELLED", "cancelled");
  }

  /** Runs `listener` when this object is cancelled; returns the way to withdraw it. */
  onCancel(listener: () => void): () => void {
    if (this.cancelled) {
      listener();
      return () => {};
    }
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.cancelled) this.#controller.abort(new EsperError("CANCELLED", "cancelled"));
    return this.#controller.signal;
  }
}
