/**
 * The bounded queue of one actor: four lanes, served system > emergency > control > bulk, and none
 * starves: a lane that waits gets a turn after at most 64 messages of the lanes above it. Control
 * and bulk share the capacity; an emergency has a reserve of its own, so a flood of data never
 * refuses it; system messages are the runtime's own and exempt. Pure: it decides what happens to a
 * message; telling the sender, and waiting for room, is its owner's work.
 */
import type { MailboxPolicy, Overflow } from "./actor.ts";
import { frontOf, LaneQueue, type Sent } from "./lane-queue.ts";

/** The number of a lane: its place in the order system, emergency, control, bulk. */
export type LaneNumber = 0 | 1 | 2 | 3;

/** What a mailbox must know of a message. */
export interface Queued extends Sent {
  readonly lane: LaneNumber;
}

/** What became of an offered message; after "replaced", `dropped` is the one that gave way. */
export type Offer = "queued" | "refused" | "replaced";

const SYSTEM = 0;
const EMERGENCY = 1;
const CONTROL = 2;
const BULK = 3;

/** Bulk is served at the latest after this many others: one service in 64 is 1.6 %. */
const BULK_TURN = 63;
/** Control does not drop the last 1/64 of the places from bulk. */
const BULK_SHARE_SHIFT = 6;
/** As many messages of higher lanes in a row while an emergency or a control message waits. */
const TURN = 64;

/** How many emergencies fit into a mailbox, beside `capacity` control and bulk messages. */
export function emergencyCapacity(capacity: number): number {
  return 64 + (capacity >> 3);
}

/**
 * The queue of one actor. An idle one costs about 120 bytes: lanes are made when first used, and a
 * message that waits alone, the usual case, needs none.
 */
export class Mailbox<M extends Queued> {
  // Plain fields: measured faster than #private ones in the message path; its own come first.
  /** The only message there is, until a second one comes. */
  private lone: M | null = null;
  /** Control and bulk messages. */
  private data = 0;
  /** System and emergency messages. */
  private urgent = 0;
  /** Services of higher lanes since the lane was served, or since it was last seen empty. */
  private passedEmergency = 0;
  private passedControl = 0;
  private passedBulk = 0;
  private control: LaneQueue<M> | null = null;
  private bulk: LaneQueue<M> | null = null;
  private emergency: LaneQueue<M> | null = null;
  private system: LaneQueue<M> | null = null;
  private readonly capacity: number;
  private readonly overflow: Overflow;
  /** The message that gave way in the last offer that answered "replaced". */
  dropped: M | null = null;

  constructor(policy: MailboxPolicy) {
    this.capacity = policy.capacity;
    this.overflow = policy.overflow;
  }

  /** Messages in all lanes. */
  get size(): number {
    return this.urgent + this.data;
  }

  /** True when a system or an emergency message waits; costs one comparison. */
  get hasUrgent(): boolean {
    return this.urgent > 0;
  }

  /** Messages in one lane. */
  depth(lane: LaneNumber): number {
    if (this.lone !== null) return this.lone.lane === lane ? 1 : 0;
    return this.lane(lane)?.size ?? 0;
  }

  /** When the oldest message of a lane was queued; null when it is empty. */
  oldestQueuedAtMs(lane: LaneNumber): number | null {
    if (this.lone !== null) this.settle(this.lone);
    return this.lane(lane)?.oldestQueuedAtMs() ?? null;
  }

  /** Queues a message if there is room, else does what the overflow policy says. */
  offer(message: M): Offer {
    const { lane } = message;
    if (this.data + this.urgent === 0) {
      this.lone = message;
      if (lane >= CONTROL) this.data = 1;
      else this.urgent = 1;
      return "queued";
    }
    if (this.lone !== null) this.settle(this.lone);
    if (lane >= CONTROL) {
      if (this.data >= this.capacity) return this.overflowed(message);
      this.data += 1;
    } else {
      if (lane === EMERGENCY && this.depth(lane) >= emergencyCapacity(this.capacity)) {
        return this.overflowed(message);
      }
      this.urgent += 1;
    }
    this.open(lane).push(message);
    return "queued";
  }

  /** As `offer`, for a message whose sender was promised a place: it is never refused. */
  admit(message: M): Offer {
    const isFull = message.lane >= CONTROL && this.data >= this.capacity;
    if (!isFull || this.overflow === "drop-oldest" || this.overflow === "latest-wins") {
      return this.offer(message);
    }
    // One more than fits: a message that was taken has come back meanwhile.
    if (this.lone !== null) this.settle(this.lone);
    this.count(message.lane, 1);
    this.open(message.lane).push(message);
    return "queued";
  }

  /** The next message to handle, or undefined. */
  take(): M | undefined {
    const { lone } = this;
    if (lone !== null) {
      this.lone = null;
      this.data = 0;
      this.urgent = 0;
      this.forgetTurns();
      return lone;
    }
    const only = this.data === 0 ? this.onlyUrgent() : this.onlyData();
    if (only === null) return this.takeInTurn();
    this.forgetTurns();
    if (this.data === 0) this.urgent -= 1;
    else this.data -= 1;
    return only.shift();
  }

  /** Returns a message that was taken to the head of its lane; never refused. */
  putBack(message: M): void {
    if (this.lone !== null) this.settle(this.lone);
    this.open(message.lane).unshift(message);
    this.count(message.lane, 1);
  }

  /** Withdraws a message; false when it is no longer queued. */
  remove(message: M): boolean {
    if (this.lone !== null) this.settle(this.lone);
    if (this.lane(message.lane)?.remove(message) !== true) return false;
    this.count(message.lane, -1);
    return true;
  }

  /** Shows every queued message and changes nothing; lane by lane, each sender's in its order. */
  forEach(visit: (message: M) => void): void {
    if (this.lone !== null) this.settle(this.lone);
    for (const queue of [this.system, this.emergency, this.control, this.bulk]) {
      queue?.forEach(visit);
    }
  }

  /** Empties every lane, highest first, and gives their memory back. */
  drain(): M[] {
    if (this.lone !== null) this.settle(this.lone);
    const drained: M[] = [];
    for (const queue of [this.system, this.emergency, this.control, this.bulk]) {
      for (let next = queue?.shift(); next !== undefined; next = queue?.shift()) drained.push(next);
    }
    this.system = null;
    this.emergency = null;
    this.control = null;
    this.bulk = null;
    this.dropped = null;
    this.urgent = 0;
    this.data = 0;
    return drained;
  }

  /** The message that was alone goes where it is in company. */
  private settle(lone: M): void {
    this.lone = null;
    this.open(lone.lane).push(lone);
  }

  private forgetTurns(): void {
    this.passedEmergency = 0;
    this.passedControl = 0;
    this.passedBulk = 0;
  }

  /** The lane that has all there is, if it is a data lane; the usual case, with no turns. */
  private onlyData(): LaneQueue<M> | null {
    if (this.urgent > 0) return null;
    if (this.control === null || this.control.size === 0) return this.bulk;
    return this.control.size === this.data ? this.control : null;
  }

  private onlyUrgent(): LaneQueue<M> | null {
    if (this.urgent === 0) return null;
    if (this.emergency === null || this.emergency.size === 0) return this.system;
    return this.emergency.size === this.urgent ? this.emergency : null;
  }

  /** Several lanes have something, or nothing has. */
  private takeInTurn(): M | undefined {
    if (this.urgent === 0 && this.data === 0) return undefined;
    const emergencyWaits = this.depth(EMERGENCY) > 0;
    const controlWaits = this.depth(CONTROL) > 0;
    const bulkWaits = this.depth(BULK) > 0;
    let lane: LaneNumber = BULK;
    if (bulkWaits && this.passedBulk >= BULK_TURN) lane = BULK;
    else if (controlWaits && this.passedControl >= TURN) lane = CONTROL;
    else if (emergencyWaits && this.passedEmergency >= TURN) lane = EMERGENCY;
    else if (this.depth(SYSTEM) > 0) lane = SYSTEM;
    else if (emergencyWaits) lane = EMERGENCY;
    else if (controlWaits) lane = CONTROL;
    this.passedBulk = passed(this.passedBulk, bulkWaits, lane, BULK);
    this.passedControl = passed(this.passedControl, controlWaits, lane, CONTROL);
    this.passedEmergency = passed(this.passedEmergency, emergencyWaits, lane, EMERGENCY);
    this.count(lane, -1);
    return this.open(lane).shift();
  }

  /** There is no room. */
  private overflowed(message: M): Offer {
    this.dropped = null;
    if (this.overflow === "latest-wins" && !message.isCall) {
      this.dropped = this.lane(message.lane)?.supersede(message) ?? null;
    } else if (this.overflow === "drop-oldest") this.dropped = this.makeRoom(message);
    return this.dropped === null ? "refused" : "replaced";
  }

  /**
   * Bulk gives way first, down to the share that keeps it from starving; a message of a higher
   * lane never gives way to one of a lower lane.
   */
  private makeRoom(message: M): M | null {
    const spare = this.depth(BULK) > this.capacity >> BULK_SHARE_SHIFT;
    const low = message.lane === CONTROL && spare ? BULK : message.lane;
    const dropped = this.lane(low)?.giveUpOldest(message.from) ?? null;
    if (dropped !== null) this.open(message.lane).push(message);
    return dropped;
  }

  private count(lane: LaneNumber, by: 1 | -1): void {
    if (lane >= CONTROL) this.data += by;
    else this.urgent += by;
  }

  private lane(lane: LaneNumber): LaneQueue<M> | null {
    if (lane === CONTROL) return this.control;
    if (lane === BULK) return this.bulk;
    return lane === EMERGENCY ? this.emergency : this.system;
  }

  private open(lane: LaneNumber): LaneQueue<M> {
    const known = this.lane(lane);
    if (known !== null) return known;
    const made = new LaneQueue<M>(frontOf(this.capacity));
    if (lane === CONTROL) this.control = made;
    else if (lane === BULK) this.bulk = made;
    else if (lane === EMERGENCY) this.emergency = made;
    else this.system = made;
    return made;
  }
}

/** The count of a lane that waits, after a message of `served` was taken. */
function passed(count: number, waits: boolean, served: LaneNumber, lane: LaneNumber): number {
  if (!waits || served === lane) return 0;
  return served < lane ? count + 1 : count;
}
