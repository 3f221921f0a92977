/**
 * The mailbox of an actor that has a thread for itself and leaves its messages in the rings in
 * which they came. One is read when the actor has nothing in hand, and its record is freed when it
 * is finished: whatever ends the thread before, the thread that takes its place finds the record
 * again. A message that was begun twice and never finished is quarantined. The place of a message
 * in the actor's capacity is given back together with its record, in one step.
 */
import { EsperError } from "../../protocols/errors.ts";
import type { Mailbox } from "../mailbox.ts";
import type { RingConsumer } from "../wire/ring.ts";
import type { Cell } from "./cell.ts";
import type { Source } from "./cell-parts.ts";
import type { Account, Credits } from "./credits.ts";
import * as frame from "./frame.ts";
import type { Lease, Message } from "./message.ts";
import type { ParcelReceiver } from "./parcels.ts";
import type { Receiving, Sender } from "./receiving.ts";
import type { DeadLetterReason } from "./types.ts";

/** Row of the actor in the tables of its thread: it is alone there. */
export const DIRECT_SLOT = 1;
/** Row in which its thread counts the casts that it holds in its heap: those from within. */
export const LOCAL_SLOT = 2;

/** A message is begun at most so often. */
const MAX_ATTEMPTS = 2;
const EMERGENCY = 1;
const CONTROL = 2;
const BULK = 3;
/** A lower lane is served at the latest after so many messages of higher ones. */
const BULK_TURN = 63;
const CONTROL_TURN = 64;
/** Records in a row that make no message. */
const MAX_REFUSED = 64;

/** Rings from one thread, and what is needed to read them. */
export interface Feed {
  readonly sender: Sender;
  /** By lane; the first is not read here. */
  readonly rings: readonly RingConsumer[];
  readonly parcels: ParcelReceiver;
  /** The sending thread is over: nobody waits for its calls. */
  over: boolean;
}

export interface RingMailboxParts {
  readonly credits: Credits;
  readonly receiving: Receiving;
  /** False once the thread is to end: nothing more is begun. */
  isOwner(): boolean;
  /** Senders of other threads wait for room in the mailbox of the cell, and there is some. */
  onRoom(cell: Cell): void;
  /** Records were freed: the sender may wait for room in a ring. */
  onFreed(sender: Sender): void;
  onBroken(sender: Sender, error: EsperError): void;
  /** All that a thread had sent, which is over, is handled. */
  onDrained(sender: Sender): void;
}

export class RingMailbox implements Lease, Source {
  readonly #parts: RingMailboxParts;
  readonly #account: Account;
  readonly #local: Account;
  readonly #localLease: Lease;
  #feeds: Feed[] = [];
  /** Rings of threads that are over come before those of their replacements. */
  #orphans: Feed[] = [];
  #cell: Cell | null = null;
  /** What the record in hand became, until it is finished. */
  #held: Message | null = null;
  #feed: Feed | null = null;
  #ring: RingConsumer | null = null;
  #body: Lease | null = null;
  #place = -1;
  #finished = -1;
  #lane = BULK;
  #cursor = 0;
  #sinceBulk = 0;
  #sinceControl = 0;
  #localTurn = false;
  #isOver = false;

  constructor(parts: RingMailboxParts) {
    this.#parts = parts;
    this.#account = parts.credits.account(DIRECT_SLOT);
    this.#local = parts.credits.account(LOCAL_SLOT);
    const { words, finished, one } = this.#local;
    this.#localLease = { end: () => void Atomics.add(words, finished, one) };
  }

  /** The actor whose mailbox this is. */
  bind(cell: Cell): void {
    this.#cell = cell;
    const { capacity, overflow } = cell.policy;
    this.#parts.credits.open(LOCAL_SLOT, { capacity, overflow });
    cell.source = this;
  }

  add(feed: Feed): void {
    this.#feeds.push(feed);
  }

  /** A thread that sends is over; what it had sent by now is still handled. */
  orphan(sender: Sender): boolean {
    const feed = this.#feeds.find((known) => known.sender === sender);
    if (feed === undefined) return false;
    this.#feeds = this.#feeds.filter((known) => known !== feed);
    this.addOrphan(feed);
    return this.#orphans.includes(feed);
  }

  addOrphan(feed: Feed): void {
    feed.over = true;
    for (const ring of feed.rings) if (!ring.broken) ring.seal();
    if (feed.rings.some(unread) || feed === this.#feed) this.#orphans.push(feed);
  }

  /** Gives the actor its turn, or discards what it will never handle; 0 when there is nothing. */
  poll(): number {
    if (!this.canFeed) return 0;
    const cell = this.#cell as Cell;
    if (cell.state === "stopped") this.discardAll("stopped");
    else cell.wake();
    return 1;
  }

  /** True when the actor could be given a message now. */
  get canFeed(): boolean {
    const cell = this.#cell;
    if (cell === null || cell.active !== null) return false;
    return (cell.state === "running" || cell.state === "stopped") && this.ready;
  }

  /** True when there is something to read and nothing in hand. */
  get ready(): boolean {
    if (this.#held !== null || this.#isOver) return false;
    for (const { rings } of this.#feeds) if (rings.some(unread)) return true;
    return this.#orphans.length > 0;
  }

  /** A message from within the thread was queued in its heap: it dies with the thread, counted. */
  accepted(message: Message): void {
    if (message.caller !== null) return;
    const { words, taken, one } = this.#local;
    Atomics.add(words, taken, one);
    message.lease = this.#localLease;
  }

  /** The next message; those from within the thread and those from others take turns. */
  next(mailbox: Mailbox<Message>): Message | undefined {
    if (this.#held !== null) {
      const queued = mailbox.take();
      // It crashed the actor and not the thread, and is begun once more.
      if (queued === this.#held) (this.#ring as RingConsumer).countAttempt();
      return queued;
    }
    if (mailbox.size > 0 && (this.#localTurn || mailbox.hasUrgent)) {
      this.#localTurn = false;
      return mailbox.take();
    }
    this.#localTurn = true;
    return this.#take() ?? mailbox.take();
  }

  /** The message in hand is finished. */
  end(): void {
    const ring = this.#ring as RingConsumer;
    const feed = this.#feed as Feed;
    const body = this.#body;
    const { words, one } = this.#account;
    ring.settle(words, this.#place, this.#finished, one);
    this.#held = null;
    this.#ring = null;
    this.#body = null;
    this.#feed = null;
    body?.end();
    if (ring.grantRoom() && !feed.over) this.#parts.onFreed(feed.sender);
    const { credits } = this.#parts;
    const cell = this.#cell as Cell;
    if (credits.isAwaited(DIRECT_SLOT) && credits.data(DIRECT_SLOT) <= cell.policy.capacity >> 1) {
      this.#parts.onRoom(cell);
    }
    if (feed.over) this.#pruneOrphans();
  }

  /** Ends every message that can be read. */
  discardAll(reason: DeadLetterReason): void {
    const cell = this.#cell as Cell;
    while (this.#held === null && !this.#isOver) {
      const at = this.#choose();
      if (at < 0) return;
      const message = this.#open(at, false);
      if (message !== null) cell.discard(message, reason, true);
    }
  }

  #take(): Message | undefined {
    for (let refused = 0; refused < MAX_REFUSED && !this.#isOver; refused++) {
      const at = this.#choose();
      if (at < 0) return undefined;
      const message = this.#open(at, true);
      if (message !== null) return message;
    }
    return undefined;
  }

  /** Where the next record lies in `#ring`, -1 when there is none. */
  #choose(): number {
    let at = -1;
    if (this.#sinceBulk >= BULK_TURN) {
      this.#sinceBulk = 0;
      at = this.#find(BULK);
    }
    if (at < 0 && this.#sinceControl >= CONTROL_TURN) {
      this.#sinceControl = 0;
      at = this.#find(CONTROL);
    }
    for (let lane = EMERGENCY; at < 0 && lane <= BULK; lane++) at = this.#find(lane);
    return at;
  }

  #find(lane: number): number {
    this.#lane = lane;
    for (const feed of this.#orphans) {
      const at = this.#look(feed, lane);
      if (at >= 0) return at;
    }
    const count = this.#feeds.length;
    for (let step = 0; step < count; step++) {
      this.#cursor = this.#cursor + 1 < count ? this.#cursor + 1 : 0;
      const feed = this.#feeds[this.#cursor];
      // A broken ring has just been given up.
      if (feed === undefined) return -1;
      const at = this.#look(feed, lane);
      if (at >= 0) return at;
    }
    return -1;
  }

  #look(feed: Feed, lane: number): number {
    const ring = feed.rings[lane] as RingConsumer;
    try {
      const at = ring.next();
      if (at >= 0) {
        this.#ring = ring;
        this.#feed = feed;
      }
      return at;
    } catch (error) {
      if (!EsperError.is(error, "FRAME_MALFORMED")) throw error;
      this.#parts.onBroken(feed.sender, error);
      return -1;
    }
  }

  /** The message of the record at `at`; null when it makes none, and is freed. */
  #open(at: number, begins: boolean): Message | null {
    const ring = this.#ring as RingConsumer;
    const { sender, parcels, over } = this.#feed as Feed;
    const lane = this.#lane;
    this.#sinceBulk = lane === BULK ? 0 : this.#sinceBulk + 1;
    this.#sinceControl = lane === EMERGENCY ? this.#sinceControl + 1 : 0;
    if (!this.#isForActor(ring, at)) {
      this.#parts.receiving.onMalformed(sender, lane, "a record in a mailbox is no message");
      this.end();
      return null;
    }
    const isCall = frame.typeOf(ring.i32[(at >> 2) + 1] as number) === frame.CALL;
    this.#place = lane < CONTROL ? this.#account.urgent : this.#account.data;
    this.#finished = isCall ? -1 : this.#account.finished;
    const isPoison = begins && ring.attempts >= MAX_ATTEMPTS;
    if (isPoison || (isCall && over)) {
      this.#giveUp(at, isPoison);
      return null;
    }
    if (begins && !this.#begin(ring)) return null;
    const message = this.#parts.receiving.read(sender, parcels, ring, at, lane);
    if (message === null) {
      this.#parts.receiving.reader.discard(ring, at);
      this.end();
      return null;
    }
    this.#body = message.lease;
    message.lease = this;
    this.#held = message;
    return message;
  }

  /**
   * Counts the attempt, before the body is decoded: that may be what ends the thread. Who ends the
   * thread on purpose first says so and then looks for attempts, so one of the two sees the other.
   */
  #begin(ring: RingConsumer): boolean {
    ring.countAttempt();
    if (this.#parts.isOwner()) return true;
    ring.takeBackAttempt();
    this.#isOver = true;
    return false;
  }

  /** Also sets what a record that is no message gives back: nothing. */
  #isForActor(ring: RingConsumer, at: number): boolean {
    this.#place = -1;
    this.#finished = -1;
    if (ring.length < frame.PLAIN_BYTES) return false;
    const type = frame.typeOf(ring.i32[(at >> 2) + 1] as number);
    if (ring.i32[at >> 2] !== DIRECT_SLOT) return false;
    return type === frame.CAST || (type === frame.CALL && ring.length >= frame.CALL_BYTES);
  }

  /** It ended its thread as often as a message may, or nobody waits for it any more. */
  #giveUp(at: number, isPoison: boolean): void {
    const ring = this.#ring as RingConsumer;
    const { sender, over } = this.#feed as Feed;
    const { reader } = this.#parts.receiving;
    if (isPoison) this.#parts.receiving.quarantine(sender, ring, at, this.#lane, over);
    reader.discard(ring, at);
    this.end();
  }

  #pruneOrphans(): void {
    const drained = this.#orphans.filter(({ rings }) => !rings.some(unread));
    if (drained.length === 0) return;
    this.#orphans = this.#orphans.filter((feed) => !drained.includes(feed));
    for (const { sender } of drained) this.#parts.onDrained(sender);
  }
}

/** Records of the first lane are read elsewhere. */
function unread(ring: RingConsumer, lane: number): boolean {
  return lane > 0 && ring.hasUnread;
}
