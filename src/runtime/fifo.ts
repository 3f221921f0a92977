/**
 * A first-in-first-out queue in a circular buffer. Both ends take constant time; nothing is
 * allocated before the first item, and nothing after warm-up. It never keeps an item it gave out.
 */

/** A drained queue keeps its buffer up to this size; a larger one goes back to the heap. */
const KEPT_SLOTS = 1_024;
const FIRST_SLOTS = 8;

/** The buffer of every queue that holds nothing yet; never written, since it is always full. */
const NO_SLOTS: never[] = [];

/** A queue of items that are never undefined. */
export class Fifo<T> {
  // Plain fields: measured faster than #private ones in the message path.
  /** Its length is zero or a power of two. */
  private slots: (T | undefined)[] = NO_SLOTS;
  private head = 0;
  private count = 0;

  get size(): number {
    return this.count;
  }

  push(item: T): void {
    if (this.count === this.slots.length) this.grow();
    const { slots } = this;
    slots[(this.head + this.count) & (slots.length - 1)] = item;
    this.count += 1;
  }

  /** Puts `item` first. */
  unshift(item: T): void {
    if (this.count === this.slots.length) this.grow();
    const { slots } = this;
    this.head = (this.head - 1) & (slots.length - 1);
    slots[this.head] = item;
    this.count += 1;
  }

  shift(): T | undefined {
    if (this.count === 0) return undefined;
    const { slots, head } = this;
    const item = slots[head];
    slots[head] = undefined;
    this.head = (head + 1) & (slots.length - 1);
    this.count -= 1;
    if (this.count === 0 && slots.length > KEPT_SLOTS) this.clear();
    return item;
  }

  /** Takes the last item. */
  pop(): T | undefined {
    if (this.count === 0) return undefined;
    const { slots } = this;
    const place = (this.head + this.count - 1) & (slots.length - 1);
    const item = slots[place];
    slots[place] = undefined;
    this.count -= 1;
    return item;
  }

  /** The item at `index`, 0 being the first; undefined outside the queue. */
  at(index: number): T | undefined {
    if (index < 0 || index >= this.count) return undefined;
    return this.slots[(this.head + index) & (this.slots.length - 1)];
  }

  /** Replaces the item at `index` and returns it; does nothing outside the queue. */
  set(index: number, item: T): T | undefined {
    const older = this.at(index);
    if (older !== undefined) this.slots[(this.head + index) & (this.slots.length - 1)] = item;
    return older;
  }

  /** Takes the item at `index` out; those behind it move up. */
  removeAt(index: number): T | undefined {
    const item = this.at(index);
    if (item === undefined) return undefined;
    const mask = this.slots.length - 1;
    for (let place = index; place > 0; place--) {
      const from = (this.head + place - 1) & mask;
      this.slots[(from + 1) & mask] = this.slots[from];
    }
    this.shift();
    return item;
  }

  /** Takes out the first occurrence of `item`; false when it is not queued. */
  remove(item: T): boolean {
    for (let index = 0; index < this.count; index++) {
      if (this.at(index) !== item) continue;
      this.removeAt(index);
      return true;
    }
    return false;
  }

  /** Shows every item, first in first. */
  forEach(visit: (item: T) => void): void {
    for (let index = 0; index < this.count; index++) {
      const item = this.at(index);
      if (item !== undefined) visit(item);
    }
  }

  /** Exchanges the contents of two queues. */
  swap(other: Fifo<T>): void {
    const { slots, head, count } = this;
    this.slots = other.slots;
    this.head = other.head;
    this.count = other.count;
    other.slots = slots;
    other.head = head;
    other.count = count;
  }

  clear(): void {
    this.slots = NO_SLOTS;
    this.head = 0;
    this.count = 0;
  }

  private grow(): void {
    const { slots, head, count } = this;
    const larger = new Array<T | undefined>(Math.max(FIRST_SLOTS, count * 2)).fill(undefined);
    for (let index = 0; index < count; index++) {
      larger[index] = slots[(head + index) & (slots.length - 1)];
    }
    this.slots = larger;
    this.head = 0;
  }
}
