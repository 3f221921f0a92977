/**
 * What the main thread keeps of an actor whose messages stay in their rings, while its thread is
 * being replaced: the account of its places, the rings to it, and those of senders that are over.
 * Whatever is not given to a replacement in the end is counted as dead letters.
 */
import { ringHead, ringIsDrained, ringIsInHand } from "../wire/ring.ts";
import { Credits } from "./credits.ts";
import { DIRECT_SLOT, LOCAL_SLOT } from "./ring-mailbox.ts";
import type { KeptRings, Route } from "./wire.ts";

/** Rings to one thread, by the ids of the threads that send. */
export type KeptRingsBySender = Map<number, KeptRings>;

/** A thread, as far as its rings concern. */
interface Sending {
  readonly threadId: number;
  readonly rings?: ReadonlyMap<number, KeptRings>;
}

interface Dying extends Sending {
  readonly thread: string;
  readonly credits: Credits;
}

/** One actor, over all starts of its thread. */
interface Keeping {
  readonly route: Route;
  credits: Credits;
  /** Those that are not linked again yet. */
  rings: KeptRingsBySender;
  orphans: KeptRings[];
  /** True while there is no thread. */
  waiting: boolean;
  retired: boolean;
}

/** The actor, and rows for its thread and for what it holds in its heap. */
const ROWS = 3;

export class KeptMailboxes {
  readonly #byThread = new Map<string, Keeping>();
  readonly #bury: (actor: string, count: number) => void;
  #closed = false;

  constructor(routes: readonly Route[], bury: (actor: string, count: number) => void) {
    this.#bury = bury;
    for (const route of routes) {
      if (!route.direct) continue;
      const credits = newAccount(route);
      const empty = { rings: new Map(), orphans: [], waiting: false, retired: false };
      this.#byThread.set(route.thread, { route, credits, ...empty });
    }
  }

  /** For a thread that starts: its account, and the rings that its last start had not read. */
  take(thread: string): Pick<Keeping, "credits" | "rings"> | undefined {
    const keeping = this.#byThread.get(thread);
    if (keeping === undefined) return undefined;
    keeping.waiting = false;
    return keeping;
  }

  /** Messages that wait for a thread to be replaced. */
  depth(thread: string): number {
    return this.#byThread.get(thread)?.credits.depth(DIRECT_SLOT) ?? 0;
  }

  /** Rings of senders that are over, with messages that the thread has not handled. */
  orphansOf(thread: string): readonly KeptRings[] {
    const keeping = this.#byThread.get(thread);
    if (keeping === undefined) return [];
    keeping.orphans = keeping.orphans.filter(hasUnread);
    return keeping.orphans;
  }

  /** True while the actor of the thread has a message in hand. */
  isInHand({ thread, threadId }: Dying, senders: readonly Sending[]): boolean {
    const keeping = this.#byThread.get(thread);
    if (keeping === undefined || this.#closed) return false;
    const inUse = senders.flatMap(({ rings }) => rings?.get(threadId) ?? []);
    return [...inUse, ...keeping.orphans.flat()].some(ringIsInHand);
  }

  /**
   * The thread died: how far it had read the rings of each sender, or null when its mailbox is not
   * kept. What it held in its heap died with it.
   */
  keep(dying: Dying, senders: readonly Sending[]): ReadonlyMap<number, readonly number[]> | null {
    const keeping = this.#byThread.get(dying.thread);
    if (keeping === undefined || keeping.retired || this.#closed) return null;
    keeping.rings.clear();
    const heads = new Map<number, readonly number[]>();
    for (const { threadId, rings } of senders) {
      const toIt = rings?.get(dying.threadId);
      if (toIt === undefined) continue;
      keeping.rings.set(threadId, toIt);
      heads.set(threadId, toIt.map(ringHead));
    }
    keeping.waiting = true;
    keeping.credits.pause(DIRECT_SLOT, true);
    this.#bury(keeping.route.name, keeping.credits.close(LOCAL_SLOT));
    keeping.credits.close(0);
    return heads;
  }

  /** The thread was left behind with its rings: its replacement begins with nothing. */
  lose(thread: string): void {
    const keeping = this.#byThread.get(thread);
    if (keeping === undefined) return;
    keeping.credits = newAccount(keeping.route);
    keeping.rings = new Map();
    keeping.orphans = [];
  }

  /** A thread that sends is over: what it had sent to such actors is still for them. */
  senderIsOver({ threadId, rings }: Sending): void {
    for (const keeping of this.#byThread.values()) {
      const own = keeping.rings.get(threadId) ?? rings?.get(keeping.route.threadId);
      keeping.rings.delete(threadId);
      keeping.orphans = keeping.orphans.filter(hasUnread);
      if (own !== undefined && hasUnread(own)) keeping.orphans.push(own);
    }
  }

  /** The actor is gone for good; a thread that runs tells itself what becomes of its messages. */
  retire(actor: string): void {
    for (const keeping of this.#byThread.values()) {
      if (keeping.route.name !== actor) continue;
      keeping.retired = true;
      if (keeping.waiting) this.#giveUp(keeping);
    }
  }

  /** No thread is replaced any more. */
  close(): void {
    this.#closed = true;
    for (const keeping of this.#byThread.values()) if (keeping.waiting) this.#giveUp(keeping);
  }

  #giveUp(keeping: Keeping): void {
    keeping.waiting = false;
    keeping.rings.clear();
    keeping.orphans = [];
    this.#bury(keeping.route.name, keeping.credits.close(DIRECT_SLOT));
  }
}

function newAccount(route: Route): Credits {
  const credits = Credits.allocate(ROWS);
  credits.open(DIRECT_SLOT, route);
  return credits;
}

/** The first lane holds answers; nobody waits for them any more. */
function hasUnread(rings: KeptRings): boolean {
  return rings.some((memory, lane) => lane > 0 && !ringIsDrained(memory));
}
