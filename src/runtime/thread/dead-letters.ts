/**
 * Counts what was not handled, by reason. The first of a kind is reported at once, equal ones that
 * follow in the same turn of the event loop are reported together, so a flood of refused messages
 * costs one report a turn.
 */
import type { Lane } from "../../protocols/protocol.ts";
import type { DeadLetter, DeadLetterReason } from "./types.ts";

/** Kinds that may be open in one turn; more are reported one by one. */
const MAX_OPEN_KINDS = 256;

export interface DeadMessage {
  readonly name: string;
  readonly lane: Lane | "unknown";
  readonly from: string;
}

export class DeadLetters {
  readonly #report: (letter: DeadLetter) => void;
  readonly #later: (run: () => void) => void;
  readonly #held = new Map<string, DeadLetter>();
  #closed = false;

  /** `later` runs what it is given in the next turn of the event loop. */
  constructor(
    report: (letter: DeadLetter) => void,
    later: (run: () => void) => void = setImmediate,
  ) {
    this.#report = report;
    this.#later = later;
  }

  add(actor: string, message: DeadMessage, reason: DeadLetterReason, count = 1): void {
    if (this.#closed || count === 0) return;
    const { name, lane, from } = message;
    const letter: DeadLetter = { actor, message: name, lane, from, reason, count };
    const key = `${actor} ${name} ${from} ${reason}`;
    const held = this.#held.get(key);
    if (held !== undefined) {
      this.#held.set(key, { ...held, count: held.count + count });
      return;
    }
    this.#report(letter);
    if (this.#held.size >= MAX_OPEN_KINDS) return;
    if (this.#held.size === 0) this.#later(() => this.flush());
    this.#held.set(key, { ...letter, count: 0 });
  }

  flush(): void {
    const held = [...this.#held.values()];
    this.#held.clear();
    if (this.#closed) return;
    for (const letter of held) if (letter.count > 0) this.#report(letter);
  }

  /** Reports what is held and nothing after. */
  close(): void {
    this.flush();
    this.#closed = true;
  }
}
