/**
 * What arrives from other threads, as messages to the cells of this one. Untrusted: a frame for
 * nobody, of an unknown kind or with a body that makes no sense is answered with a coded error
 * when somebody waits, and is a counted dead letter when not.
 */
import { EsperError } from "../../protocols/errors.ts";
import type { TokenHandle } from "../token-table.ts";
import type { BodyCodec } from "../wire/body-codec.ts";
import type { FieldCodec } from "../wire/field-codec.ts";
import type { Kind } from "../wire/protocol-table.ts";
import type { RecordView } from "../wire/record-view.ts";
import type { RingConsumer } from "../wire/ring.ts";
import type { SlabBorrower } from "../wire/slab.ts";
import type { SlabHandle } from "../wire/slab-arena.ts";
import type { CallTable } from "./call-table.ts";
import type { Cell } from "./cell.ts";
import * as frame from "./frame.ts";
import type { Link } from "./link.ts";
import { type Caller, type Lease, Message } from "./message.ts";
import type { ParcelReceiver } from "./parcels.ts";
import type { DeadLetterReason } from "./types.ts";

/** The other end, as far as what arrives from it concerns. */
export interface Sender {
  readonly thread: string;
  /** Calls received and not yet answered, by their number. */
  readonly inboundCalls: Map<number, Message>;
  /** Null when nobody waits for the answer. */
  caller(id: number, kind: Kind, deadlineAtMs: number, token: TokenHandle | null): Caller | null;
  fail(id: number, kind: Kind, error: EsperError): void;
}

/** What receiving needs of the host. */
export interface ReceivingParts {
  readonly calls: CallTable;
  readonly body: BodyCodec;
  readonly slab: SlabBorrower;
  cellAt(slot: number): Cell | undefined;
  bury(slot: number, kind: Kind | null, lane: number, from: number, reason: DeadLetterReason): void;
  onLateReply(): void;
  onRoom(threadId: number, slot: number): void;
  onMalformed(thread: string, lane: number, what: string): void;
  onBroken(link: Link, error: EsperError): void;
}

export class Receiving {
  readonly #parts: ReceivingParts;
  readonly reader: PayloadReader;
  #isOver = false;
  #reads = false;
  #read: Message | null = null;

  constructor(parts: ReceivingParts) {
    this.#parts = parts;
    this.reader = new PayloadReader(parts);
  }

  get calls(): CallTable {
    return this.#parts.calls;
  }

  get slab(): SlabBorrower {
    return this.#parts.slab;
  }

  /** Runs `work`, in which nobody waits for the calls that are read. */
  ofThreadOver(work: () => void): void {
    this.#isOver = true;
    work();
    this.#isOver = false;
  }

  /**
   * The message in a record that stays where it is until its lease ends; null when there is none,
   * of which the sender has then been told.
   */
  read(
    sender: Sender,
    parcels: ParcelReceiver,
    ring: RingConsumer,
    at: number,
    lane: number,
  ): Message | null {
    this.#reads = true;
    this.reader.keeps = true;
    this.message(sender, parcels, ring, at, lane);
    this.#reads = false;
    this.reader.keeps = false;
    const message = this.#read;
    this.#read = null;
    if (message === null) this.reader.endLease();
    return message;
  }

  /** Ends a message that ended its thread each time it was begun. */
  quarantine(sender: Sender, ring: RingConsumer, at: number, lane: number, isOver: boolean): void {
    const word = at >> 2;
    const slot = ring.i32[word] as number;
    const flags = ring.i32[word + 1] as number;
    const cell = this.#parts.cellAt(slot);
    const kind = cell?.protocol.list[frame.kindOf(flags)] ?? null;
    this.#parts.bury(slot, kind, lane, ring.i32[word + 2] as number, "quarantined");
    if (isOver || frame.typeOf(flags) !== frame.CALL) return;
    const what = `${cell?.name}.${kind?.name}`;
    const text = `${what} ended its thread each time it was begun, and is not begun again`;
    const error = new EsperError("HANDLER_FAILED", text, { what });
    sender.fail(ring.i32[word + 4] as number, kind ?? NO_KIND, error);
  }

  message(
    link: Sender,
    parcels: ParcelReceiver,
    ring: RingConsumer,
    at: number,
    lane: number,
  ): void {
    const word = at >> 2;
    const slot = ring.i32[word] as number;
    const flags = ring.i32[word + 1] as number;
    const from = ring.i32[word + 2] as number;
    const isCall = frame.typeOf(flags) === frame.CALL;
    const header = frame.headerBytes(isCall, frame.isTraced(flags));
    const cell = this.#parts.cellAt(slot);
    const kind = cell?.protocol.list[frame.kindOf(flags)];
    if (ring.length < header || kind === undefined || kind.isCall !== isCall) {
      if (ring.length >= header) this.#unknown(link, ring, at, cell, isCall, lane);
      else this.onMalformed(link, lane, "a frame is shorter than its header");
      return;
    }
    if (this.#isOver && isCall) {
      giveBack(cell as Cell, kind.lane, false);
      return;
    }
    const { generation } = cell as Cell;
    const caller = isCall ? this.#caller(link, kind, ring, word) : null;
    if (generation !== (ring.i32[word + 3] as number)) {
      giveBack(cell as Cell, kind.lane, !isCall);
      this.#gone(slot, kind, from, caller, cell?.name ?? "the actor");
      return;
    }
    this.#deliver(cell as Cell, kind, caller, { link, parcels, ring, at, header, flags, from });
  }

  cancel(link: Sender, id: number): void {
    const message = link.inboundCalls.get(id);
    link.inboundCalls.delete(id);
    if (message === undefined) return;
    (message.caller as Caller & { cancelled?(): void }).cancelled?.();
    message.receiver?.cancel(message);
  }

  room(link: Link, slot: number): void {
    this.#parts.onRoom(link.threadId, slot);
  }

  onLateReply(): void {
    this.#parts.onLateReply();
  }

  onMalformed(link: Sender, lane: number, what: string): void {
    this.#parts.onMalformed(link.thread, lane, what);
  }

  onBroken(link: Link, error: EsperError): void {
    this.#parts.onBroken(link, error);
  }

  #caller(link: Sender, kind: Kind, ring: RingConsumer, word: number): Caller | null {
    const table = ring.i32[word + 5] as number;
    const slot = ring.i32[word + 6] as number;
    const generation = ring.i32[word + 7] as number;
    const token = table < 0 ? null : { table, slot, generation };
    const deadlineAtMs = ring.f64[(word >> 1) + 4] as number;
    return link.caller(ring.i32[word + 4] as number, kind, deadlineAtMs, token);
  }

  #deliver(cell: Cell, kind: Kind, caller: Caller | null, from: Frame): void {
    const { link, parcels, ring, at, header, flags } = from;
    try {
      const codec = kind.request;
      const bytes = ring.length - header;
      const form = frame.formOf(flags);
      const payload = this.reader.read(form, codec, ring, at + header, bytes, parcels);
      const traceAt = at + header - TRACE_BYTES;
      const trace = frame.isTraced(flags) ? frame.readTrace(ring, traceAt) : null;
      const message = new Message(kind, payload, from.from, caller, trace);
      message.lease = this.reader.takeLease();
      if (caller !== null) {
        message.receiver = cell;
        link.inboundCalls.set(ring.i32[(at >> 2) + 4] as number, message);
      }
      if (this.#reads) this.#read = message;
      else cell.accept(message);
    } catch (error) {
      if (!(error instanceof EsperError)) throw error;
      giveBack(cell, kind.lane, caller === null);
      this.onMalformed(link, kind.lane, error.message);
      if (caller !== null) caller.fail(error);
      else this.#parts.bury(cell.slot, kind, kind.lane, from.from, "malformed");
    }
  }

  /** No such actor, or no such message in its protocol. */
  #unknown(
    link: Sender,
    ring: RingConsumer,
    at: number,
    cell: Cell | undefined,
    isCall: boolean,
    lane: number,
  ): void {
    const word = at >> 2;
    const slot = ring.i32[word] as number;
    const from = ring.i32[word + 2] as number;
    const reason = cell === undefined ? "stopped" : "actor-unknown";
    if (!isCall) {
      if (cell !== undefined) giveBack(cell, lane, true);
      this.#parts.bury(slot, null, lane, from, reason);
      return;
    }
    const code = cell === undefined ? "ACTOR_STOPPED" : "MESSAGE_UNKNOWN";
    const text =
      cell === undefined
        ? "the actor has stopped"
        : `${cell.name} does not understand message ${frame.kindOf(ring.i32[word + 1] as number)}`;
    if (cell !== undefined) giveBack(cell, lane, false);
    const answer = { ...NO_KIND, lane: lane as Kind["lane"] };
    link.fail(ring.i32[word + 4] as number, answer, new EsperError(code, text));
  }

  /** The slot has another actor by now. */
  #gone(slot: number, kind: Kind, from: number, caller: Caller | null, name: string): void {
    if (caller === null) this.#parts.bury(slot, kind, kind.lane, from, "stopped");
    else caller.fail(new EsperError("ACTOR_STOPPED", `${name} has stopped`));
  }
}

/** A place was taken for a message that then did not come. */
function giveBack({ exported, services, slot }: Cell, lane: number, isCast: boolean): void {
  if (!exported) return;
  services.credits.release(slot, lane);
  if (isCast) services.credits.closeCast(slot);
}

interface Frame {
  readonly link: Sender;
  readonly parcels: ParcelReceiver;
  readonly ring: RingConsumer;
  readonly at: number;
  readonly header: number;
  readonly flags: number;
  readonly from: number;
}

const TRACE_BYTES = frame.headerBytes(false, true) - frame.headerBytes(false, false);

const NO_KIND: Kind = {
  index: 0,
  name: "*",
  isCall: true,
  lane: 2,
  request: null,
  reply: null,
  protocol: "*",
};

/** Takes payloads out of frames; the inverse of `PayloadWriter`. */
export class PayloadReader {
  readonly #body: BodyCodec;
  readonly #slab: SlabBorrower;
  #lease: Lease | null = null;
  /** The record that is read stays in its ring: slots are then not taken, and freed with it. */
  keeps = false;

  constructor({ body, slab }: Pick<ReceivingParts, "body" | "slab">) {
    this.#body = body;
    this.#slab = slab;
  }

  /** @throws {FRAME_MALFORMED} @throws {FRAME_TOO_LARGE} */
  read(
    form: number,
    codec: FieldCodec | null,
    view: RecordView,
    at: number,
    bytes: number,
    parcels: ParcelReceiver,
  ): unknown {
    switch (form) {
      case frame.EMPTY:
        return undefined;
      case frame.FIELDS:
        if (codec === null) throw malformed("fields for a message that declares none");
        return codec.read(view, at, bytes, this.#body);
      case frame.PACKED:
        return this.#body.decode(view.u8, at, bytes);
      case frame.PACKED_PARCEL:
      case frame.CLONED_PARCEL:
        return this.#parcel(form, view, at, bytes, parcels);
      case frame.FIELDS_IN_SLAB:
      case frame.PACKED_IN_SLAB:
        return this.#fromSlab(form, codec, view, at, bytes);
      default:
        throw malformed(`a body of form ${form}`);
    }
  }

  /** The memory the last payload read lies in, for its reader to give back. */
  takeLease(): Lease | null {
    const lease = this.#lease;
    this.#lease = null;
    return lease;
  }

  endLease(): void {
    this.takeLease()?.end();
  }

  /** Gives back what the body of an unread message takes beside its record. */
  discard(ring: RingConsumer, at: number): void {
    const flags = ring.i32[(at >> 2) + 1] as number;
    const form = frame.formOf(flags);
    if (form !== frame.FIELDS_IN_SLAB && form !== frame.PACKED_IN_SLAB) return;
    const isCall = frame.typeOf(flags) === frame.CALL;
    const header = frame.headerBytes(isCall, frame.isTraced(flags));
    if (ring.length < header + 8) return;
    const word = (at + header) >> 2;
    const place = ring.i32[word] as number;
    this.#slab.free({ place, generation: ring.i32[word + 1] as number });
  }

  #parcel(form: number, view: RecordView, at: number, bytes: number, parcels: ParcelReceiver) {
    if (bytes < 4) throw malformed("a parcel without its number");
    const value = parcels.take(view.i32[at >> 2] as number);
    if (form === frame.CLONED_PARCEL) return value;
    if (!(value instanceof Uint8Array)) throw malformed("a packed parcel that holds no bytes");
    return this.#body.decode(value, 0, value.length);
  }

  #fromSlab(
    form: number,
    codec: FieldCodec | null,
    view: RecordView,
    at: number,
    bytes: number,
  ): unknown {
    if (bytes < 8) throw malformed("a slab body without its handle");
    const place = view.i32[at >> 2] as number;
    const generation = view.i32[(at >> 2) + 1] as number;
    const handle: SlabHandle = { place, generation };
    const slot = this.#slab.place(handle);
    if (this.keeps) this.#lease = { end: () => this.#slab.free(handle) };
    else this.#slab.take(handle);
    if (form === frame.FIELDS_IN_SLAB) {
      if (codec === null) throw malformed("fields for a message that declares none");
      const payload = codec.read(slot, slot.offset, slot.bytes, this.#body);
      // Views on the slot stay valid until the handler has settled.
      this.#lease = { end: () => this.#slab.free(handle) };
      return payload;
    }
    const payload = this.#body.decode(slot.u8, slot.offset, slot.bytes);
    if (!this.keeps) this.#slab.free(handle);
    return payload;
  }
}

function malformed(what: string): EsperError {
  return new EsperError("FRAME_MALFORMED", `the frame has ${what}`);
}
