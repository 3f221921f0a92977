/**
 * How a payload gets into a frame: its declared fields or msgpackr bytes in the ring itself when
 * small, in the slab when large, as a parcel when neither can hold it. A payload that cannot
 * travel is refused before anything is written.
 */
import type { BodyCodec } from "../wire/body-codec.ts";
import { PARCEL } from "../wire/check-payload.ts";
import type { FieldCodec } from "../wire/field-codec.ts";
import type { RecordView } from "../wire/record-view.ts";
import type { SlabOwner } from "../wire/slab.ts";
import { SIZE_CLASSES, type SlabHandle } from "../wire/slab-arena.ts";
import {
  type BodyForm,
  CLONED_PARCEL,
  EMPTY,
  FIELDS,
  FIELDS_IN_SLAB,
  PACKED,
  PACKED_IN_SLAB,
  PACKED_PARCEL,
} from "./frame.ts";
import type { ParcelSender } from "./parcels.ts";

/** What a thread encodes with, whoever the receiver is. */
export interface Encoders {
  readonly body: BodyCodec;
  readonly slab: SlabOwner;
}

const HANDLE_BYTES = 8;
const LARGEST_SLOT = SIZE_CLASSES.at(-1) ?? 0;

/** One payload on its way into one frame; used again for the next. */
export class PayloadWriter {
  readonly #encoders: Encoders;
  readonly #parcels: ParcelSender;
  readonly #peer: number;
  #codec: FieldCodec | null = null;
  #payload: unknown;
  #handle: SlabHandle | null = null;
  #parcel = 0;
  form: BodyForm = EMPTY;
  /** Bytes the body takes in the frame. */
  bytes = 0;

  constructor(encoders: Encoders, parcels: ParcelSender, peer: number) {
    this.#encoders = encoders;
    this.#parcels = parcels;
    this.#peer = peer;
  }

  /**
   * Chooses the form and encodes what cannot be written in place.
   * @throws {NOT_TRANSFERABLE} with the path of the part that cannot travel.
   */
  prepare(
    codec: FieldCodec | null,
    payload: unknown,
    transfer: readonly ArrayBuffer[] | undefined,
    limit: number,
  ): void {
    this.bytes = 0;
    if (transfer !== undefined && transfer.length > 0) this.#clone(payload, transfer);
    else if (codec !== null) this.#fields(codec, payload, limit);
    else if (payload === undefined) this.form = EMPTY;
    else this.#pack(payload, limit);
  }

  write(view: RecordView, at: number): void {
    switch (this.form) {
      case EMPTY:
        return;
      case FIELDS:
        (this.#codec as FieldCodec).write(this.#payload, view, at, this.#encoders.body);
        this.#payload = undefined;
        return;
      case PACKED:
        this.#encoders.body.copyInto(view.u8, at);
        return;
      case FIELDS_IN_SLAB:
      case PACKED_IN_SLAB:
        view.i32[at >> 2] = (this.#handle as SlabHandle).place;
        view.i32[(at >> 2) + 1] = (this.#handle as SlabHandle).generation;
        this.#handle = null;
        return;
      case PACKED_PARCEL:
      case CLONED_PARCEL:
        view.i32[at >> 2] = this.#parcel;
    }
  }

  /** The frame will not be sent after all. */
  abandon(): void {
    if (this.#handle !== null) this.#encoders.slab.cancel(this.#handle);
    this.#handle = null;
    this.#payload = undefined;
  }

  #fields(codec: FieldCodec, payload: unknown, limit: number): void {
    const bytes = codec.sizeOf(payload, this.#encoders.body);
    this.#codec = codec;
    this.#payload = payload;
    this.bytes = bytes;
    this.form = FIELDS;
    if (bytes <= limit) return;
    if (!this.#lend(bytes)) {
      this.#clone(payload, []);
      return;
    }
    const place = this.#encoders.slab.place(this.#handle as SlabHandle);
    codec.write(payload, place, place.offset, this.#encoders.body);
    this.form = FIELDS_IN_SLAB;
  }

  #pack(payload: unknown, limit: number): void {
    const { body, slab } = this.#encoders;
    const marks = body.check(payload);
    if ((marks & PARCEL) !== 0) {
      this.#clone(payload, []);
      return;
    }
    const packed = body.encode(payload, marks);
    const bytes = packed.end - packed.start;
    this.bytes = bytes;
    this.form = PACKED;
    if (bytes <= limit) return;
    const view = packed.buffer.subarray(packed.start, packed.end);
    if (this.#lend(bytes)) {
      slab.view(this.#handle as SlabHandle).set(view);
      this.form = PACKED_IN_SLAB;
      return;
    }
    const copy = view.slice();
    this.#parcel = this.#parcels.send(copy, [copy.buffer]);
    this.#isParcel(PACKED_PARCEL);
  }

  #clone(payload: unknown, transfer: readonly ArrayBuffer[]): void {
    this.#parcel = this.#parcels.send(payload, transfer);
    this.#isParcel(CLONED_PARCEL);
  }

  #isParcel(form: BodyForm): void {
    this.form = form;
    this.bytes = HANDLE_BYTES;
  }

  /** False when the body is larger than any slot, or all the memory allowed is lent. */
  #lend(bytes: number): boolean {
    const { slab } = this.#encoders;
    if (bytes > LARGEST_SLOT) return false;
    this.#handle = slab.put(bytes, this.#peer);
    if (this.#handle === null) return false;
    this.#parcels.announce(slab.arenas);
    this.bytes = HANDLE_BYTES;
    return true;
  }
}
