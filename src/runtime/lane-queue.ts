/**
 * The messages of one lane of a mailbox. A number of them, the front, wait in one line in order of
 * arrival; what comes beyond waits in a queue per sender, and the line is filled from those in
 * turn. So whoever sends floods delays another's message by at most the front and one round. The
 * order of one sender's messages never changes, and a sender alone stays in the line, however long.
 */
import { Fifo } from "./fifo.ts";

/** What a lane must know of a message. */
export interface Sent {
  /** Who sent it, as a small integer. */
  readonly from: number;
  readonly isCall: boolean;
  readonly kindIndex: number;
  /** Whole milliseconds of the monotonic clock in 32 bits; coarse. */
  readonly queuedAtMs: number;
}

/** Messages that are served in order of arrival, whoever sent them, unless told otherwise. */
export const FRONT = 32;
/** A longer front takes nothing from fairness that a long mailbox has not taken already. */
const LONGEST_FRONT = 256;

/** The front of a lane that may hold `capacity` messages: a quarter of it, from 32 to 256. */
export function frontOf(capacity: number): number {
  return Math.max(FRONT, Math.min(LONGEST_FRONT, capacity >> 2));
}
/** Senders of whom nothing waits whose queues are kept for their next message. */
const IDLE_SENDERS = 16;
/** A crowd of one sender becomes the line again after so many messages; earlier would flicker. */
const JOIN_AFTER = 128;
/** How many messages are looked at to find one to supersede: a long lane must not cost more. */
const LOOK_BACK = 1_024;

/** The messages of one sender; a link of the ring of those that wait for their turn. */
class SenderQueue<M> {
  readonly from: number;
  readonly messages = new Fifo<M>();
  before: SenderQueue<M> = this;
  after: SenderQueue<M> = this;

  constructor(from: number) {
    this.from = from;
  }
}

/** What does not fit into the line: a queue per sender, served in turn. */
class Crowd<M extends Sent> {
  readonly #bySender = new Map<number, SenderQueue<M>>();
  #idle = 0;
  /** The sender whose turn is next. */
  #turn: SenderQueue<M> | null = null;

  add(message: M): void {
    this.#open(message.from).messages.push(message);
  }

  /** The queue of a sender, made if there is none; the caller puts something into it. */
  open(from: number): Fifo<M> {
    return this.#open(from).messages;
  }

  /** The only sender of whom messages wait, or null when there are several or none. */
  get sole(): number | null {
    return this.#turn !== null && this.#turn.after === this.#turn ? this.#turn.from : null;
  }

  /** The next message in turn, or undefined. */
  next(): M | undefined {
    const queue = this.#turn;
    if (queue === null) return undefined;
    this.#turn = queue.after;
    const message = queue.messages.shift();
    if (queue.messages.size === 0) this.#close(queue);
    return message;
  }

  /** The waiting messages of one sender, if any. */
  of(from: number): Fifo<M> | undefined {
    return this.#bySender.get(from)?.messages;
  }

  /** Forgets a sender of whom nothing waits; to be called after taking from what `of` gave. */
  settle(from: number): void {
    const queue = this.#bySender.get(from);
    if (queue !== undefined && queue.messages.size === 0) this.#close(queue);
  }

  /** The waiting messages, one queue a sender. */
  *queues(): Iterable<Fifo<M>> {
    for (const { messages } of this.#bySender.values()) yield messages;
  }

  /** The queue of a sender; one that was empty becomes the last in the round. */
  #open(from: number): SenderQueue<M> {
    const known = this.#bySender.get(from);
    if (known !== undefined && known.messages.size > 0) return known;
    const queue = known ?? new SenderQueue<M>(from);
    if (known === undefined) this.#bySender.set(from, queue);
    else this.#idle -= 1;
    const turn = this.#turn ?? queue;
    queue.after = turn;
    queue.before = turn.before;
    turn.before.after = queue;
    turn.before = queue;
    this.#turn = turn;
    return queue;
  }

  #close(queue: SenderQueue<M>): void {
    if (this.#turn === queue) this.#turn = queue.after === queue ? null : queue.after;
    queue.before.after = queue.after;
    queue.after.before = queue.before;
    queue.before = queue;
    queue.after = queue;
    if (this.#idle < IDLE_SENDERS) this.#idle += 1;
    else this.#bySender.delete(queue.from);
  }
}

/** One lane: a first-in-first-out queue that is fair between senders once it is long. */
export class LaneQueue<M extends Sent> {
  // Plain fields: measured faster than #private ones in the message path.
  private readonly front: number;
  private readonly line = new Fifo<M>();
  /** While the crowd is empty, who sent all beyond the front; null: several put back did. */
  private tailFrom: number | null = 0;
  private crowd: Crowd<M> | null = null;
  /** Messages in the crowd; above zero only while the line holds the front or more. */
  private crowded = 0;
  /** Messages taken since the crowd consists of one sender. */
  private sole = 0;

  constructor(front: number = FRONT) {
    this.front = front;
  }

  get size(): number {
    return this.line.size + this.crowded;
  }

  push(message: M): void {
    if (this.crowded === 0) {
      const { size } = this.line;
      if (size <= this.front || message.from === this.tailFrom) {
        if (size === this.front) this.tailFrom = message.from;
        this.line.push(message);
        return;
      }
    }
    this.pushToCrowd(message);
  }

  shift(): M | undefined {
    const message = this.line.shift();
    if (this.crowded > 0) this.refill();
    return message;
  }

  /** Puts a message that was taken before all others. */
  unshift(message: M): void {
    if (this.crowded === 0 && this.line.size > this.front) this.split();
    this.line.unshift(message);
    if (this.crowded > 0 || this.line.size !== this.front + 1) return;
    this.tailFrom = this.line.at(this.front)?.from ?? null;
  }

  /** Withdraws a message; false when it is not here. */
  remove(message: M): boolean {
    if (this.line.remove(message)) {
      if (this.crowded > 0) this.refill();
      return true;
    }
    if (this.crowded === 0 || this.crowd?.of(message.from)?.remove(message) !== true) return false;
    this.forget(message.from);
    return true;
  }

  /**
   * Gives up one message so that one of `from` finds room: the oldest, or, where several senders
   * crowd the lane, the oldest of its own that is not in the line yet.
   */
  giveUpOldest(from: number): M | undefined {
    const own = this.crowded === 0 ? undefined : this.crowd?.of(from)?.shift();
    if (own === undefined) return this.shift();
    this.forget(from);
    return own;
  }

  /**
   * Makes `message` take the place of the newest cast of its kind from its sender; of another
   * sender if there is none, and then it is queued as the sender's newest, so that a sender's order
   * holds. Returns the message that gave way.
   */
  supersede(message: M): M | undefined {
    const own = this.crowded === 0 ? undefined : this.crowd?.of(message.from);
    const replaced =
      (own === undefined ? undefined : replaceOwn(own, message)) ?? replaceOwn(this.line, message);
    if (replaced !== undefined) return replaced;
    const other = this.newestOfKind(message.kindIndex);
    if (other === undefined || !this.remove(other)) return undefined;
    this.push(message);
    return other;
  }

  /** Shows every message; each sender's in its order. */
  forEach(visit: (message: M) => void): void {
    this.line.forEach(visit);
    if (this.crowded > 0) for (const queue of this.crowd?.queues() ?? []) queue.forEach(visit);
  }

  /** When the oldest message was queued; null in an empty lane. */
  oldestQueuedAtMs(): number | null {
    let oldest: number | null = null;
    const consider = (message: M | undefined): void => {
      if (message === undefined) return;
      const { queuedAtMs } = message;
      // The difference as a 32-bit number is right even where the time in 32 bits wrapped.
      if (oldest === null || ((queuedAtMs - oldest) | 0) < 0) oldest = queuedAtMs;
    };
    for (let index = 0; index <= this.front; index++) consider(this.line.at(index));
    if (this.crowded > 0) for (const queue of this.crowd?.queues() ?? []) consider(queue.at(0));
    return oldest;
  }

  private pushToCrowd(message: M): void {
    if (this.crowded === 0) this.split();
    this.crowd?.add(message);
    this.crowded += 1;
  }

  /** Several senders now: what stands beyond the front becomes the queue of its one sender. */
  private split(): void {
    const { line } = this;
    this.crowd ??= new Crowd();
    if (this.tailFrom === null) return;
    const rest = this.crowd.open(this.tailFrom);
    this.crowded = line.size - this.front;
    this.sole = 0;
    // Whichever part is smaller is moved.
    if (this.crowded > this.front) {
      rest.swap(line);
      moveFirst(rest, line, this.front);
    } else moveLast(line, rest, this.crowded);
  }

  private refill(): void {
    const { line, crowd } = this;
    while (this.crowded > 0 && line.size < this.front) {
      const message = crowd?.next();
      if (message !== undefined) line.push(message);
      this.crowded -= 1;
    }
    const from = crowd?.sole ?? null;
    this.sole = from === null ? 0 : this.sole + 1;
    if (from !== null && this.sole >= JOIN_AFTER && line.size <= this.front) this.join(from);
  }

  /** One sender is left: its queue follows the line directly, as if it had always been alone. */
  private join(from: number): void {
    const rest = this.crowd?.open(from);
    if (rest === undefined) return;
    moveLast(this.line, rest, this.line.size);
    rest.swap(this.line);
    this.crowd?.settle(from);
    this.crowded = 0;
    this.tailFrom = from;
  }

  /** One message of `from` left the crowd. */
  private forget(from: number): void {
    this.crowded -= 1;
    this.crowd?.settle(from);
    // Put-backs may have left more than the front in the line, from whomever.
    if (this.crowded === 0 && this.line.size > this.front) this.tailFrom = null;
  }

  private newestOfKind(kindIndex: number): M | undefined {
    let left = LOOK_BACK;
    if (this.crowded > 0) {
      for (const queue of this.crowd?.queues() ?? []) {
        const found = newestCast(queue, kindIndex, null, left);
        if (found >= 0) return queue.at(found);
        left -= queue.size;
        if (left <= 0) return undefined;
      }
    }
    return this.line.at(newestCast(this.line, kindIndex, null, left));
  }
}

function moveFirst<M>(source: Fifo<M>, target: Fifo<M>, count: number): void {
  for (let moved = 0; moved < count; moved++) {
    const message = source.shift();
    if (message !== undefined) target.push(message);
  }
}

/** Takes the last `count` of the source; they become the first of the target, in order. */
function moveLast<M>(source: Fifo<M>, target: Fifo<M>, count: number): void {
  for (let moved = 0; moved < count; moved++) {
    const message = source.pop();
    if (message !== undefined) target.unshift(message);
  }
}

/** The index of the newest cast of a kind, of one sender or of any; -1 when there is none. */
function newestCast<M extends Sent>(
  queue: Fifo<M>,
  kindIndex: number,
  from: number | null,
  lookBack: number,
): number {
  const end = Math.max(0, queue.size - lookBack);
  for (let index = queue.size - 1; index >= end; index--) {
    const message = queue.at(index);
    if (message === undefined || message.isCall || message.kindIndex !== kindIndex) continue;
    if (from === null || message.from === from) return index;
  }
  return -1;
}

function replaceOwn<M extends Sent>(queue: Fifo<M>, message: M): M | undefined {
  return queue.set(newestCast(queue, message.kindIndex, message.from, LOOK_BACK), message);
}
