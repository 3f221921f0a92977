/**
 * What the runtimes of two threads tell each other about their actors. Notices of one thread to
 * another arrive in their order and none is lost while both live: what finds no room waits here.
 * A thread is reached as its slot 0, which is an actor without a name and without a supervisor.
 */
import type { ErrorCode } from "../../protocols/errors.ts";
import { cast, type MessageMap, type Protocol, protocol } from "../../protocols/protocol.ts";
import { type AnyActorDefinition, DEFAULT_CHILD_POLICY, type DownReason } from "../actor.ts";
import type { Clock } from "../clock.ts";
import { Fifo } from "../fifo.ts";
import { compileProtocol } from "../wire/protocol-table.ts";
import { addressOf } from "./address.ts";
import type { Post } from "./post.ts";
import { Ref } from "./refs.ts";

/** The error of a failed actor, as it crosses threads. */
export interface DownCause {
  readonly code: ErrorCode;
  readonly message: string;
}

export type Notice =
  /** Tell me when this actor is gone, and, `restarts`, when it was restarted. */
  | {
      readonly kind: "watch";
      readonly slot: number;
      readonly generation: number;
      readonly restarts: boolean;
    }
  | {
      readonly kind: "down";
      readonly slot: number;
      readonly generation: number;
      readonly reason: DownReason;
      readonly cause: DownCause | null;
    }
  /** My actor and yours fail together; the link has this number among those that I made. */
  | {
      readonly kind: "link";
      readonly id: number;
      readonly slot: number;
      readonly generation: number;
      readonly actor: string;
    }
  /** The end of a link: `cause` null without failure. `mine`: the sender had made it. */
  | {
      readonly kind: "unlink";
      readonly id: number;
      readonly mine: boolean;
      readonly actor: string;
      readonly cause: DownCause | null;
    }
  /** Topics in which the sender has subscribers from now on, or has none any more. */
  | {
      readonly kind: "topics";
      readonly added: readonly string[];
      readonly removed: readonly string[];
    };

/** An event on its way to the subscribers of another thread. */
export interface TopicEvent {
  readonly topic: string;
  readonly payload: unknown;
  /** The publisher's address. */
  readonly from: number;
}

/** Notices of one thread, in their order. */
interface NoticeBatch {
  /** The id of the thread. */
  readonly from: number;
  readonly notices: readonly Notice[];
}

export const ThreadProtocol = protocol("thread", {
  notices: cast<NoticeBatch>({ lane: "system" }),
  event: cast<TopicEvent>({ lane: "bulk" }),
});

/** Tells the thread itself from every actor that takes a slot. */
export const THREAD_GENERATION = 1;
/** Events on their way to, or not yet handed out in, one thread. */
const EVENTS_CAPACITY = 4_096;
/** How long a notice waits before it is tried again, and how many then go in one message. */
const RETRY_MS = 2;
const BATCH = 64;

export interface NoticeParts {
  readonly threadId: number;
  readonly clock: Clock;
  post(): Post;
  isLinked(threadId: number): boolean;
  /** `from` is the id of the thread that sent it. */
  handle(notice: Notice, from: number): void;
}

export class Notices {
  readonly #parts: NoticeParts;
  readonly #refs = new Map<number, Ref>();
  readonly #waiting = new Map<number, Fifo<Notice>>();
  #armed = false;

  constructor(parts: NoticeParts) {
    this.#parts = parts;
  }

  /** To this thread: at once. To one that is not there: nowhere, for it knows nothing then. */
  send(threadId: number, notice: Notice): void {
    const { handle, isLinked, threadId: own } = this.#parts;
    if (threadId === own) handle(notice, own);
    else if (isLinked(threadId)) this.#post(threadId, notice);
  }

  /** What waits for a thread that is gone is for nobody. */
  forget(threadId: number): void {
    this.#waiting.delete(threadId);
  }

  /** The thread as a receiver of messages. */
  thread(threadId: number): Ref {
    const known = this.#refs.get(threadId);
    if (known !== undefined) return known;
    const name = `thread ${threadId}`;
    const target = { name, threadId, slot: 0, generation: THREAD_GENERATION, cell: null };
    const from = addressOf(this.#parts.threadId, 0);
    const compiled = compileProtocol(ThreadProtocol as Protocol<MessageMap>);
    const ref = new Ref(this.#parts.post(), compiled, target, from, true);
    this.#refs.set(threadId, ref);
    return ref;
  }

  #post(threadId: number, notice: Notice): void {
    const waiting = this.#waiting.get(threadId);
    if (waiting !== undefined) waiting.push(notice);
    else if (!this.#attempt(threadId, [notice])) {
      const queue = new Fifo<Notice>();
      queue.push(notice);
      this.#waiting.set(threadId, queue);
    }
    if (this.#waiting.size > 0) this.#arm();
  }

  #attempt(threadId: number, notices: readonly Notice[]): boolean {
    const ref = this.thread(threadId);
    const batch: NoticeBatch = { from: this.#parts.threadId, notices };
    return this.#parts.post().attempt(ref, "notices", batch) !== "full";
  }

  #arm(): void {
    if (this.#armed) return;
    this.#armed = true;
    this.#parts.clock.after(
      RETRY_MS,
      () => {
        this.#armed = false;
        for (const [threadId, queue] of [...this.#waiting]) this.#retry(threadId, queue);
        if (this.#waiting.size > 0) this.#arm();
      },
      true,
    );
  }

  #retry(threadId: number, queue: Fifo<Notice>): void {
    while (queue.size > 0) {
      const batch: Notice[] = [];
      for (let at = 0; at < Math.min(BATCH, queue.size); at++) batch.push(queue.at(at) as Notice);
      if (!this.#attempt(threadId, batch)) return;
      for (let sent = 0; sent < batch.length; sent++) queue.shift();
    }
    this.#waiting.delete(threadId);
  }
}

/** The thread as an actor of itself. */
export function threadDefinition(
  onNotice: (notice: Notice, from: number) => void,
  onEvent: (event: TopicEvent) => void,
): AnyActorDefinition {
  return {
    module: import.meta.url,
    protocol: ThreadProtocol,
    config: null,
    supervision: { ...DEFAULT_CHILD_POLICY, shutdownMs: 0 },
    mailbox: { capacity: EVENTS_CAPACITY, overflow: "reject" },
    setup: () => null,
    receive: {
      notices(_state, payload) {
        const { from, notices } = payload as NoticeBatch;
        for (const notice of notices) onNotice(notice, from);
      },
      event: (_state, event) => onEvent(event as TopicEvent),
    },
  };
}
