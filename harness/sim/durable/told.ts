/**
 * What a client of a durable thing was told: the oracle of the crash tests. It knows nothing of
 * how things are stored. A promise that is broken is thrown as a `BrokenPromise`.
 */

/** A promise of the durable layer was broken; never thrown for a refusal that is in order. */
export class BrokenPromise extends Error {
  override readonly name = "BrokenPromise";
}

/** "all": every acknowledged item stays. "latest": the newest one, each replaces those before. */
export type Keeps = "all" | "latest";

/** What the power loss or the kill left of the memory of the process. */
export type Ending = "power lost" | "killed";

export class Told {
  /** Handed over and not known to be gone, oldest first. */
  #offered: string[] = [];
  readonly #acknowledged = new Set<string>();
  readonly #refused = new Set<string>();
  readonly #released = new Set<string>();
  /** What the owner of the thing remembers elsewhere, durably. */
  readonly #facts = new Map<string, number>();
  #made = 0;
  acknowledgements = 0;

  /** A name that no item had before. */
  offer(): string {
    const item = `item-${++this.#made}`;
    this.#offered.push(item);
    return item;
  }

  acknowledge(item: string): void {
    this.#acknowledged.add(item);
    this.acknowledgements++;
  }

  /** The thing said that it has not taken the item. */
  refuse(item: string): void {
    this.#refused.add(item);
  }

  /** The client asked for the removal of the item: from now on it may be gone. */
  release(item: string): void {
    this.#released.add(item);
  }

  remember(fact: string, value: number): void {
    this.#facts.set(fact, value);
  }

  recall(fact: string): number | null {
    return this.#facts.get(fact) ?? null;
  }

  /** Items that are to be found again, oldest first. */
  get owed(): readonly string[] {
    return this.#offered.filter(
      (item) => this.#acknowledged.has(item) && !this.#released.has(item),
    );
  }

  copy(): Told {
    const other = new Told();
    other.#offered = [...this.#offered];
    for (const item of this.#acknowledged) other.#acknowledged.add(item);
    for (const item of this.#refused) other.#refused.add(item);
    for (const item of this.#released) other.#released.add(item);
    for (const [fact, value] of this.#facts) other.#facts.set(fact, value);
    other.#made = this.#made;
    other.acknowledgements = this.acknowledgements;
    return other;
  }

  /**
   * Compares with what a restart found, oldest first. What was found is owed from now on, and what
   * was not found must never appear again. Only looking at a state after a kill makes it no safer
   * than it was: the one before may come back. `endings`: of every life since the last comparison.
   * @throws {BrokenPromise}
   */
  settle(found: readonly string[], keeps: Keeps, endings: readonly Ending[]): void {
    this.#refusePhantoms(found, endings);
    if (keeps === "all") this.#requireAll(found);
    else this.#requireLatest(found);
    const killed = endings.at(-1) === "killed";
    if (keeps === "latest" && killed) {
      this.#offered = this.#offered.slice(0, this.#offered.indexOf(found[0] ?? "") + 1);
      return;
    }
    // The removal of what was released may not be durable yet.
    this.#offered = this.#offered.filter(
      (item) => found.includes(item) || (killed && this.#released.has(item)),
    );
    for (const item of found) {
      this.#acknowledged.add(item);
      this.#refused.delete(item);
      this.#released.delete(item);
    }
  }

  #refusePhantoms(found: readonly string[], endings: readonly Ending[]): void {
    // A refused record was cut off the file; only a power loss can undo the cut.
    const cut = !endings.includes("power lost");
    let before = -1;
    for (const item of found) {
      const at = this.#offered.indexOf(item);
      if (at < 0) throw new BrokenPromise(`found ${item}, which nobody offered or which was gone`);
      if (at <= before) throw new BrokenPromise(`found ${item} twice or out of order`);
      before = at;
      if (cut && this.#refused.has(item)) {
        throw new BrokenPromise(`found ${item}, which was refused`);
      }
    }
  }

  #requireAll(found: readonly string[]): void {
    const lost = this.owed.filter((item) => !found.includes(item));
    if (lost.length > 0) throw new BrokenPromise(`lost ${lost.join(", ")}, acknowledged before`);
  }

  #requireLatest(found: readonly string[]): void {
    if (found.length > 1) throw new BrokenPromise(`found ${found.length} states, there is one`);
    const newest = this.#offered.findLastIndex((item) => this.#acknowledged.has(item));
    const at = found[0] === undefined ? -1 : this.#offered.indexOf(found[0]);
    if (at < newest) {
      throw new BrokenPromise(`found ${found[0] ?? "nothing"} instead of the acknowledged state`);
    }
  }
}
