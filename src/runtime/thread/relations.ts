/**
 * How the actors of one thread know of others beyond sending them messages: names, watches, links
 * and events, joined to the host. Nothing here is touched by a message between two actors.
 */
import { invariant } from "../../protocols/errors.ts";
import type { MessageMap, Protocol } from "../../protocols/protocol.ts";
import type { ActorDown, ActorRef, DownReason, WatchOptions } from "../actor.ts";
import type { Clock } from "../clock.ts";
import { addressOf } from "./address.ts";
import type { Cell } from "./cell.ts";
import { type CellOwner, crashError } from "./cell-parts.ts";
import type { Cells } from "./cells.ts";
import type { DeadLetters } from "./dead-letters.ts";
import { causeOf, DeathWatch, errorOf } from "./death-watch.ts";
import { EventStream } from "./event-stream.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { LinkedActors } from "./linked-actors.ts";
import type { Mesh } from "./mesh.ts";
import { type DownCause, type Notice, Notices, threadDefinition } from "./notices.ts";
import { plainRef, type Ref } from "./refs.ts";
import { Registry } from "./registry.ts";
import type { HostSeed, Report } from "./wire.ts";

/** What the relations need of their host. */
export interface RelationsParts {
  readonly seed: HostSeed;
  readonly clock: Clock;
  readonly cells: Cells;
  readonly deadLetters: DeadLetters;
  mesh(): Mesh;
  life(): Lifecycle;
  report(report: Report): void;
  count(metric: string, attributes: Readonly<Record<string, string>>): void;
}

export class Relations {
  readonly registry: Registry;
  readonly #parts: RelationsParts;
  readonly #watch: DeathWatch;
  readonly #links: LinkedActors;
  readonly #events: EventStream;
  readonly #notices: Notices;

  constructor(parts: RelationsParts) {
    this.#parts = parts;
    const { seed, clock, cells, mesh, report } = parts;
    const { threadId } = seed;
    const post = () => mesh().post;
    const cellAt = (slot: number): Cell | undefined => cells.at(slot);
    const isLinked = (other: number): boolean => mesh().isLinked(other);
    const handle = (notice: Notice, from: number): void => this.#onNotice(notice, from);
    this.#notices = new Notices({ threadId, clock, post, isLinked, handle });
    const common = { threadId, post, cellAt, isLinked, notices: this.#notices };
    this.#watch = new DeathWatch({
      ...common,
      askRestarts: (actor) => report({ kind: "watch-restarts", actor }),
    });
    this.#links = new LinkedActors(common);
    this.#events = new EventStream({
      ...{ threadId, post, notices: this.#notices },
      threads: () => mesh().linkedThreads,
      lost: (topic, to, from, reason) => {
        parts.count("runtime.events_dropped_total", { topic, to });
        const letter = {
          name: `(event) ${topic}`,
          lane: "bulk",
          from: cells.nameOf(from),
        } as const;
        parts.deadLetters.add(to, letter, reason);
      },
    });
    this.registry = new Registry({
      ...{ threadId, post, cellAt, memory: seed.names },
      export: (cell) => cells.export(cell),
      isInTree: (name) => mesh().isInTree(name),
      refInTree: (protocol, name, from) => mesh().ref(protocol, name, from),
    });
  }

  /** Makes the thread an actor of itself, by which the other threads reach it. */
  open(): void {
    const { seed, cells, life } = this.#parts;
    const definition = threadDefinition(
      (notice, from) => this.#onNotice(notice, from),
      (event) => this.#events.arrived(event),
    );
    const owner: CellOwner = {
      started: () => undefined,
      stopped: () => undefined,
      failed: (cell) => life().start(cell, cell.starts + 1),
    };
    const actor = { name: seed.thread, definition, config: null };
    life().start(cells.addThread(actor, owner), 1);
  }

  /** @throws {PROTOCOL_MISMATCH} */
  ref(protocol: Protocol<MessageMap>, name: string, from: number): ActorRef<MessageMap> {
    return this.registry.ref(protocol, name, from);
  }

  watch(
    cell: Cell,
    ref: ActorRef<MessageMap>,
    told: (down: ActorDown) => unknown,
    options: WatchOptions,
  ): () => void {
    return this.#watch.watch(cell, plainRef(ref).target, told, options);
  }

  link(cell: Cell, ref: ActorRef<MessageMap>): () => void {
    const { target }: Ref = plainRef(ref);
    invariant(target.cell !== cell, `${cell.name} links to another actor than itself`);
    return this.#links.link(cell, target);
  }

  subscribe(cell: Cell, topic: string, handle: (event: unknown) => unknown): () => void {
    return this.#events.subscribe(cell, topic, handle);
  }

  /** @throws {NOT_TRANSFERABLE} */
  publish(topic: string, event: unknown, cell: Cell | null): void {
    const from = cell?.address ?? addressOf(this.#parts.seed.threadId, 0);
    this.#events.publish(topic, event, from);
  }

  /** The thread is connected from now on. */
  attached(threadId: number): void {
    this.#events.attached(threadId);
    this.#links.attached(threadId);
  }

  detached(threadId: number): void {
    this.#notices.forget(threadId);
    this.#watch.detached(threadId);
    this.#links.detached(threadId);
    this.#events.detached(threadId);
  }

  /** A life of the actor begins. */
  started(cell: Cell): void {
    if (!cell.hasTies) return;
    // The first is open from the beginning: what is sent before it waits.
    if (cell.isShared && cell.starts > 1)
      this.#parts.cells.services.credits.pause(cell.slot, false);
  }

  /** A life of the actor failed. */
  crashed(cell: Cell, error: unknown): void {
    if (!cell.hasTies) return;
    if (cell.isShared) this.#parts.cells.services.credits.pause(cell.slot, true);
    if (!this.#links.holds(cell)) return;
    this.#links.crashed(cell, causeOf(crashError(cell.name, error)) as DownCause);
  }

  /** A life of the actor is over. */
  ended(cell: Cell): void {
    if (!cell.hasTies) return;
    if (cell.isShared) this.#parts.cells.services.credits.pause(cell.slot, true);
    this.#watch.ended(cell);
    this.#links.ended(cell);
    this.#events.ended(cell);
  }

  /** A spawned actor of this thread is gone for good. */
  gone(cell: Cell, reason: DownReason, error: unknown): void {
    if (!cell.hasTies) return;
    this.registry.release(cell);
    this.#links.gone(cell);
    this.#watch.gone(cell, reason, reason === "stopped" ? null : crashError(cell.name, error));
  }

  /** A spawned actor of this thread was restarted. */
  childRestarted(cell: Cell): void {
    if (cell.hasTies) this.#watch.childRestarted(cell);
  }

  /** An actor of the tree is gone for good. */
  retired(actor: string, reason: DownReason, cause: DownCause | null): void {
    const cell = this.#parts.cells.named(actor);
    if (cell !== undefined) this.#links.gone(cell);
    this.#watch.retired(actor, reason, errorOf(cause));
  }

  /** An actor of the tree was restarted. */
  restarted(actor: string): void {
    this.#watch.restarted(actor);
  }

  #onNotice(notice: Notice, from: number): void {
    switch (notice.kind) {
      case "watch":
      case "down":
        this.#watch.handle(notice, from);
        return;
      case "link":
      case "unlink":
        this.#links.handle(notice, from);
        return;
      default:
        this.#events.handle(notice, from);
    }
  }
}
