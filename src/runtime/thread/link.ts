/**
 * The direct connection of a host to one other thread: four rings out, four rings in, one a lane.
 * It turns messages into frames and frames into messages; who may send how much is decided before
 * (credits) and who handles what after (cells). A frame that makes no sense becomes an error at
 * its sender or a dead letter, never a failure of this thread.
 */
import { dehydrate, EsperError, type WireError } from "../../protocols/errors.ts";
import { CancellationToken } from "../token.ts";
import type { TokenHandle } from "../token-table.ts";
import type { FieldCodec } from "../wire/field-codec.ts";
import type { Kind } from "../wire/protocol-table.ts";
import type { ArenaMemory } from "../wire/slab-arena.ts";
import { ThreadBlock } from "../wire/thread-block.ts";
import type { CallTable } from "./call-table.ts";
import type { Connection } from "./connection.ts";
import { Credits } from "./credits.ts";
import * as frame from "./frame.ts";
import type { HeldBells } from "./held-bells.ts";
import { Inbound } from "./inbound.ts";
import type { Caller, Message } from "./message.ts";
import { Outbound } from "./outbound.ts";
import { type ParcelPort, ParcelSender } from "./parcels.ts";
import type { PendingCall } from "./pending.ts";
import type { Receiving } from "./receiving.ts";
import { type Encoders, PayloadWriter } from "./sending.ts";
import { directLane, freeUnread, isLost, notePosition } from "./suspension.ts";
import type { TraceContext } from "./trace.ts";

/** What a link needs of its host. */
export interface LinkOwner {
  readonly threadId: number;
  readonly block: ThreadBlock;
  readonly encoders: Encoders;
  readonly calls: CallTable;
  readonly receiving: Receiving;
  /** True when the actor of this thread reads its rings itself. */
  readonly direct: boolean;
  nowMs(): number;
  onLateReply(): void;
  /** The loop runs once more before it sleeps. */
  lookAgain(): void;
  readonly bells: HeldBells;
}

/** Where a message goes. */
export interface Destination {
  readonly slot: number;
  readonly generation: number;
}

const SYSTEM_LANE = 0;

export class Link {
  readonly thread: string;
  readonly threadId: number;
  epoch: number;
  /** The table in which the other thread's tokens lie. */
  tokens: number;
  readonly credits: Credits;
  /** Calls received over this link and not yet answered, by their number. */
  readonly inboundCalls = new Map<number, Message>();
  inbound: Inbound;
  readonly #owner: LinkOwner;
  readonly #outbound: Outbound;
  readonly #writer: PayloadWriter;
  readonly #parcels: ParcelSender;
  /** True when the actor of the other thread reads its rings itself. */
  readonly #direct: boolean;
  #firstRing: SharedArrayBuffer;
  #port: ParcelPort;
  #open = true;
  #suspended = false;

  constructor(connection: Connection, owner: LinkOwner) {
    this.thread = connection.thread;
    this.threadId = connection.threadId;
    this.epoch = connection.epoch;
    this.tokens = connection.tokens.id;
    this.credits = new Credits(connection.credits);
    this.#owner = owner;
    this.#port = connection.parcels;
    this.#direct = connection.direct === true;
    this.#firstRing = connection.out[SYSTEM_LANE] as SharedArrayBuffer;
    const peer = new ThreadBlock(connection.block);
    const { block, bells } = owner;
    const lookAgain = (): void => owner.lookAgain();
    this.#outbound = new Outbound(connection.out, block, peer, connection.bell, lookAgain, bells);
    this.#parcels = new ParcelSender(connection.parcels);
    this.#writer = new PayloadWriter(owner.encoders, this.#parcels, connection.threadId);
    this.inbound = this.#createInbound(connection);
    if (!this.#direct) return;
    this.#outbound.onFlushed = (bytes, position) => notePosition(owner.calls, bytes, position);
  }

  get open(): boolean {
    return this.#open;
  }

  /** True while the other thread is being replaced by one that reads the same rings on. */
  get suspended(): boolean {
    return this.#suspended;
  }

  /** Frames that wait for room in a ring. */
  get spilled(): number {
    return this.#outbound.spilled;
  }

  /** False when too much waits already. @throws {NOT_TRANSFERABLE} */
  cast(
    to: Destination,
    kind: Kind,
    payload: unknown,
    from: number,
    trace: TraceContext | null,
  ): boolean {
    const header = frame.headerBytes(false, trace !== null);
    const lane = this.#direct ? directLane(to.slot, kind.lane) : kind.lane;
    const at = this.#begin(lane, kind.request, payload, undefined, header, false);
    if (at < 0) return false;
    const view = this.#view;
    frame.writePlain(view, at, to.slot, frame.CAST, this.#writer.form, kind.index);
    frame.writeAddressing(view, at, from, to.generation);
    if (trace !== null) frame.writeTrace(view, at, at + frame.headerBytes(false, false), trace);
    this.#end(lane, at + header);
    return true;
  }

  /** False when too much waits already. @throws {NOT_TRANSFERABLE} */
  call(
    to: Destination,
    call: PendingCall,
    payload: unknown,
    from: number,
    transfer: readonly ArrayBuffer[] | undefined,
  ): boolean {
    const { kind, trace, token } = call;
    const header = frame.headerBytes(true, trace !== null);
    const lane = this.#direct ? directLane(to.slot, kind.lane) : kind.lane;
    const at = this.#begin(lane, kind.request, payload, transfer, header, false);
    if (at < 0) return false;
    const view = this.#view;
    frame.writePlain(view, at, to.slot, frame.CALL, this.#writer.form, kind.index);
    frame.writeAddressing(view, at, from, to.generation);
    frame.writeCall(view, at, call.id, token === null ? null : token.lend(), call.deadlineAtMs);
    call.lent = token !== null;
    if (trace !== null) frame.writeTrace(view, at, at + frame.headerBytes(true, false), trace);
    this.#end(lane, at + header);
    if (this.#direct) call.position = this.#outbound.position(lane);
    return true;
  }

  /** @throws {NOT_TRANSFERABLE} when the reply cannot travel; then nothing was sent. */
  reply(id: number, kind: Kind, value: unknown): void {
    this.#answer(frame.REPLY, id, kind, kind.reply, value);
  }

  /** The details of an error may hold anything; when they cannot cross, the rest still does. */
  fail(id: number, kind: Kind, error: EsperError): void {
    const wire = dehydrate(error);
    try {
      this.#answer(frame.FAIL, id, kind, null, wire);
    } catch (refused) {
      if (!EsperError.is(refused, "NOT_TRANSFERABLE")) throw refused;
      const details = { lost: "the details cannot cross threads" };
      this.#answer(frame.FAIL, id, kind, null, { ...wire, details } satisfies WireError);
    }
  }

  /** Nobody waits for call `id` any more. */
  cancel(id: number, kind: Kind): void {
    this.#notice(frame.CANCEL, id, this.#answerLane(kind));
  }

  /** Senders of the other thread wait for room in `slot`, and there is some. */
  room(slot: number): void {
    this.#notice(frame.ROOM, slot, SYSTEM_LANE);
  }

  /** The other thread can let go of an arena of this one. */
  arenaRetired(arena: ArenaMemory): void {
    if (this.#open) this.#parcels.retire(arena);
  }

  /** Wakes the other thread if it sleeps. */
  wake(): void {
    this.#outbound.wake();
  }

  get hasWork(): boolean {
    return this.inbound.hasWork || this.#outbound.canFlush;
  }

  /** Sends what waited for room. */
  flush(): number {
    return this.#outbound.canFlush ? this.#outbound.flush() : 0;
  }

  /** The caller behind this link that sent call `id`. */
  caller(id: number, kind: Kind, deadlineAtMs: number, token: TokenHandle | null): RemoteCaller {
    const held = token === null ? null : CancellationToken.attach(token);
    return new RemoteCaller(this, this.#owner, id, kind, deadlineAtMs, held);
  }

  /**
   * The other thread died, and its replacement reads on from `heads`: what is sent meanwhile waits
   * for it. Calls that the dead thread took and did not answer fail. Idempotent.
   */
  suspend(heads: readonly number[]): void {
    if (this.#suspended) return;
    this.#suspended = true;
    this.inbound.drainLast();
    // Their numbers mean other calls to the replacement.
    for (const { caller } of [...this.inboundCalls.values()]) caller?.drop();
    this.inboundCalls.clear();
    this.#outbound.suspend();
    this.#parcels.suspend();
    this.#port.close();
    const { slab } = this.#owner.encoders;
    slab.reclaimFrom(this.threadId, "keep");
    freeUnread(this.#firstRing, slab);
    this.#failCalls("ACTOR_RESTARTING", (call) => isLost(call, heads));
  }

  /** The replacement is there. */
  resume(connection: Connection): void {
    this.#suspended = false;
    this.epoch = connection.epoch;
    this.tokens = connection.tokens.id;
    this.#port = connection.parcels;
    this.#firstRing = connection.out[SYSTEM_LANE] as SharedArrayBuffer;
    this.inbound = this.#createInbound(connection);
    this.#parcels.resume(connection.parcels, this.#owner.encoders.slab.arenas);
    this.#outbound.resume(this.#firstRing, new ThreadBlock(connection.block), connection.bell);
  }

  /**
   * Reads what still arrived, unless it is this thread that ends, then fails what waits with
   * `code`. Idempotent.
   */
  close(code: "ACTOR_RESTARTING" | "ACTOR_STOPPED", isOwnEnd = false): void {
    if (!this.#open) return;
    // What this thread had not taken is told dead by the system, which counts it as it was.
    if (!isOwnEnd) this.inbound.drainLast();
    this.#open = false;
    this.#suspended = false;
    this.#outbound.close();
    this.#port.close();
    this.#owner.encoders.slab.reclaimFrom(this.threadId, "free");
    this.inboundCalls.clear();
    this.#failCalls(code, () => true);
  }

  #failCalls(
    code: "ACTOR_RESTARTING" | "ACTOR_STOPPED",
    matches: (call: PendingCall) => boolean,
  ): void {
    const next = code === "ACTOR_STOPPED" ? "for good" : "and is being replaced";
    const message = `the thread ${this.thread} ended before it answered, ${next}`;
    const mine = (call: PendingCall): boolean => call.peer === this.threadId && matches(call);
    for (const call of this.#owner.calls.select(mine)) {
      call.fail(new EsperError(code, message, { thread: this.thread }));
    }
  }

  #createInbound({ in: rings, parcels }: Connection): Inbound {
    return new Inbound(rings, parcels, this, this.#owner.receiving, this.#owner.direct);
  }

  /** Answers must not wait behind messages that stay in their ring until they are handled. */
  #answerLane({ lane }: Kind): number {
    return this.#direct ? SYSTEM_LANE : lane;
  }

  /** Set by `#begin`: the memory of the frame in hand. */
  #view: Parameters<typeof frame.writePlain>[0] = {
    i32: new Int32Array(0),
    f64: new Float64Array(0),
    u8: new Uint8Array(0),
  };

  /** Where the frame starts, -1 when it is refused. */
  #begin(
    lane: number,
    codec: FieldCodec | null,
    payload: unknown,
    transfer: readonly ArrayBuffer[] | undefined,
    header: number,
    essential: boolean,
  ): number {
    if (!this.#open) return -1;
    const limit = this.#outbound.frameBytes(lane) - frame.HEADER_BYTES;
    this.#writer.prepare(codec, payload, transfer, limit);
    const view = this.#outbound.begin(lane, header + this.#writer.bytes, essential);
    if (view === null) {
      this.#writer.abandon();
      return -1;
    }
    this.#view = view;
    return this.#outbound.at;
  }

  #end(lane: number, bodyAt: number): void {
    this.#writer.write(this.#view, bodyAt);
    this.#outbound.commit(lane);
  }

  #answer(
    type: frame.FrameType,
    id: number,
    kind: Kind,
    codec: FieldCodec | null,
    value: unknown,
  ): void {
    const lane = this.#answerLane(kind);
    const at = this.#begin(lane, codec, value, undefined, frame.PLAIN_BYTES, true);
    if (at < 0) return;
    frame.writePlain(this.#view, at, id, type, this.#writer.form, kind.index);
    this.#end(lane, at + frame.PLAIN_BYTES);
  }

  #notice(type: frame.FrameType, first: number, lane: number): void {
    if (!this.#open) return;
    const view = this.#outbound.begin(lane, frame.PLAIN_BYTES, true);
    if (view === null) return;
    frame.writePlain(view, this.#outbound.at, first, type, frame.EMPTY, 0);
    this.#outbound.commit(lane);
  }
}

class RemoteCaller implements Caller {
  readonly #link: Link;
  readonly #owner: LinkOwner;
  readonly #id: number;
  readonly #kind: Kind;
  readonly deadlineAtMs: number;
  readonly token: CancellationToken | null;
  settled = false;

  constructor(
    link: Link,
    owner: LinkOwner,
    id: number,
    kind: Kind,
    deadlineAtMs: number,
    token: CancellationToken | null,
  ) {
    this.#link = link;
    this.#owner = owner;
    this.#id = id;
    this.#kind = kind;
    this.deadlineAtMs = deadlineAtMs;
    this.token = token;
  }

  reply(value: unknown): void {
    if (!this.#claim()) return;
    try {
      this.#link.reply(this.#id, this.#kind, value);
    } catch (error) {
      if (!EsperError.is(error, "NOT_TRANSFERABLE")) throw error;
      const text = `the reply to ${this.#kind.name}: ${error.message}`;
      this.#link.fail(this.#id, this.#kind, new EsperError("NOT_TRANSFERABLE", text));
    }
  }

  fail(error: EsperError): void {
    if (this.#claim()) this.#link.fail(this.#id, this.#kind, error);
  }

  drop(): void {
    this.settled = true;
    this.#link.inboundCalls.delete(this.#id);
  }

  /** The caller has withdrawn. */
  cancelled(): void {
    this.settled = true;
    this.token?.noticed();
  }

  /** False when the call was cancelled, or its deadline has passed and no reply may be sent. */
  #claim(): boolean {
    if (this.settled) return false;
    this.drop();
    if (this.#owner.nowMs() <= this.deadlineAtMs) return true;
    this.#owner.onLateReply();
    return false;
  }
}
