/**
 * How a host talks: its loop, its sending side, and its direct link to every other thread. The
 * loop looks here for what arrived and is told here when it may sleep.
 */
import { EsperError } from "../../protocols/errors.ts";
import { LANES, type MessageMap, type Protocol } from "../../protocols/protocol.ts";
import type { Clock } from "../clock.ts";
import { DeadlineWheel } from "../deadline-wheel.ts";
import type { CallWatch } from "../inspect/call-watch.ts";
import type { StatsPublisher } from "../inspect/publisher.ts";
import { createRandom } from "../random.ts";
import { attachTable, detachTable, sweepTable } from "../token-table.ts";
import { BodyCodec } from "../wire/body-codec.ts";
import { compileProtocol, type Kind } from "../wire/protocol-table.ts";
import { SlabBorrower, SlabOwner } from "../wire/slab.ts";
import { StructureTable } from "../wire/structures.ts";
import { ThreadBlock } from "../wire/thread-block.ts";
import { park, resume } from "../wire/wake.ts";
import { addressOf, slotOf, threadOf } from "./address.ts";
import { CallTable } from "./call-table.ts";
import type { Cell } from "./cell.ts";
import type { Cells } from "./cells.ts";
import type { Connection } from "./connection.ts";
import type { Credits } from "./credits.ts";
import type { DeadLetters } from "./dead-letters.ts";
import { HeldBells } from "./held-bells.ts";
import { Link, type LinkOwner } from "./link.ts";
import { createLocalEncoding } from "./local-encoding.ts";
import { type Arrivals, type LoopParts, RunLoop } from "./loop.ts";
import type { CallOwner, PendingCall } from "./pending.ts";
import { Post } from "./post.ts";
import { Receiving } from "./receiving.ts";
import { createRefCodec, Ref, type Target } from "./refs.ts";
import { createRingMailbox, orphanFeed } from "./ring-feeds.ts";
import type { RingMailbox } from "./ring-mailbox.ts";
import type { DeadLetterReason } from "./types.ts";
import type { HostSeed, KeptRings, Route } from "./wire.ts";

/** One in so many calls is measured. */
const CALL_SAMPLE = 16;

export interface MeshParts {
  readonly seed: HostSeed;
  readonly clock: Clock;
  readonly later: LoopParts["later"];
  readonly credits: Credits;
  readonly cells: Cells;
  readonly deadLetters: DeadLetters;
  readonly stats: StatsPublisher;
  readonly watch: CallWatch;
  onSettled(actor: string, tookMs: number): void;
  onLateReply(): void;
  onMalformed(thread: string, lane: number, what: string): void;
  /** Of the spawned actors, for messages to people. */
  names(): readonly string[];
  onAttached(threadId: number): void;
  onDetached(threadId: number): void;
}

export class Mesh implements Arrivals, CallOwner {
  readonly block: ThreadBlock;
  readonly loop: RunLoop;
  readonly post: Post;
  /** Null unless the actor of this thread reads its rings itself. */
  readonly direct: RingMailbox | null;
  readonly #parts: MeshParts;
  readonly #wheel: DeadlineWheel;
  readonly #calls = new CallTable();
  readonly #routes = new Map<string, Route>();
  readonly #names = new Map<number, string>();
  readonly #links: (Link | undefined)[] = [];
  #open: Link[] = [];
  readonly #everLinked = new Set<number>();
  readonly #retired = new Set<string>();
  readonly #linkOwner: LinkOwner;
  readonly #receiving: Receiving;
  readonly #slabs: SlabBorrower;
  readonly #hasWork = (): boolean => this.pending();
  readonly #bells = new HeldBells();
  #urgentSeen = 0;
  #settledCalls = 0;

  constructor(parts: MeshParts) {
    this.#parts = parts;
    const { seed, clock, cells, later } = parts;
    for (const route of seed.routes) {
      this.#routes.set(route.name, route);
      this.#names.set(addressOf(route.threadId, route.slot), route.name);
    }
    this.block = new ThreadBlock(seed.block);
    this.block.own();
    this.#wheel = new DeadlineWheel(clock, true);
    this.loop = new RunLoop({ clock, arrivals: this, spinMs: seed.spinMs, later });
    const refs = createRefCodec({
      threadId: seed.threadId,
      post: () => this.post,
      cellAt: (slot) => cells.at(slot),
      nameOf: (address) => cells.nameOf(address),
      export: (cell) => cells.export(cell),
    });
    const body = new BodyCodec(new StructureTable(seed.structures), refs);
    this.#slabs = new SlabBorrower(seed.threadId, () => {
      for (const link of this.#open) link.inbound.pullParcels();
    });
    const slab = new SlabOwner({ thread: seed.threadId, epoch: seed.epoch });
    slab.onRetired((arena) => {
      for (const link of this.#open) link.arenaRetired(arena);
    });
    this.post = new Post({
      threadId: seed.threadId,
      clock,
      random: createRandom(seed.runSeed, `router:${seed.thread}:${seed.epoch}`),
      wheel: this.#wheel,
      owner: this,
      calls: this.#calls,
      encodeLocal: seed.encodeLocal ? createLocalEncoding(body) : null,
      services: () => cells.services,
      link: (threadId) => this.#links[threadId],
      isRetired: ({ name, generation }) => generation === 0 && this.#retired.has(name),
      wasLinked: (threadId) => this.#everLinked.has(threadId),
      names: () => [...this.#routes.keys(), ...parts.names()],
      watch: parts.watch,
      bury: (actor, kind, from, reason) => this.#bury(actor, kind, from, reason),
    });
    const receiving = new Receiving({
      calls: this.#calls,
      body,
      slab: this.#slabs,
      cellAt: (slot) => cells.at(slot),
      bury: (slot, kind, lane, from, reason) => {
        const actor = cells.nameOf(addressOf(seed.threadId, slot));
        this.#bury(actor, kind ?? { name: "*", lane: lane as Kind["lane"] }, from, reason);
      },
      onLateReply: parts.onLateReply,
      onRoom: (threadId, slot) => this.post.retry(threadId, slot),
      onMalformed: parts.onMalformed,
      onBroken: (link, error) => {
        parts.onMalformed(link.thread, 0, error.message);
        this.detach(link.thread, link.epoch);
      },
    });
    this.#receiving = receiving;
    const isDirect = seed.routes.some(({ thread, direct }) => direct && thread === seed.thread);
    this.direct = isDirect ? createRingMailbox(parts.credits, receiving, this) : null;
    this.#linkOwner = {
      direct: isDirect,
      threadId: seed.threadId,
      block: this.block,
      encoders: { body, slab },
      calls: this.#calls,
      receiving,
      nowMs: () => clock.monotonicMs(),
      onLateReply: parts.onLateReply,
      lookAgain: () => this.loop.kick(),
      bells: this.#bells,
    };
  }

  /** @throws {PROTOCOL_MISMATCH} when the actor of this name understands another protocol. */
  ref(protocol: Protocol<MessageMap>, name: string, from: number): Ref {
    const compiled = compileProtocol(protocol);
    const route = this.#routes.get(name);
    if (route === undefined) return new Ref(this.post, compiled, this.#nobody(name), from, true);
    if (route.fingerprint !== compiled.fingerprint) {
      const other = `not this form of ${protocol.name}`;
      const text = `${name} understands the protocol ${route.protocol}, ${other}`;
      throw new EsperError("PROTOCOL_MISMATCH", text, { actor: name, protocol: protocol.name });
    }
    const { threadId, slot } = route;
    const cell = this.#parts.cells.named(name) ?? null;
    const target = { name, threadId, slot, generation: 0, cell };
    return new Ref(this.post, compiled, target, from, true);
  }

  attach(connection: Connection): void {
    const { threadId } = connection;
    const former = this.#links[threadId];
    this.#everLinked.add(threadId);
    attachTable(connection.tokens.id, connection.tokens.memory);
    if (former?.suspended && connection.resumed) former.resume(connection);
    else {
      if (former !== undefined) {
        this.#close(former, "ACTOR_RESTARTING");
        this.#parts.onDetached(threadId);
      }
      this.#links[threadId] = new Link(connection, this.#linkOwner);
    }
    const link = this.#links[threadId] as Link;
    const { rings, parcels } = link.inbound;
    this.direct?.add({ sender: link, rings, parcels, over: false });
    this.#open = this.#links.filter((link): link is Link => link !== undefined);
    this.post.retryThread(threadId);
    this.#parts.onAttached(threadId);
    // What was sent before this end knew of the link rang a bell that nobody heard.
    this.loop.kick();
  }

  /**
   * The thread start `epoch` is over; a link to a later start stays. With `heads`, its replacement
   * reads on from there what is sent to it.
   */
  detach(thread: string, epoch: number, heads?: readonly number[]): void {
    const link = this.#open.find((open) => open.thread === thread);
    if (link === undefined || link.epoch > epoch) return;
    const forGood = this.#isRetired(thread);
    if (heads !== undefined && !forGood) link.suspend(heads);
    else {
      this.#links[link.threadId] = undefined;
      this.#open = this.#open.filter((open) => open !== link);
      this.#close(link, forGood ? "ACTOR_STOPPED" : "ACTOR_RESTARTING");
    }
    // The dead thread may have claimed to wake this one and not lived to ring.
    this.loop.kick();
    this.post.giveUp(({ threadId, generation }) => threadId === link.threadId && generation !== 0);
    this.#parts.onDetached(link.threadId);
  }

  /** Reads what threads that are over had sent to an earlier start of this one. */
  adopt(orphans: readonly KeptRings[]): void {
    for (const rings of orphans) this.direct?.addOrphan(orphanFeed(rings, this.#receiving));
    this.loop.kick();
  }

  /** Other threads are woken only after what runs now, and the promises it has settled. */
  holdBells(): void {
    this.#bells.hold();
  }

  isLinked(threadId: number): boolean {
    const link = this.#links[threadId];
    return link !== undefined && !link.suspended;
  }

  get linkedThreads(): readonly number[] {
    return this.#open.filter(({ suspended }) => !suspended).map(({ threadId }) => threadId);
  }

  isInTree(name: string): boolean {
    return this.#routes.has(name);
  }

  retire(actor: string): void {
    this.#retired.add(actor);
    this.post.giveUp(({ name, generation }) => generation === 0 && name === actor);
    // It was waited for, and will not be replaced after all.
    const { thread } = this.#routes.get(actor) ?? {};
    const link = this.#open.find((open) => open.suspended && open.thread === thread);
    if (link !== undefined) this.detach(link.thread, link.epoch);
  }

  /** A spawned actor is gone. */
  forget(cell: Cell): void {
    if (cell.hasWaiting) this.post.giveUp((target) => target.cell === cell);
    if (cell.isShared) this.tellWaiting(cell);
  }

  close(): void {
    this.loop.close();
    this.post.close();
    for (const link of this.#open) link.close("ACTOR_STOPPED", true);
    this.#open = [];
    this.#links.length = 0;
    this.#wheel.close();
    this.block.die();
  }

  depth(slot: number): number {
    return this.#parts.credits.depth(slot);
  }

  nameOf(address: number): string {
    const known = this.#names.get(address);
    if (known !== undefined) return known;
    const threadId = threadOf(address);
    const thread = this.#links[threadId]?.thread ?? this.#threadName(threadId);
    return slotOf(address) === 0 ? thread : `${thread}/${slotOf(address)}`;
  }

  poll(): number {
    let count = 0;
    for (const link of this.#open) count += link.inbound.poll() + link.flush();
    if (this.direct !== null) count += this.direct.poll();
    this.block.beat();
    const { stats } = this.#parts;
    if (this.loop.nowMs >= stats.dueAtMs) stats.publish();
    return count;
  }

  pollUrgent(): void {
    if (this.#open.length === 0) return;
    if (this.block.urgentHint === this.#urgentSeen) return;
    const { urgent } = this.block;
    if (urgent === this.#urgentSeen) return;
    this.#urgentSeen = urgent;
    for (const link of this.#open) link.inbound.pollUrgent();
  }

  pending(): boolean {
    for (const link of this.#open) if (link.hasWork) return true;
    return this.direct?.canFeed === true;
  }

  resume(): void {
    resume(this.block);
  }

  spun(): void {
    this.block.spun();
  }

  park(): boolean {
    this.#parts.stats.beforeRest(this.loop.nowMs);
    return park(this.block, this.#hasWork);
  }

  /** Senders wait for room in the cell's mailbox, and there is some. */
  onRoom(cell: Cell): void {
    cell.hasWaiting = false;
    this.post.retry(this.#parts.seed.threadId, cell.slot);
    if (cell.isShared) this.tellWaiting(cell);
  }

  nowMs(): number {
    return this.#parts.clock.monotonicMs();
  }

  arm(call: PendingCall): void {
    this.#wheel.add(call, call.deadlineAtMs);
  }

  onSettled(call: PendingCall): void {
    this.#wheel.remove(call);
    if (call.lent) call.token?.returned();
    if (call.id >= 0) this.#calls.remove(call.id);
    this.#settledCalls += 1;
    if (this.#settledCalls % CALL_SAMPLE !== 1) return;
    this.#parts.onSettled(call.to, this.nowMs() - call.sentAtMs);
  }

  onLateReply(): void {
    this.#parts.onLateReply();
  }

  /** Senders of other threads are told that there is room in the cell's mailbox. */
  tellWaiting(cell: Cell): void {
    const bits = this.#parts.credits.takeWaiting(cell.slot);
    if (bits === 0) return;
    for (const link of this.#open) {
      if ((bits & (1 << (link.threadId & 31))) !== 0) link.room(cell.slot);
    }
  }

  /** All that was read of a thread that is over is handled. */
  forgetArenas(threadId: number): void {
    if (!this.isLinked(threadId)) this.#slabs.forget(threadId);
  }

  /** What has arrived over the link is still read. */
  #close(link: Link, code: "ACTOR_STOPPED" | "ACTOR_RESTARTING"): void {
    link.inbound.pullParcels();
    const goesOn = this.direct?.orphan(link) === true;
    link.close(code);
    // Whoever waited on a token of that thread waits for nobody.
    if (link.tokens !== this.#parts.seed.tokens.id) {
      sweepTable(link.tokens);
      detachTable(link.tokens);
    }
    if (!goesOn) this.#slabs.forget(link.threadId);
  }

  #isRetired(thread: string): boolean {
    const routes = this.#parts.seed.routes.filter((route) => route.thread === thread);
    return routes.every(({ name }) => this.#retired.has(name));
  }

  #bury(
    actor: string,
    { name, lane }: Pick<Kind, "name" | "lane">,
    from: number,
    reason: DeadLetterReason,
  ): void {
    const sender = this.#parts.cells.nameOf(from);
    this.#parts.deadLetters.add(actor, { name, lane: LANES[lane], from: sender }, reason);
  }

  #threadName(threadId: number): string {
    const route = this.#parts.seed.routes.find((known) => known.threadId === threadId);
    return route?.thread ?? `thread ${threadId}`;
  }

  /** Where a message to a name that nobody has goes: nowhere. */
  #nobody(name: string): Target {
    return { name, threadId: -1, slot: 0, generation: 0, cell: null };
  }
}
