/**
 * The bounded queue of one actor: four lanes, served system > emergency > control > bulk, with one
 * bulk message in 64 guaranteed. Urgent lanes (system, emergency) and data lanes (control, bulk)
 * have a capacity each, so a flood of data never refuses an emergency. Pure: it decides what
 * happens to a message; telling the sender is its owner's work.
 */
import type { Lane } from "../protocols/protocol.ts";
import type { MailboxPolicy } from "./actor.ts";
import { Fifo } from "./fifo.ts";

/** What a mailbox must know of a message. */
export interface Queued {
  readonly kind: "call" | "cast";
  readonly name: string;
  readonly lane: Lane;
}

/** What became of an offered message; `dropped` is the older one that made room for it. */
export type Offer<M> =
  | { readonly kind: "queued" }
  | { readonly kind: "waiting" }
  | { readonly kind: "refused" }
  | { readonly kind: "queued-instead"; readonly dropped: M };

/** Bulk is served at the latest after this many messages of higher lanes (1 in 64 is 1.6 %). */
const BULK_TURN = 63;

/** Calls that may wait for room, beyond the capacity, under the overflow policy `wait`. */
export const WAITING_ROOM = 1_024;

/** True for the lanes that have a capacity of their own beside the data lanes. */
export function isUrgent(lane: Lane): boolean {
  return lane === "system" || lane === "emergency";
}

/** Two lanes that share one capacity; `low` is what is given up first. */
interface Group<M> {
  readonly high: Fifo<M>;
  readonly low: Fifo<M>;
  readonly waiting: Fifo<M>;
}

function createGroup<M>(): Group<M> {
  return { high: new Fifo(), low: new Fifo(), waiting: new Fifo() };
}

export class Mailbox<M extends Queued> {
  readonly #policy: MailboxPolicy;
  readonly #urgent = createGroup<M>();
  readonly #data = createGroup<M>();
  #passedOverBulk = 0;

  constructor(policy: MailboxPolicy) {
    this.#policy = policy;
  }

  /** Messages in all lanes, those that wait for room included. */
  get size(): number {
    return groupSize(this.#urgent) + groupSize(this.#data);
  }

  offer(message: M): Offer<M> {
    const group = this.#groupOf(message);
    const full = group.high.size + group.low.size >= this.#policy.capacity;
    if (!full && group.waiting.size === 0) {
      this.#laneOf(message).push(message);
      return { kind: "queued" };
    }
    switch (this.#policy.overflow) {
      case "reject":
        return { kind: "refused" };
      case "wait":
        return wait(group, message);
      case "latest-wins":
        return this.#replace(message);
      case "drop-oldest":
        return this.#dropOldest(group, message);
    }
  }

  /** The next message to handle, or undefined. Its place goes to the first that waits. */
  take(): M | undefined {
    const { high, low } = this.#data;
    const bulkTurn = low.size > 0 && this.#passedOverBulk >= BULK_TURN;
    const urgent = bulkTurn ? undefined : (this.#urgent.high.shift() ?? this.#urgent.low.shift());
    const message = urgent ?? (bulkTurn ? low.shift() : (high.shift() ?? low.shift()));
    if (message === undefined) return undefined;
    const passedOver = low.size > 0 && message.lane !== "bulk";
    this.#passedOverBulk = passedOver ? this.#passedOverBulk + 1 : 0;
    this.#admitWaiting(this.#groupOf(message));
    return message;
  }

  /** Returns a message that was taken to the head of its lane; never refused. */
  putBack(message: M): void {
    this.#laneOf(message).unshift(message);
  }

  /** Withdraws a message; false when it is no longer queued. */
  remove(message: M): boolean {
    const group = this.#groupOf(message);
    const same = (queued: M): boolean => queued === message;
    if (group.waiting.remove(same) !== undefined) return true;
    if (this.#laneOf(message).remove(same) === undefined) return false;
    this.#admitWaiting(group);
    return true;
  }

  /** Empties every lane; highest lane first, then those that waited. */
  drain(): M[] {
    const groups = [this.#urgent, this.#data];
    return groups.flatMap(({ high, low, waiting }) => [
      ...high.drain(),
      ...low.drain(),
      ...waiting.drain(),
    ]);
  }

  #admitWaiting(group: Group<M>): void {
    if (group.high.size + group.low.size >= this.#policy.capacity) return;
    const next = group.waiting.shift();
    if (next !== undefined) this.#laneOf(next).push(next);
  }

  #replace(message: M): Offer<M> {
    if (message.kind !== "cast") return { kind: "refused" };
    const older = this.#laneOf(message).replace(
      (queued) => queued.kind === "cast" && queued.name === message.name,
      message,
    );
    return older === undefined ? { kind: "refused" } : { kind: "queued-instead", dropped: older };
  }

  /** Never gives up a message of a higher lane for one of a lower lane. */
  #dropOldest(group: Group<M>, message: M): Offer<M> {
    const own = this.#laneOf(message);
    const dropped = group.low.shift() ?? own.shift();
    if (dropped === undefined) return { kind: "refused" };
    own.push(message);
    return { kind: "queued-instead", dropped };
  }

  #groupOf(message: M): Group<M> {
    return isUrgent(message.lane) ? this.#urgent : this.#data;
  }

  #laneOf(message: M): Fifo<M> {
    const group = this.#groupOf(message);
    return message.lane === "system" || message.lane === "control" ? group.high : group.low;
  }
}

function groupSize(group: Group<unknown>): number {
  return group.high.size + group.low.size + group.waiting.size;
}

function wait<M extends Queued>(group: Group<M>, message: M): Offer<M> {
  if (message.kind === "cast" || group.waiting.size >= WAITING_ROOM) return { kind: "refused" };
  group.waiting.push(message);
  return { kind: "waiting" };
}
