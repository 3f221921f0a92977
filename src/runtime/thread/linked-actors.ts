/**
 * Links between actors: when one end fails, so does the other; when one ends without failure, the
 * link is gone and nothing happens. Each end is kept by the thread of its actor and lasts as long
 * as the life that was linked, so a restarted actor is linked to nobody.
 */
import { EsperError } from "../../protocols/errors.ts";
import { addressOf } from "./address.ts";
import type { Cell } from "./cell.ts";
import type { DownCause, Notice, Notices } from "./notices.ts";
import type { Post } from "./post.ts";
import type { Target } from "./refs.ts";
import { giveNotice, type Turn } from "./turns.ts";

/** What the links need of their host. */
export interface LinkedActorsParts {
  readonly threadId: number;
  readonly notices: Notices;
  post(): Post;
  cellAt(slot: number): Cell | undefined;
  isLinked(threadId: number): boolean;
}

interface End {
  readonly cell: Cell;
  /** Numbers the links that one thread made. */
  readonly id: number;
  /** True at the actor that made the link. */
  readonly mine: boolean;
  readonly peerThread: number;
  readonly peer: string;
  /** The life of the cell that is linked. */
  readonly life: number;
  /** Set until the peer's thread has been told. */
  pending: Target | null;
  /** The other end is gone, and the turn in which this one fails is on its way. */
  isFailing: boolean;
  isOver: boolean;
}

export class LinkedActors {
  readonly #parts: LinkedActorsParts;
  readonly #ends = new Map<string, End>();
  readonly #ofCell = new Map<Cell, Set<End>>();
  #count = 0;

  constructor(parts: LinkedActorsParts) {
    this.#parts = parts;
  }

  /** Returns the way to take the link back. */
  link(cell: Cell, target: Target): () => void {
    const { threadId, name, generation } = target;
    this.#count += 1;
    const id = this.#count;
    const end = this.#add({ cell, id, mine: true, peerThread: threadId, peer: name }, target);
    if (threadId === this.#parts.threadId || this.#parts.isLinked(threadId)) this.#ask(end);
    // The thread of an actor of the tree comes, or comes back; no other thread does.
    else if (threadId < 0 || generation !== 0) this.#fail(end, GONE);
    return () => this.#unlink(end, null);
  }

  handle(notice: Extract<Notice, { kind: "link" | "unlink" }>, from: number): void {
    if (notice.kind === "link") {
      this.#accept(notice, from);
      return;
    }
    const end = this.#ends.get(keyOf(from, notice.id, !notice.mine));
    if (end === undefined) return;
    if (notice.cause === null) this.#drop(end);
    else this.#fail(end, notice.cause);
  }

  /** True when the actor is linked to others. */
  holds(cell: Cell): boolean {
    return this.#ofCell.has(cell);
  }

  /** The life of the actor failed: everything linked to it fails. */
  crashed(cell: Cell, cause: DownCause): void {
    for (const end of this.#endsOfLife(cell)) this.#unlink(end, cause);
  }

  /** The life of the actor is over; unless it failed, nobody else fails. */
  ended(cell: Cell): void {
    for (const end of this.#endsOfLife(cell)) this.#unlink(end, null);
    if (this.#ofCell.get(cell)?.size === 0) this.#ofCell.delete(cell);
  }

  /** The actor is gone for good; who linked to its next life waits in vain. */
  gone(cell: Cell): void {
    for (const end of this.#ofCell.get(cell) ?? []) this.#unlink(end, GONE);
    this.#ofCell.delete(cell);
  }

  attached(threadId: number): void {
    for (const end of this.#ends.values()) {
      if (end.peerThread === threadId && end.pending !== null) this.#ask(end);
    }
  }

  /** Every actor of the thread ended with it, and not by its own will. */
  detached(threadId: number): void {
    for (const end of [...this.#ends.values()]) {
      if (end.peerThread === threadId && end.pending === null) this.#fail(end, THREAD_LOST);
    }
  }

  #ask(end: End): void {
    const { slot, generation } = end.pending as Target;
    end.pending = null;
    const { id, cell, peerThread } = end;
    const notice = { kind: "link", id, slot, generation, actor: cell.name } as const;
    this.#parts.notices.send(peerThread, notice);
  }

  #accept({ id, slot, generation, actor }: Extract<Notice, { kind: "link" }>, from: number): void {
    const cell = this.#parts.cellAt(slot);
    if (cell === undefined || cell.generation !== generation || cell.state === "stopped") {
      const notice = { kind: "unlink", id, mine: false, actor, cause: GONE } as const;
      this.#parts.notices.send(from, notice);
      return;
    }
    this.#add({ cell, id, mine: false, peerThread: from, peer: actor }, null);
  }

  #add(
    base: Pick<End, "cell" | "id" | "mine" | "peerThread" | "peer">,
    pending: Target | null,
  ): End {
    const { cell, peerThread, id, mine } = base;
    // Who makes a link is alive, and makes it for this life.
    const life = mine ? cell.starts : this.#lifeOf(cell);
    const end = { ...base, life, pending, isFailing: false, isOver: false };
    this.#ends.set(keyOf(peerThread, id, mine), end);
    cell.hasTies = true;
    const known = this.#ofCell.get(cell);
    if (known === undefined) this.#ofCell.set(cell, new Set([end]));
    else known.add(end);
    return end;
  }

  /** Who is about to fail, or has failed, is linked in its next life: this one has ended. */
  #lifeOf(cell: Cell): number {
    const isAlive = cell.state === "running" || cell.state === "starting";
    const fails = [...(this.#ofCell.get(cell) ?? [])].some(({ isFailing }) => isFailing);
    return isAlive && !fails ? cell.starts : cell.starts + 1;
  }

  #endsOfLife(cell: Cell): End[] {
    const ends = this.#ofCell.get(cell);
    return ends === undefined ? [] : [...ends].filter(({ life }) => life <= cell.starts);
  }

  /** From this end; the other one is told. */
  #unlink(end: End, cause: DownCause | null): void {
    const { peerThread, id, mine, cell, pending } = end;
    const isKnown = this.#ends.get(keyOf(peerThread, id, mine)) === end;
    this.#drop(end);
    if (!isKnown || pending !== null) return;
    this.#parts.notices.send(peerThread, { kind: "unlink", id, mine, actor: cell.name, cause });
  }

  #drop(end: End): void {
    end.isOver = true;
    this.#ends.delete(keyOf(end.peerThread, end.id, end.mine));
    this.#ofCell.get(end.cell)?.delete(end);
  }

  /** The other end is gone: this one fails in its next turn, unless its life ends before. */
  #fail(end: End, cause: DownCause): void {
    this.#ends.delete(keyOf(end.peerThread, end.id, end.mine));
    // Linked to the next life: that one is not there yet, and begins without this link.
    const { cell, peer, life } = end;
    if (life > cell.starts) {
      this.#drop(end);
      return;
    }
    end.isFailing = true;
    const turn: Turn = {
      get isOver() {
        return end.isOver;
      },
      run: () => {
        this.#drop(end);
        const text = `${peer}, to which ${cell.name} is linked, failed: ${cause.message}`;
        throw new EsperError("LINKED_DOWN", text, { actor: peer, code: cause.code });
      },
    };
    giveNotice(this.#parts.post(), cell, addressOf(this.#parts.threadId, 0), turn);
  }
}

const GONE: DownCause = { code: "ACTOR_STOPPED", message: "it is gone" };
const THREAD_LOST: DownCause = { code: "ACTOR_RESTARTING", message: "its thread ended" };

function keyOf(peerThread: number, id: number, mine: boolean): string {
  return `${peerThread}.${id}.${mine ? "mine" : "theirs"}`;
}
