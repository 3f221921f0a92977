/** The dead letters of a whole system: how many by reason since its start, and the last ones. */
import type { DeadLetter, DeadLetterReason } from "../thread/types.ts";
import type { DeadLetterSnapshot, DeadLettersSnapshot } from "./snapshot.ts";

const KEPT = 64;

export class DeadLetterLog {
  readonly #byReason = new Map<DeadLetterReason, number>();
  #last: DeadLetterSnapshot[] = [];
  #total = 0;

  add(atMs: number, thread: string, letter: DeadLetter): void {
    const { actor, message, lane, from, reason, count } = letter;
    this.#total += count;
    this.#byReason.set(reason, (this.#byReason.get(reason) ?? 0) + count);
    this.#last.push({ atMs, thread, actor, message, lane, from, reason, count });
    // Cut now and then: a flood must not pay for every letter.
    if (this.#last.length >= 2 * KEPT) this.#last = this.#last.slice(-KEPT);
  }

  read(): DeadLettersSnapshot {
    const byReason = Object.fromEntries(this.#byReason) as Partial<
      Record<DeadLetterReason, number>
    >;
    return { total: this.#total, byReason, last: this.#last.slice(-KEPT) };
  }
}
