/**
 * When the controller is asked and when its answer counts: asked every `decideEvery` steps, taken
 * exactly `decisionLag` steps later, so that equal runs grow at equal steps however fast the
 * answer came. A miss is remembered and repeated when the run is replayed.
 */
import type { Decision } from "../../protocols/actors/growth.ts";

interface Pending {
  readonly askedAtStep: number;
  readonly answer: Promise<Decision | null>;
}

export interface Taken {
  readonly askedAtStep: number;
  readonly decision: Decision | null;
}

export class DecisionWindow {
  readonly #every: number;
  readonly #lag: number;
  readonly #knownMisses: ReadonlySet<number>;
  #pending: Pending | null = null;

  constructor(every: number, lag: number, knownMisses: readonly number[]) {
    this.#every = every;
    this.#lag = lag;
    this.#knownMisses = new Set(knownMisses);
  }

  get pending(): boolean {
    return this.#pending !== null;
  }

  /** True where a question is due and nothing is under way: also the place to checkpoint. */
  atBoundary(step: number): boolean {
    return step % this.#every === 0 && this.#pending === null;
  }

  ask(step: number, request: () => Promise<Decision | null>): void {
    const answer = this.#knownMisses.has(step) ? Promise.resolve(null) : request();
    // The answer is awaited later; until then its failure must not count as unhandled.
    answer.catch(() => undefined);
    this.#pending = { askedAtStep: step, answer };
  }

  /** The answer that takes effect before the step after `step`, or null when none is due. */
  async take(step: number): Promise<Taken | null> {
    const pending = this.#pending;
    if (pending === null || step !== pending.askedAtStep + this.#lag) return null;
    this.#pending = null;
    return { askedAtStep: pending.askedAtStep, decision: await pending.answer };
  }
}
