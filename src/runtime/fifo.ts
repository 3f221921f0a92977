/** A first-in-first-out queue whose operations at both ends take constant time. */
export class Fifo<T> {
  #items: (T | undefined)[] = [];
  #head = 0;

  get size(): number {
    return this.#items.length - this.#head;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  /** Puts `item` first. Linear only when nothing was taken since the last compaction. */
  unshift(item: T): void {
    if (this.#head === 0) {
      this.#items.unshift(item);
      return;
    }
    this.#head -= 1;
    this.#items[this.#head] = item;
  }

  shift(): T | undefined {
    if (this.size === 0) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head] = undefined;
    this.#head += 1;
    if (this.#head === this.#items.length) this.clear();
    else if (this.#head >= 1_024 && this.#head * 2 >= this.#items.length) this.#compact();
    return item;
  }

  /** Removes and returns the first item that matches. */
  remove(matches: (item: T) => boolean): T | undefined {
    const index = this.#find(matches);
    if (index < 0) return undefined;
    return this.#items.splice(index, 1)[0];
  }

  /** Puts `item` in the place of the first item that matches, which it returns. */
  replace(matches: (item: T) => boolean, item: T): T | undefined {
    const index = this.#find(matches);
    if (index < 0) return undefined;
    const replaced = this.#items[index];
    this.#items[index] = item;
    return replaced;
  }

  /** Empties the queue and returns what it held, first in first. */
  drain(): T[] {
    const rest = this.#items.slice(this.#head) as T[];
    this.clear();
    return rest;
  }

  clear(): void {
    this.#items.length = 0;
    this.#head = 0;
  }

  #compact(): void {
    this.#items = this.#items.slice(this.#head);
    this.#head = 0;
  }

  #find(matches: (item: T) => boolean): number {
    for (let index = this.#head; index < this.#items.length; index++) {
      if (matches(this.#items[index] as T)) return index;
    }
    return -1;
  }
}
