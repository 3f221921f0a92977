/**
 * The calls of a host that wait for replies from other threads, by a number that travels. A number
 * is used again only with another generation, so a late reply never settles a later call.
 */
import type { PendingCall } from "./pending.ts";

const INDEX_BITS = 20;
const INDEX_MASK = 2 ** INDEX_BITS - 1;
const GENERATIONS = 2 ** (31 - INDEX_BITS);

export class CallTable {
  readonly #calls: (PendingCall | null)[] = [];
  readonly #generations: number[] = [];
  readonly #free: number[] = [];

  get size(): number {
    return this.#calls.length - this.#free.length;
  }

  /** The call's number, or -1 when a million calls wait already. */
  add(call: PendingCall): number {
    let index = this.#free.pop();
    if (index === undefined) {
      index = this.#calls.length;
      if (index > INDEX_MASK) return -1;
      this.#generations.push(0);
      this.#calls.push(call);
    } else this.#calls[index] = call;
    return ((this.#generations[index] as number) << INDEX_BITS) | index;
  }

  get(id: number): PendingCall | null {
    const index = id & INDEX_MASK;
    if (this.#generations[index] !== id >>> INDEX_BITS) return null;
    return this.#calls[index] ?? null;
  }

  remove(id: number): void {
    if (this.get(id) === null) return;
    const index = id & INDEX_MASK;
    this.#calls[index] = null;
    this.#generations[index] = ((this.#generations[index] as number) + 1) % GENERATIONS;
    this.#free.push(index);
  }

  /** Every waiting call that `matches`. */
  select(matches: (call: PendingCall) => boolean): PendingCall[] {
    return this.#calls.filter((call): call is PendingCall => call !== null && matches(call));
  }
}
