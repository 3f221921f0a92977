/**
 * Events by topic: whoever published does not know who listens. A thread hears of a topic only
 * while an actor in it has subscribed. A subscriber without room misses the event, which is counted
 * and a dead letter; the order of one publisher's events is kept.
 */
import { compileProtocol, type Kind } from "../wire/protocol-table.ts";
import type { Cell } from "./cell.ts";
import { type Notice, type Notices, ThreadProtocol, type TopicEvent } from "./notices.ts";
import type { Post } from "./post.ts";
import { letterReason } from "./refusal.ts";
import { giveEvent, type Turn } from "./turns.ts";
import type { DeadLetterReason } from "./types.ts";

const EVENT = compileProtocol(ThreadProtocol).kinds.get("event") as Kind;

/** What the stream needs of its host. */
export interface EventStreamParts {
  readonly threadId: number;
  readonly notices: Notices;
  post(): Post;
  /** The threads this one is connected with. */
  threads(): readonly number[];
  /** An event did not reach the subscriber, or any of a thread. */
  lost(topic: string, to: string, from: number, reason: DeadLetterReason): void;
}

interface Subscription {
  readonly cell: Cell;
  readonly topic: string;
  readonly handle: (payload: unknown) => unknown;
  isOver: boolean;
}

/** One event as one subscriber handles it. */
class Hearing implements Turn {
  readonly #subscription: Subscription;
  readonly #payload: unknown;

  constructor(subscription: Subscription, payload: unknown) {
    this.#subscription = subscription;
    this.#payload = payload;
  }

  get isOver(): boolean {
    return this.#subscription.isOver;
  }

  run(): unknown {
    return this.#subscription.handle(this.#payload);
  }
}

export class EventStream {
  readonly #parts: EventStreamParts;
  readonly #here = new Map<string, Set<Subscription>>();
  readonly #ofCell = new Map<Cell, Set<Subscription>>();
  /** Other threads with subscribers. */
  readonly #elsewhere = new Map<string, Set<number>>();

  constructor(parts: EventStreamParts) {
    this.#parts = parts;
  }

  /** Returns the way to end the subscription. */
  subscribe(cell: Cell, topic: string, handle: (payload: unknown) => unknown): () => void {
    const subscription: Subscription = { cell, topic, handle, isOver: false };
    const here = this.#here.get(topic);
    if (here === undefined) {
      this.#here.set(topic, new Set([subscription]));
      this.#announce([topic], []);
    } else here.add(subscription);
    cell.hasTies = true;
    const own = this.#ofCell.get(cell);
    if (own === undefined) this.#ofCell.set(cell, new Set([subscription]));
    else own.add(subscription);
    return () => this.#leave(subscription);
  }

  /** @throws {NOT_TRANSFERABLE} when the payload cannot reach a subscriber; then none has it. */
  publish(topic: string, payload: unknown, from: number): void {
    const elsewhere = this.#elsewhere.get(topic);
    if (elsewhere !== undefined) {
      const event: TopicEvent = { topic, payload, from };
      for (const threadId of elsewhere) this.#send(threadId, event);
    }
    if (!this.#here.has(topic)) return;
    this.arrived({ topic, payload: this.#parts.post().localCopy(EVENT, payload), from });
  }

  /** Hands an event out to the subscribers of this thread. */
  arrived({ topic, payload, from }: TopicEvent): void {
    for (const subscription of this.#here.get(topic) ?? []) {
      const { cell } = subscription;
      const attempt = giveEvent(this.#parts.post(), cell, from, new Hearing(subscription, payload));
      if (attempt !== "sent") this.#parts.lost(topic, cell.name, from, letterReason(attempt));
    }
  }

  handle({ added, removed }: Extract<Notice, { kind: "topics" }>, from: number): void {
    for (const topic of added) {
      const known = this.#elsewhere.get(topic);
      if (known === undefined) this.#elsewhere.set(topic, new Set([from]));
      else known.add(from);
    }
    for (const topic of removed) this.#forget(topic, from);
  }

  /** A life of the actor is over, and with it its subscriptions. */
  ended(cell: Cell): void {
    const own = this.#ofCell.get(cell);
    if (own === undefined) return;
    for (const subscription of own) this.#leave(subscription);
    this.#ofCell.delete(cell);
  }

  attached(threadId: number): void {
    const added = [...this.#here.keys()];
    if (added.length === 0) return;
    this.#parts.notices.send(threadId, { kind: "topics", added, removed: [] });
  }

  detached(threadId: number): void {
    for (const topic of [...this.#elsewhere.keys()]) this.#forget(topic, threadId);
  }

  #send(threadId: number, event: TopicEvent): void {
    const { notices, post, lost } = this.#parts;
    const ref = notices.thread(threadId);
    const attempt = post().attempt(ref, "event", event);
    if (attempt !== "sent") lost(event.topic, ref.name, event.from, letterReason(attempt));
  }

  #leave(subscription: Subscription): void {
    const { topic, cell } = subscription;
    subscription.isOver = true;
    this.#ofCell.get(cell)?.delete(subscription);
    const here = this.#here.get(topic);
    if (here?.delete(subscription) !== true || here.size > 0) return;
    this.#here.delete(topic);
    this.#announce([], [topic]);
  }

  #forget(topic: string, threadId: number): void {
    const known = this.#elsewhere.get(topic);
    if (known?.delete(threadId) === true && known.size === 0) this.#elsewhere.delete(topic);
  }

  #announce(added: readonly string[], removed: readonly string[]): void {
    const { threads, notices } = this.#parts;
    for (const threadId of threads()) notices.send(threadId, { kind: "topics", added, removed });
  }
}
