/**
 * A sliding view of one file, for reading from its start to its end: two pieces and one frame are
 * in memory, however large the file is. The next piece is read while this one is judged.
 */
import type { Block } from "./crc32c.ts";
import type { Files, OpenFile } from "./files.ts";
import { FRAME_HEADER_BYTES, MAX_RECORD_BYTES } from "./frame.ts";

/** Bytes asked of the disk at once. */
const PIECE_BYTES = 524_288;
const CAPACITY = 2 * PIECE_BYTES + MAX_RECORD_BYTES + FRAME_HEADER_BYTES;

/** The memory of a window; one after the other may use it, so that many files cost no more. */
export class WindowMemory {
  bytes: Uint8Array = new Uint8Array(0);

  /** At least so many bytes; what was in the earlier ones is kept if they were too few. */
  reserve(capacity: number): Uint8Array {
    if (this.bytes.byteLength < capacity) {
      const larger = new Uint8Array(capacity);
      larger.set(this.bytes);
      this.bytes = larger;
    }
    return this.bytes;
  }
}

export class FileWindow implements Block {
  readonly path: string;
  readonly #file: OpenFile;
  bytes: Uint8Array;
  view: DataView;
  /** The offset in the file of the first byte in the window, and how many bytes it holds. */
  base = 0;
  filled = 0;
  /** Bytes of the file that count. Smaller when the file turns out to be shorter. */
  size: number;
  /** The piece that is being read, to the place behind those that the window holds. */
  #ahead: Promise<number> | null = null;

  private constructor(file: OpenFile, size: number, memory: WindowMemory) {
    this.path = file.path;
    this.#file = file;
    this.size = size;
    this.bytes = memory.reserve(Math.min(size, CAPACITY));
    const { buffer, byteOffset, byteLength } = this.bytes;
    this.view = new DataView(buffer, byteOffset, byteLength);
  }

  /** Opens the file; what lies behind `limit` does not count. @throws {STORAGE_FAILED} */
  static async open(
    files: Files,
    path: string,
    options: { readonly limit?: number; readonly memory?: WindowMemory } = {},
  ): Promise<FileWindow> {
    const file = await files.open(path, "read");
    try {
      const size = Math.min(await file.size(), options.limit ?? Number.POSITIVE_INFINITY);
      return new FileWindow(file, size, options.memory ?? new WindowMemory());
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Up to where the window holds bytes. */
  get reach(): number {
    return this.base + this.filled;
  }

  /**
   * Brings the bytes from `offset` into the window: `length` of them, or all that the file has.
   * What lies before `offset` may be gone afterwards; `length` is at most one frame.
   */
  async ensure(offset: number, length: number): Promise<void> {
    const until = Math.min(this.size, offset + length);
    if (offset < this.base || offset > this.reach) await this.#restart(offset);
    while (this.reach < until) {
      const count = await (this.#ahead ?? this.#read(offset));
      this.#ahead = null;
      if (count === 0) {
        this.size = this.reach;
        return;
      }
      this.filled += count;
      if (this.reach >= this.size) return;
      this.#ahead = this.#read(offset);
      // Its failure is told when the piece is needed, if it ever is.
      this.#ahead.catch(() => undefined);
    }
  }

  /** Closes the file; a piece that was read ahead is dropped. */
  async close(): Promise<void> {
    // The memory may be another window's next: nothing may be written to it any more.
    await this.#ahead?.catch(() => undefined);
    this.#ahead = null;
    await this.#file.close();
  }

  async #restart(offset: number): Promise<void> {
    await this.#ahead;
    this.#ahead = null;
    this.base = offset;
    this.filled = 0;
  }

  /** Reads the next piece; what lies before `needed` makes room when there is none. */
  #read(needed: number): Promise<number> {
    const length = Math.min(PIECE_BYTES, this.size - this.reach);
    if (this.filled + length > this.bytes.byteLength) {
      const dropped = needed - this.base;
      this.bytes.copyWithin(0, dropped, this.filled);
      this.base = needed;
      this.filled -= dropped;
    }
    return this.#file.readInto(this.bytes.subarray(this.filled, this.filled + length), this.reach);
  }
}
