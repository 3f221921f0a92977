/**
 * Claims in the order of their claim times, in columns of fixed size: a million of them is a
 * thousand small blocks, none of which is ever copied, and an expired block is given back whole.
 */
import { invariant } from "../../protocols/errors.ts";
import { Fifo } from "../../runtime/fifo.ts";

const BLOCK_CLAIMS = 1_024;

interface Block {
  readonly ids: string[];
  readonly issuedAtMs: Float64Array;
  readonly claimedAtMs: Float64Array;
  first: number;
}

/** The claim at the front of the queue. */
export interface OldestClaim {
  readonly commandId: string;
  readonly issuedAtMs: number;
}

export class ClaimQueue {
  readonly #blocks = new Fifo<Block>();
  #last: Block | null = null;
  #newestMs = 0;

  get isEmpty(): boolean {
    return this.#blocks.size === 0;
  }

  /** The claim time of the last one pushed. */
  get newestMs(): number {
    return this.#newestMs;
  }

  /** The claim time at the front; later than any time when nothing waits. */
  get oldestMs(): number {
    const block = this.#blocks.at(0);
    return block?.claimedAtMs[block.first] ?? Number.POSITIVE_INFINITY;
  }

  /** `claimedAtMs` must not be earlier than `newestMs`. */
  push(commandId: string, issuedAtMs: number, claimedAtMs: number): void {
    invariant(claimedAtMs >= this.#newestMs, "claims are queued in the order of their times");
    const block = this.#roomy();
    const at = block.ids.length;
    block.ids.push(commandId);
    block.issuedAtMs[at] = issuedAtMs;
    block.claimedAtMs[at] = claimedAtMs;
    this.#newestMs = claimedAtMs;
  }

  /** Takes the claim at the front, if it was made at or before `untilMs`. */
  shiftUntil(untilMs: number): OldestClaim | null {
    const block = this.#blocks.at(0);
    if (block === undefined || this.oldestMs > untilMs) return null;
    const at = block.first++;
    const claim = {
      commandId: block.ids[at] as string,
      issuedAtMs: block.issuedAtMs[at] as number,
    };
    if (block.first === block.ids.length) this.#dropFirst(block);
    return claim;
  }

  #dropFirst(block: Block): void {
    this.#blocks.shift();
    if (this.#last === block) this.#last = null;
  }

  #roomy(): Block {
    if (this.#last !== null && this.#last.ids.length < BLOCK_CLAIMS) return this.#last;
    const block: Block = {
      ids: [],
      issuedAtMs: new Float64Array(BLOCK_CLAIMS),
      claimedAtMs: new Float64Array(BLOCK_CLAIMS),
      first: 0,
    };
    this.#blocks.push(block);
    this.#last = block;
    return block;
  }
}
