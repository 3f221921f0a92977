/**
 * The pool's books. A job is always in exactly one column and moves in one step, so the books
 * balance at every moment they are read.
 */
import { invariant } from "../../protocols/errors.ts";

/** The columns of jobs that are over. */
export type Ending = "completed" | "cancelled" | "timedOut" | "failed";

/** The columns of jobs that are not. */
export type Open = "queued" | "running";

/** `submitted` is the sum of all the others, always. Refused jobs were never submitted. */
export interface PoolAccount extends Readonly<Record<Ending | Open, number>> {
  readonly submitted: number;
}

/** Moves jobs between the columns. */
export class Account {
  #submitted = 0;
  readonly #columns: Record<Ending | Open, number> = {
    queued: 0,
    running: 0,
    completed: 0,
    cancelled: 0,
    timedOut: 0,
    failed: 0,
  };

  submit(): void {
    this.#submitted += 1;
    this.#columns.queued += 1;
  }

  move(from: Open, to: "running" | Ending): void {
    invariant(this.#columns[from] > 0, `a job leaves the column ${from} only when one is there`);
    this.#columns[from] -= 1;
    this.#columns[to] += 1;
  }

  read(): PoolAccount {
    return { submitted: this.#submitted, ...this.#columns };
  }
}
