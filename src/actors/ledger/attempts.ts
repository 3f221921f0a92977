/**
 * Who claimed the newest ids. A claim whose answer was lost with the ledger's thread is made again
 * by the same asking, and must not be taken for a replay of its own command. Only the newest are
 * kept: no more can have been unanswered at once.
 */
import type { ClaimVerdict } from "../../protocols/actors/durable.ts";

/** More than an actor's open answers and what its mailbox holds. */
const KEPT = 4_096;

export class RecentAttempts {
  readonly #attempts = new Map<string, string>();
  /** The ids in a circle: the next place holds the oldest one. */
  readonly #circle: string[] = [];
  #next = 0;

  /** Remembers who used the id; an asking without a name is nobody's. */
  add(commandId: string, attempt: string): void {
    if (attempt === "" || this.#attempts.has(commandId)) return;
    const oldest = this.#circle[this.#next];
    if (oldest !== undefined) this.#attempts.delete(oldest);
    this.#circle[this.#next] = commandId;
    this.#next = (this.#next + 1) % KEPT;
    this.#attempts.set(commandId, attempt);
  }

  /** For an id that is used: fresh only to the asking that used it. */
  verdict(commandId: string, attempt: string): ClaimVerdict {
    return attempt !== "" && this.#attempts.get(commandId) === attempt ? "fresh" : "replayed";
  }
}
