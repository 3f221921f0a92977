/**
 * Takes checkpoints off the training path: one is under way and at most one waits, the newest, so a
 * slow disk costs old checkpoints and never memory or training time. What became of each is told;
 * only a final one is waited for, and only its failure is the trainer's.
 */
import { EsperError } from "../../protocols/errors.ts";
import type { Capture } from "./ports.ts";

/** How a lane sends, and whom it tells. */
export interface LaneParts {
  /** Settles by its own deadline. */
  readonly send: (capture: Capture) => Promise<void>;
  readonly failed: (capture: Capture, error: EsperError) => void;
  /** A newer one came while this one waited. */
  readonly superseded: (capture: Capture) => void;
}

interface Item {
  readonly capture: Capture;
  /** What must be on disk before it. */
  readonly after: Promise<unknown>;
}

export class CheckpointLane {
  readonly #parts: LaneParts;
  #running: Promise<void> | null = null;
  #waiting: Item | null = null;
  /** A failure that has no code is a bug, and must not be lost because nobody waited for it. */
  #bug: { readonly error: unknown } | null = null;

  constructor(parts: LaneParts) {
    this.#parts = parts;
  }

  /** Sends it once `after` is done and the one before has settled. Waits for neither. */
  offer(capture: Capture, after: Promise<unknown>): void {
    this.#throwBug();
    // Looked at when its turn comes; until then its failure must not count as unhandled.
    after.catch(() => undefined);
    if (this.#waiting !== null) this.#parts.superseded(this.#waiting.capture);
    this.#waiting = { capture, after };
    this.#running ??= this.#run();
  }

  /** Sends the last one, after whatever is under way. @throws what it failed with. */
  async finish(capture: Capture, after: Promise<unknown>): Promise<void> {
    if (this.#waiting !== null) this.#parts.superseded(this.#waiting.capture);
    this.#waiting = null;
    await after;
    await this.#running;
    this.#throwBug();
    await this.#parts.send(capture);
  }

  async #run(): Promise<void> {
    for (let item = this.#take(); item !== null; item = this.#take()) await this.#sendOne(item);
    this.#running = null;
  }

  #take(): Item | null {
    const item = this.#waiting;
    this.#waiting = null;
    return item;
  }

  async #sendOne({ capture, after }: Item): Promise<void> {
    try {
      await after;
      await this.#parts.send(capture);
    } catch (error) {
      if (EsperError.is(error)) this.#parts.failed(capture, error);
      else this.#bug = { error };
    }
  }

  #throwBug(): void {
    if (this.#bug !== null) throw this.#bug.error;
  }
}
