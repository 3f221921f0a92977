/** How far a writer of the soak has come, and whether it still comes any further. */
import { EsperError } from "../../protocols/errors.ts";
import { type Clock, sleep } from "../clock.ts";
import type { CancellationToken } from "../token.ts";

const LOOK_MS = 250;

/** Counts confirmations; settles when the writer has lived long enough, or is stuck. */
export class Progress {
  readonly #clock: Clock;
  acks = 0;
  #chunks = 0;
  #lastMs: number;
  #end: () => void = () => undefined;
  readonly #ended: Promise<void>;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#lastMs = clock.monotonicMs();
    this.#ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /** Returns how many chunks of this size were confirmed since it was asked last. */
  add(count: number, chunk: number): number {
    this.acks += count;
    this.#lastMs = this.#clock.monotonicMs();
    const due = Math.floor(this.acks / chunk) - this.#chunks;
    this.#chunks += due;
    return due;
  }

  end(): void {
    this.#end();
  }

  /** @throws {DEADLINE_EXCEEDED} when nothing was confirmed for `stallMs`. */
  async ended(stallMs: number, stop: CancellationToken): Promise<void> {
    const stalled = (): boolean => this.#clock.monotonicMs() - this.#lastMs >= stallMs;
    for (;;) {
      const waited = await Promise.race([
        this.#ended.then(() => false),
        sleep(this.#clock, Math.min(stallMs, LOOK_MS)).then(() => true),
      ]);
      if (!waited || stop.cancelled) return;
      if (!stalled()) continue;
      throw new EsperError(
        "DEADLINE_EXCEEDED",
        `the writer confirmed nothing for ${stallMs} ms: is the disk stuck?`,
        { stallMs },
      );
    }
  }
}
