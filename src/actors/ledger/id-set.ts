/**
 * A set of ids in many small parts. One large set of a million entries stands still for tens of
 * milliseconds when it grows or shrinks its table; a part of it never holds enough to be noticed.
 */

const PARTS = 256;
/** Ids of one run begin alike and end in a counter: only the end tells them apart. */
const TELLING_CHARACTERS = 12;

function partOf(id: string): number {
  let hash = 0;
  for (let at = Math.max(0, id.length - TELLING_CHARACTERS); at < id.length; at++) {
    hash = (Math.imul(hash, 31) + id.charCodeAt(at)) | 0;
  }
  return (hash ^ (hash >>> 15)) & (PARTS - 1);
}

/** The part of `Set` that the ledger needs, without its pauses. */
export class IdSet {
  readonly #parts = Array.from({ length: PARTS }, () => new Set<string>());
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(id: string): boolean {
    return this.#part(id).has(id);
  }

  /** False when it was there already. */
  add(id: string): boolean {
    const part = this.#part(id);
    if (part.has(id)) return false;
    part.add(id);
    this.#size++;
    return true;
  }

  /** False when it was not there. */
  delete(id: string): boolean {
    const removed = this.#part(id).delete(id);
    if (removed) this.#size--;
    return removed;
  }

  #part(id: string): Set<string> {
    return this.#parts[partOf(id)] as Set<string>;
  }
}
