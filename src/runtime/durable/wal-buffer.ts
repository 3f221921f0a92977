/** Frames on their way to a file, one behind the other in memory that grows and is used again. */
import { type Block, blockOf } from "./crc32c.ts";
import { type FrameKind, frameBytes, type Stamp, stampFrame, writeFrame } from "./frame.ts";

const FIRST_BYTES = 65_536;

/** A frame before it has its place in the log. */
export interface LooseFrame {
  readonly kind: FrameKind;
  readonly timeMs: number;
  readonly payload: Uint8Array;
}

export class FrameBuffer {
  #block: Block = blockOf(new Uint8Array(FIRST_BYTES));
  /** Bytes in use. */
  used = 0;

  /** Copies the frame behind the others and returns where it begins; `stamp` must follow. */
  put(frame: LooseFrame): number {
    const offset = this.used;
    const needed = offset + frameBytes(frame.payload.byteLength);
    if (needed > this.#block.bytes.byteLength) this.#grow(needed);
    this.used = writeFrame(this.#block, offset, frame);
    return offset;
  }

  /** Gives the frame at `offset` its place. */
  stamp(offset: number, stamp: Stamp): void {
    stampFrame(this.#block, offset, stamp);
  }

  /** What is in use, not a copy: good until the next `put`. */
  get bytes(): Uint8Array {
    return this.#block.bytes.subarray(0, this.used);
  }

  clear(): void {
    this.used = 0;
  }

  #grow(needed: number): void {
    let capacity = this.#block.bytes.byteLength;
    while (capacity < needed) capacity *= 2;
    const larger = new Uint8Array(capacity);
    larger.set(this.bytes);
    this.#block = blockOf(larger);
  }
}
