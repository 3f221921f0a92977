/**
 * Judges the bytes of one log segment: which records are good, and if something is wrong, whether
 * it is a write that a crash cut short or damage to a record that was acknowledged. Reads through a
 * window, so in constant memory, and changes nothing.
 *
 * A crash leaves unwritten 512-byte sectors as zeros or beyond the end of the file, and only in the
 * last batch of the last segment. Everything else is damage: a broken record at or below a
 * `committed` mark found anywhere behind it, or a broken record without a missing sector.
 */
import {
  FRAME_HEADER_BYTES,
  FRAME_MAGIC,
  FrameReader,
  type FrameState,
  LEAST_HEADER_BYTES,
  type LogId,
  logIdText,
} from "./frame.ts";
import type { FileWindow } from "./wal-window.ts";

const SECTOR_BYTES = 512;
const MAGIC_BYTE = FRAME_MAGIC & 0xff;

export interface SegmentExpectation {
  /** Null: the first whole frame decides. */
  readonly logId: LogId | null;
  readonly firstSequence: number;
  /** False for all but the last segment: they were complete before the next one began. */
  readonly mayBeTorn: boolean;
}

/** What is wrong at an offset, and what a person needs to know of it. */
export interface SegmentFlaw {
  readonly kind: "torn" | "damaged" | "foreign" | "version";
  readonly offset: number;
  readonly why: string;
  readonly expected: string;
  readonly found: string;
}

/** Sees a good record; the payload is the window's bytes from `payloadFrom` up to `end`. */
export type FrameVisitor = (frame: FrameReader, window: FileWindow) => void;

export class SegmentScan {
  readonly window: FileWindow;
  readonly #mayBeTorn: boolean;
  readonly #frame = new FrameReader();
  logId: LogId | null;
  records = 0;
  nextSequence: number;
  /** Up to the end of the last good frame. */
  goodBytes = 0;
  /** Up to here later frames say that the bytes are on disk. */
  provenBytes = 0;
  oldestTimeMs = 0;
  newestTimeMs = 0;
  /** True when a compacted segment has come to its end. */
  ended = false;
  /** Bit v is set when a frame of format version v was seen. */
  versions = 0;
  flaw: SegmentFlaw | null = null;

  constructor(window: FileWindow, expected: SegmentExpectation) {
    this.window = window;
    this.#mayBeTorn = expected.mayBeTorn;
    this.logId = expected.logId;
    this.nextSequence = expected.firstSequence;
  }

  /** Judges up to the end of what one read brings; false when the segment is at its end. */
  async step(visit?: FrameVisitor): Promise<boolean> {
    const { window } = this;
    const frame = this.#frame;
    let wanted = 1;
    for (;;) {
      await window.ensure(this.goodBytes, wanted);
      const from = this.goodBytes;
      const state = this.#run(visit);
      if (state === null) return this.goodBytes < window.size;
      const isCut = state === "partial" && window.reach < window.size;
      if (!isCut) {
        this.flaw = await this.#judge(state);
        return false;
      }
      if (this.goodBytes > from) return true;
      wanted = frame.needed;
    }
  }

  /** Judges all of the segment. */
  async all(visit?: FrameVisitor): Promise<void> {
    let more = true;
    while (more) more = await this.step(visit);
  }

  /** Takes the good frames in the window; says what stands behind them, null for nothing. */
  #run(visit: FrameVisitor | undefined): FrameState | null {
    const { window } = this;
    const frame = this.#frame;
    const { base, filled } = window;
    let at = this.goodBytes - base;
    while (at < filled) {
      const state = frame.read(window, at, filled);
      if (state !== "whole") return state;
      if (this.logId === null) this.logId = frame.logId;
      if (!this.#belongs()) return state;
      this.#take(base + at, base + frame.end);
      if (frame.kind === "data") visit?.(frame, window);
      at = frame.end;
    }
    return null;
  }

  #isForeign(): boolean {
    const { logId } = this;
    const frame = this.#frame;
    return logId !== null && (frame.logLow !== logId.low || frame.logHigh !== logId.high);
  }

  #expectedSequence(): number {
    const frame = this.#frame;
    if (frame.kind === "data") return this.nextSequence + frame.skipped;
    return this.nextSequence - 1 + frame.skipped;
  }

  #belongs(): boolean {
    if (this.ended || this.#isForeign()) return false;
    return this.#frame.sequence === this.#expectedSequence();
  }

  #take(from: number, end: number): void {
    const frame = this.#frame;
    this.versions |= 1 << frame.version;
    // The mark says that the records before this frame are on disk; of itself it proves nothing.
    if (frame.committed >= this.nextSequence - 1) this.provenBytes = from;
    this.goodBytes = end;
    this.nextSequence = frame.sequence + 1;
    if (frame.kind === "data") {
      this.records++;
      const { timeMs } = frame;
      if (this.oldestTimeMs === 0 || timeMs < this.oldestTimeMs) this.oldestTimeMs = timeMs;
      if (timeMs > this.newestTimeMs) this.newestTimeMs = timeMs;
    }
    this.ended = frame.kind === "end";
  }

  #found(kind: SegmentFlaw["kind"], why: string): SegmentFlaw {
    const { expected, found } = this.#frame;
    return { kind, offset: this.goodBytes, why, expected, found };
  }

  async #judge(state: FrameState): Promise<SegmentFlaw> {
    if (state === "whole") return this.#outOfPlace();
    if (state === "newer") {
      return this.#found("version", "the record was written by a later version of this program");
    }
    const flaw = this.#found("damaged", "the record is broken, and later segments exist");
    if (!this.#mayBeTorn) return flaw;
    const torn = this.#found("torn", "a write was cut short here");
    if (state === "partial") return torn;
    const misses = await this.#missesSector(state);
    if (await this.#isCommittedBehind()) {
      return { ...flaw, why: "the record is broken, and later records are good" };
    }
    return misses ? torn : { ...flaw, why: "the record is broken, and no part of it is missing" };
  }

  #outOfPlace(): SegmentFlaw {
    const frame = this.#frame;
    const offset = this.goodBytes;
    if (this.#isForeign() && this.logId !== null) {
      const expected = `log ${logIdText(this.logId)}`;
      const found = `log ${logIdText(frame.logId)}`;
      return { kind: "foreign", offset, why: "the record is of another log", expected, found };
    }
    const found = `record ${frame.sequence}`;
    const end = { kind: "damaged", offset, found } as const;
    if (this.ended) return { ...end, why: "a compacted segment goes on", expected: "its end" };
    const expected = `record ${this.#expectedSequence()}`;
    return { ...end, why: `${found} stands where ${expected} must be`, expected };
  }

  /** True when some sector's share of the broken frame is all zeros: never written. */
  async #missesSector(state: FrameState): Promise<boolean> {
    // The size of a frame with a broken header is not known.
    if (state === "bad-header") await this.window.ensure(this.goodBytes, FRAME_HEADER_BYTES);
    const { bytes, base, reach } = this.window;
    const end =
      state === "bad-payload" ? base + this.#frame.end : this.goodBytes + FRAME_HEADER_BYTES;
    const stop = Math.min(end, reach);
    for (let from = this.goodBytes; from < stop; ) {
      const until = Math.min(stop, (Math.floor(from / SECTOR_BYTES) + 1) * SECTOR_BYTES);
      if (bytes.subarray(from - base, until - base).every((byte) => byte === 0)) return true;
      from = until;
    }
    return false;
  }

  /** True when a whole frame behind the flaw says that the record at the flaw was on disk. */
  async #isCommittedBehind(): Promise<boolean> {
    let isCommitted = false;
    const { logId } = this;
    await eachFrameBehind(this.window, this.goodBytes + 1, (frame, state) => {
      const isOurs = logId === null || (frame.logLow === logId.low && frame.logHigh === logId.high);
      // What a later version wrote cannot be judged, and so must not be cut off.
      isCommitted = state === "newer" || (isOurs && frame.committed >= this.nextSequence);
      return !isCommitted;
    });
    return isCommitted;
  }
}

/** True when the file's first four bytes are those of a frame. */
export async function beginsWithMagic(window: FileWindow): Promise<boolean> {
  await window.ensure(0, 4);
  return window.reach >= 4 && window.view.getUint32(0, true) === FRAME_MAGIC;
}

/** Looks for whole and newer frames at every offset from `from` on, until `see` returns false. */
export async function eachFrameBehind(
  window: FileWindow,
  from: number,
  see: (frame: FrameReader, state: "whole" | "newer") => boolean,
): Promise<void> {
  const frame = new FrameReader();
  let at = from;
  let wanted = LEAST_HEADER_BYTES;
  while (at + LEAST_HEADER_BYTES <= window.size) {
    await window.ensure(at, wanted);
    const next = nextFrame(window, at, frame);
    const { state } = next;
    if ((state === "whole" || state === "newer") && !see(frame, state)) return;
    const isCut = state === "partial" && window.reach < window.size;
    wanted = isCut ? frame.needed : LEAST_HEADER_BYTES;
    at = isCut || state === "none" ? next.at : next.at + 1;
    if (state === "whole") at = window.base + frame.end;
  }
}

/** The next offset in the window where a frame may begin, and what stands there. */
function nextFrame(
  window: FileWindow,
  from: number,
  frame: FrameReader,
): { readonly at: number; readonly state: FrameState | "none" } {
  const { bytes, view, base, filled } = window;
  let index = from - base;
  for (;;) {
    index = bytes.indexOf(MAGIC_BYTE, index);
    if (index < 0 || index + LEAST_HEADER_BYTES > filled) {
      // A frame may begin in the last bytes that the window holds.
      return {
        at: base + Math.max(from - base + 1, filled - LEAST_HEADER_BYTES + 1),
        state: "none",
      };
    }
    if (view.getUint32(index, true) === FRAME_MAGIC) {
      const state = frame.read(window, index, filled);
      const isFrame = state === "whole" || state === "partial" || state === "newer";
      if (isFrame) return { at: base + index, state };
    }
    index++;
  }
}
