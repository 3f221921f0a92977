/**
 * The receiving half of a link: reads frames lane by lane, gives what is for an actor to its cell
 * and what is an answer to the call that waits for it. Everything of the urgent lanes is read
 * before anything of the others, and bulk has a share of every round.
 */
import { EsperError, rehydrate, type WireError } from "../../protocols/errors.ts";
import { RingConsumer } from "../wire/ring.ts";
import * as frame from "./frame.ts";
import type { Link } from "./link.ts";
import { type ParcelPort, ParcelReceiver } from "./parcels.ts";
import type { Receiving } from "./receiving.ts";

/** Frames of one round, by lane. */
const ROUND = [4_096, 4_096, 256, 64] as const;
/** Towards an actor that reads its rings itself only this lane is read here. */
const DIRECT_LANES = 1;
/** Space is given back at the latest after so many frames. */
const RELEASE_EVERY = 32;

export class Inbound {
  readonly rings: readonly RingConsumer[];
  readonly parcels: ParcelReceiver;
  readonly #link: Link;
  readonly #receiving: Receiving;
  /** Lanes that are read here. */
  #lanes: number;

  constructor(
    rings: readonly SharedArrayBuffer[],
    parcels: ParcelPort,
    link: Link,
    receiving: Receiving,
    direct: boolean,
  ) {
    this.rings = rings.map((memory) => new RingConsumer(memory));
    this.#lanes = direct ? DIRECT_LANES : this.rings.length;
    this.parcels = new ParcelReceiver(parcels, receiving.slab);
    this.#link = link;
    this.#receiving = receiving;
  }

  get hasWork(): boolean {
    // The busy lanes first: a loop that looks on asks this many times.
    for (let lane = this.#lanes - 1; lane >= 0; lane--) {
      if (!(this.rings[lane] as RingConsumer).isEmpty()) return true;
    }
    return false;
  }

  /** Reads what was posted beside the rings. */
  pullParcels(): void {
    this.parcels.pull();
  }

  /** One round over all lanes; returns how many frames. */
  poll(): number {
    let count = 0;
    for (let lane = 0; lane < this.#lanes; lane++) count += this.#drain(lane);
    return count;
  }

  pollUrgent(): void {
    for (let lane = 0; lane < Math.min(2, this.#lanes); lane++) this.#drain(lane);
  }

  /** The other thread is over: what it still sent is read, and nothing after. */
  drainLast(): void {
    this.#receiving.ofThreadOver(() => {
      for (let lane = 0; lane < this.#lanes; lane++) {
        while (this.#drain(lane) > 0);
      }
    });
    this.#lanes = 0;
  }

  #drain(lane: number): number {
    const ring = this.rings[lane] as RingConsumer;
    if (ring.isEmpty()) return 0;
    const most = ROUND[lane] as number;
    let count = 0;
    try {
      for (; count < most; count++) {
        const at = ring.next();
        if (at < 0) break;
        this.#frame(ring, at, lane);
        ring.advance();
        if (count % RELEASE_EVERY === RELEASE_EVERY - 1) ring.release();
      }
    } catch (error) {
      // The ring itself is broken: the whole link is given up, and its owner told.
      if (!EsperError.is(error, "FRAME_MALFORMED")) throw error;
      this.#receiving.onBroken(this.#link, error);
      return count;
    }
    if (ring.grantRoom()) this.#link.wake();
    return count;
  }

  #frame(ring: RingConsumer, at: number, lane: number): void {
    if (ring.length < frame.PLAIN_BYTES) {
      this.#receiving.onMalformed(this.#link, lane, "a frame is shorter than its header");
      return;
    }
    const first = ring.i32[at >> 2] as number;
    const flags = ring.i32[(at >> 2) + 1] as number;
    switch (frame.typeOf(flags)) {
      case frame.CAST:
      case frame.CALL:
        this.#receiving.message(this.#link, this.parcels, ring, at, lane);
        return;
      case frame.REPLY:
      case frame.FAIL:
        this.#answer(ring, at, flags);
        return;
      case frame.CANCEL:
        this.#receiving.cancel(this.#link, first);
        return;
      case frame.ROOM:
        this.#receiving.room(this.#link, first);
        return;
      default:
        this.#receiving.onMalformed(this.#link, lane, `a frame has type ${frame.typeOf(flags)}`);
    }
  }

  #answer(ring: RingConsumer, at: number, flags: number): void {
    const call = this.#receiving.calls.get(ring.i32[at >> 2] as number);
    const isFailure = frame.typeOf(flags) === frame.FAIL;
    const codec = isFailure ? null : (call?.kind.reply ?? null);
    const bodyAt = at + frame.PLAIN_BYTES;
    const bytes = ring.length - frame.PLAIN_BYTES;
    try {
      const { reader } = this.#receiving;
      const body = reader.read(frame.formOf(flags), codec, ring, bodyAt, bytes, this.parcels);
      // What is lent for the time of a handling has no end here: nobody says when it is over.
      reader.endLease();
      if (call === null) this.#receiving.onLateReply();
      else if (isFailure) call.fail(rehydrate(body as WireError));
      else call.reply(body);
    } catch (error) {
      if (!(error instanceof EsperError)) throw error;
      call?.fail(error);
    }
  }
}
