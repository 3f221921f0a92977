/**
 * The sending half of a link: one ring a lane, and behind each ring a bounded queue for what finds
 * it full. Order within a lane is kept, nothing that was taken is lost while both threads live,
 * and the other thread is woken only when it sleeps.
 */
import { Fifo } from "../fifo.ts";
import type { RecordView } from "../wire/record-view.ts";
import { RingProducer } from "../wire/ring.ts";
import type { ThreadBlock } from "../wire/thread-block.ts";
import { wakeIfIdle } from "../wire/wake.ts";
import { HEADER_BYTES } from "./frame.ts";
import { HeldBells } from "./held-bells.ts";

/** Bodies up to this size travel in the ring itself. */
export const INLINE_BYTES = 16_384;
/** Frames that may wait behind a full ring; replies are exempt, for there the calls are bounded. */
const MAX_SPILLED = 4_096;

/** Told of a frame that had waited behind a full ring, and of the place where it ends there. */
export type FlushListener = (frame: Uint8Array, position: number) => void;

interface OutLane {
  readonly producer: RingProducer;
  readonly spill: Fifo<Uint8Array>;
  /** The most bytes of one frame. */
  readonly frameBytes: number;
}

/** Wakes the thread at the other end. */
export interface Bell {
  ring(): void;
  close(): void;
}

export class Outbound {
  readonly #lanes: OutLane[];
  readonly #own: ThreadBlock;
  #peer: ThreadBlock;
  /** Null while the other thread is being replaced. */
  #bell: Bell | null;
  readonly #lookAgain: () => void;
  readonly #held: HeldBells;
  onFlushed: FlushListener | null = null;
  readonly #scratch: RecordView;
  #spilled = -1;
  #spilling = 0;
  #closed = false;
  /** Where the frame that `begin` made room for starts. */
  at = 0;

  constructor(
    rings: readonly SharedArrayBuffer[],
    own: ThreadBlock,
    peer: ThreadBlock,
    bell: Bell,
    lookAgain: () => void,
    held = new HeldBells(),
  ) {
    this.#lanes = rings.map(outLane);
    this.#own = own;
    this.#peer = peer;
    this.#bell = bell;
    this.#lookAgain = lookAgain;
    this.#held = held;
    const buffer = new ArrayBuffer(INLINE_BYTES + HEADER_BYTES);
    this.#scratch = {
      i32: new Int32Array(buffer),
      f64: new Float64Array(buffer),
      u8: new Uint8Array(buffer),
    };
  }

  /** The most bytes a frame of this lane may have, header included. */
  frameBytes(lane: number): number {
    return (this.#lanes[lane] as OutLane).frameBytes;
  }

  /** Memory for one frame at `at`; null when even the queue behind the ring is full. */
  begin(lane: number, bytes: number, essential: boolean): RecordView | null {
    const { producer, spill } = this.#lanes[lane] as OutLane;
    if (spill.size === 0) {
      const at = producer.reserve(bytes);
      if (at >= 0) {
        this.at = at;
        this.#spilled = -1;
        return producer;
      }
      this.#own.ringFull();
    }
    if (!essential && spill.size >= MAX_SPILLED) return null;
    this.at = 0;
    this.#spilled = bytes;
    return this.#scratch;
  }

  /** The frame is complete: it is on its way. */
  commit(lane: number): void {
    const { producer, spill } = this.#lanes[lane] as OutLane;
    if (this.#spilled >= 0) {
      if (this.#closed) return;
      spill.push(this.#scratch.u8.slice(0, this.#spilled));
      this.#spilling += 1;
      producer.requestRoom();
      // Outside its loop a thread may sleep already, and room that came before the request was
      // made is told to nobody: the loop must look once more before it sleeps again.
      this.#lookAgain();
      return;
    }
    producer.publish();
    if (lane < 2) this.#peer.bumpUrgent();
    this.wake();
  }

  wake(): void {
    if (this.#bell === null || this.#held.takes(this)) return;
    if (wakeIfIdle(this.#peer)) this.#bell.ring();
  }

  /** Where the frame of the last `commit` ends in its ring; null when it waits behind it. */
  position(lane: number): number | null {
    return this.#spilled >= 0 ? null : (this.#lanes[lane] as OutLane).producer.position;
  }

  /** The other thread is over; what is in its rings, and behind them, is for its replacement. */
  suspend(): void {
    this.#bell?.close();
    this.#bell = null;
  }

  /** The replacement is there: it reads the same rings on, but for the first, which is new. */
  resume(first: SharedArrayBuffer, peer: ThreadBlock, bell: Bell): void {
    this.#spilling -= this.#lanes[0]?.spill.size ?? 0;
    this.#lanes[0] = outLane(first);
    this.#peer = peer;
    this.#bell = bell;
    // Whoever published for it before knew only the block of the thread that is over.
    peer.bumpUrgent();
    bell.ring();
  }

  /** True when a full ring has room again. */
  get canFlush(): boolean {
    if (this.#spilling === 0) return false;
    return this.#lanes.some(({ spill, producer }) => spill.size > 0 && producer.roomGranted());
  }

  /** Sends what waited for room; returns how many frames. */
  flush(): number {
    if (this.#spilling === 0) return 0;
    const before = this.#spilling;
    for (let lane = 0; lane < this.#lanes.length; lane++) this.#flushLane(lane);
    if (this.#spilling < before) this.wake();
    return before - this.#spilling;
  }

  /** Frames that wait for room in a ring. */
  get spilled(): number {
    return this.#spilling;
  }

  close(): void {
    this.#closed = true;
    for (const { spill } of this.#lanes) spill.clear();
    this.#spilling = 0;
    this.#bell?.close();
    this.#bell = null;
  }

  #flushLane(lane: number): void {
    const { producer, spill } = this.#lanes[lane] as OutLane;
    for (;;) {
      const frame = spill.at(0);
      if (frame === undefined) return;
      const at = producer.reserve(frame.length);
      if (at < 0) {
        producer.requestRoom();
        return;
      }
      producer.u8.set(frame, at);
      producer.publish();
      if (lane < 2) this.#peer.bumpUrgent();
      spill.shift();
      this.#spilling -= 1;
      this.onFlushed?.(frame, producer.position);
    }
  }
}

function outLane(memory: SharedArrayBuffer): OutLane {
  const producer = new RingProducer(memory);
  const frameBytes = Math.min(producer.largestRecordBytes, INLINE_BYTES + HEADER_BYTES);
  return { producer, spill: new Fifo<Uint8Array>(), frameBytes };
}
