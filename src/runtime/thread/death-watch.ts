/**
 * Tells actors when others are gone for good. Who watches an actor of the tree hears it from the
 * main thread, which alone knows whether it will be restarted; of a spawned actor from its thread.
 * A watch is told once, as a turn of the watcher, and ends with the life that made it.
 */
import { EsperError } from "../../protocols/errors.ts";
import type { ActorDown, DownReason, WatchOptions } from "../actor.ts";
import { addressOf } from "./address.ts";
import type { Cell } from "./cell.ts";
import type { DownCause, Notice, Notices } from "./notices.ts";
import type { Post } from "./post.ts";
import type { Target } from "./refs.ts";
import { giveNotice, type Turn } from "./turns.ts";

/** What the watch needs of its host. */
export interface DeathWatchParts {
  readonly threadId: number;
  readonly notices: Notices;
  post(): Post;
  cellAt(slot: number): Cell | undefined;
  isLinked(threadId: number): boolean;
  /** The restarts of this actor of the tree are to be told to this thread. */
  askRestarts(actor: string): void;
}

interface Watcher {
  readonly cell: Cell;
  readonly told: (down: ActorDown) => unknown;
  readonly restarts: boolean;
  readonly key: string;
  /** Withdrawn, or the watcher's life is over: nothing more is told. */
  isOver: boolean;
}

interface Watched {
  readonly target: Target;
  readonly watchers: Set<Watcher>;
}

export class DeathWatch {
  readonly #parts: DeathWatchParts;
  readonly #watched = new Map<string, Watched>();
  readonly #ofCell = new Map<Cell, Set<Watcher>>();
  /** Spawned actors of this thread: the threads that watch them, and whether for restarts too. */
  readonly #audience = new Map<Cell, Map<number, boolean>>();
  /** Actors of the tree that are gone for good. */
  readonly #retired = new Map<string, DownReason>();
  readonly #asked = new Set<string>();

  constructor(parts: DeathWatchParts) {
    this.#parts = parts;
  }

  /** Returns the way to end the watch before its time. */
  watch(
    cell: Cell,
    target: Target,
    told: (down: ActorDown) => unknown,
    { restarts = false }: WatchOptions,
  ): () => void {
    const watcher: Watcher = { cell, told, restarts, key: keyOf(target), isOver: false };
    const gone = this.#goneAlready(target);
    if (gone !== null) {
      this.#tell(watcher, { actor: target.name, reason: gone, error: null });
      return () => this.#settle(watcher);
    }
    this.#enter(target, watcher);
    if (target.generation !== 0) this.#askThread(target, restarts);
    else if (restarts) this.#askMain(target.name);
    return () => {
      this.#settle(watcher);
      this.#leave(watcher);
    };
  }

  /** An actor of the tree is gone for good. */
  retired(actor: string, reason: DownReason, error: EsperError | null): void {
    if (this.#retired.has(actor)) return;
    this.#retired.set(actor, reason);
    this.#end(actor, { actor, reason, error });
  }

  /** An actor of the tree was restarted. */
  restarted(actor: string): void {
    this.#tellRestart(actor, actor);
  }

  /** A spawned actor of this thread is gone for good. */
  gone(cell: Cell, reason: DownReason, error: EsperError | null): void {
    const audience = this.#audience.get(cell);
    if (audience === undefined) return;
    this.#audience.delete(cell);
    for (const threadId of audience.keys()) this.#sendDown(threadId, cell, reason, causeOf(error));
  }

  /** A spawned actor of this thread was restarted. */
  childRestarted(cell: Cell): void {
    for (const [threadId, restarts] of this.#audience.get(cell) ?? []) {
      if (restarts) this.#sendDown(threadId, cell, "restarted", null);
    }
  }

  handle(notice: Extract<Notice, { kind: "watch" | "down" }>, from: number): void {
    const { slot, generation } = notice;
    if (notice.kind === "watch") {
      this.#addAudience(slot, generation, from, notice.restarts);
      return;
    }
    const key = placeOf(from, slot, generation);
    const actor = this.#watched.get(key)?.target.name;
    if (actor === undefined) return;
    if (notice.reason === "restarted") this.#tellRestart(key, actor);
    else this.#end(key, { actor, reason: notice.reason, error: errorOf(notice.cause) });
  }

  /** A thread is gone, and with it every spawned actor in it. */
  detached(threadId: number): void {
    for (const audience of this.#audience.values()) audience.delete(threadId);
    for (const [key, { target }] of [...this.#watched]) {
      if (target.generation === 0 || target.threadId !== threadId) continue;
      this.#end(key, { actor: target.name, reason: "thread-lost", error: null });
    }
  }

  /** A life of the actor is over, and with it everything it watched. */
  ended(cell: Cell): void {
    const watchers = this.#ofCell.get(cell);
    if (watchers === undefined) return;
    this.#ofCell.delete(cell);
    for (const watcher of watchers) {
      watcher.isOver = true;
      this.#leave(watcher);
    }
  }

  #goneAlready({ threadId, name, generation }: Target): DownReason | null {
    if (generation === 0) {
      return threadId < 0 ? "unknown" : (this.#retired.get(name) ?? null);
    }
    const { isLinked, threadId: own } = this.#parts;
    return threadId === own || isLinked(threadId) ? null : "thread-lost";
  }

  #enter(target: Target, watcher: Watcher): void {
    const { key } = watcher;
    const watched = this.#watched.get(key);
    if (watched === undefined) this.#watched.set(key, { target, watchers: new Set([watcher]) });
    else watched.watchers.add(watcher);
    this.#own(watcher);
  }

  #own(watcher: Watcher): void {
    watcher.cell.hasTies = true;
    const known = this.#ofCell.get(watcher.cell);
    if (known === undefined) this.#ofCell.set(watcher.cell, new Set([watcher]));
    else known.add(watcher);
  }

  #leave(watcher: Watcher): void {
    const watchers = this.#watched.get(watcher.key)?.watchers;
    if (watchers?.delete(watcher) === true && watchers.size === 0) {
      this.#watched.delete(watcher.key);
    }
  }

  #askThread({ threadId, slot, generation }: Target, restarts: boolean): void {
    this.#parts.notices.send(threadId, { kind: "watch", slot, generation, restarts });
  }

  #askMain(actor: string): void {
    if (this.#asked.has(actor)) return;
    this.#asked.add(actor);
    this.#parts.askRestarts(actor);
  }

  #addAudience(slot: number, generation: number, from: number, restarts: boolean): void {
    const cell = this.#parts.cellAt(slot);
    if (cell === undefined || cell.generation !== generation || cell.state === "stopped") {
      const notice = { kind: "down", slot, generation, reason: "unknown", cause: null } as const;
      this.#parts.notices.send(from, notice);
      return;
    }
    const audience = this.#audience.get(cell) ?? new Map<number, boolean>();
    audience.set(from, restarts || (audience.get(from) ?? false));
    this.#audience.set(cell, audience);
    cell.hasTies = true;
  }

  #sendDown(to: number, cell: Cell, reason: DownReason, cause: DownCause | null): void {
    const { slot, generation } = cell;
    this.#parts.notices.send(to, { kind: "down", slot, generation, reason, cause });
  }

  #tellRestart(key: string, actor: string): void {
    const down: ActorDown = { actor, reason: "restarted", error: null };
    for (const watcher of this.#watched.get(key)?.watchers ?? []) {
      if (watcher.restarts) this.#tell(watcher, down);
    }
  }

  #end(key: string, down: ActorDown): void {
    const watched = this.#watched.get(key);
    if (watched === undefined) return;
    this.#watched.delete(key);
    for (const watcher of watched.watchers) this.#tell(watcher, down);
  }

  #tell(watcher: Watcher, down: ActorDown): void {
    // It stays among the watchers of its cell: the end of that life calls the turn off.
    this.#own(watcher);
    const isLast = down.reason !== "restarted";
    const turn: Turn = {
      get isOver() {
        return watcher.isOver;
      },
      run: () => {
        if (isLast) this.#settle(watcher);
        return watcher.told(down);
      },
    };
    giveNotice(this.#parts.post(), watcher.cell, addressOf(this.#parts.threadId, 0), turn);
  }

  #settle(watcher: Watcher): void {
    watcher.isOver = true;
    this.#ofCell.get(watcher.cell)?.delete(watcher);
  }
}

/** An actor of the tree has its name for ever, a spawned one its place once. */
function keyOf({ threadId, slot, generation, name }: Target): string {
  return generation === 0 ? name : placeOf(threadId, slot, generation);
}

function placeOf(threadId: number, slot: number, generation: number): string {
  return `${addressOf(threadId, slot)}.${generation}`;
}

/** What of an error crosses threads with a notice. */
export function causeOf(error: EsperError | null): DownCause | null {
  return error === null ? null : { code: error.code, message: error.message };
}

/** The inverse of `causeOf`. */
export function errorOf(cause: DownCause | null): EsperError | null {
  return cause === null ? null : new EsperError(cause.code, cause.message);
}
