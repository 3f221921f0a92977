/**
 * The segments of an open log: read in order, removed and replaced, while records are appended to
 * the last one. Removals and replacements run one after the other; a reader that meets one looks
 * again, so it never sees a segment half old and half new.
 */
import { EsperError, invariant } from "../../protocols/errors.ts";
import { type Files, isMissing, removeIfPresent } from "./files.ts";
import type { LogId } from "./frame.ts";
import { type FrameVisitor, SegmentScan } from "./segment-scan.ts";
import type { Recovery, Segment } from "./wal-recovery.ts";
import type { WalRecord } from "./wal-verify.ts";
import { FileWindow, WindowMemory } from "./wal-window.ts";

/** Where the segments are and whose. */
export interface SegmentPlace {
  readonly files: Files;
  readonly directory: string;
  readonly logId: LogId;
  readonly segmentBytes: number;
}

/** A segment as it was when it was opened for reading. */
export interface OpenSegment {
  readonly scan: SegmentScan;
  readonly nextSequence: number;
}

export class SegmentSet {
  readonly place: SegmentPlace;
  /** The last one is written to; the others change only in `exclusively`. */
  readonly #segments: Segment[];
  /** Of all segments but the last: those change only here and when the next one begins. */
  #closedTotals = { segments: -1, records: 0, bytes: 0 };
  /** Ends when the change that is under way, and all that wait behind it, are over. */
  #changes: Promise<unknown> = Promise.resolve();
  #swap: Promise<unknown> = Promise.resolve();

  constructor(place: SegmentPlace, recovery: Recovery) {
    this.place = place;
    this.#segments = recovery.segments;
  }

  get all(): readonly Segment[] {
    return this.#segments;
  }

  /** What all segments hold; quick, however many there are. */
  get totals(): { readonly records: number; readonly bytes: number } {
    const last = this.#segments.at(-1);
    if (this.#closedTotals.segments !== this.#segments.length - 1) this.#sumUp();
    const { records, bytes } = this.#closedTotals;
    return { records: records + (last?.records ?? 0), bytes: bytes + (last?.bytes ?? 0) };
  }

  #sumUp(): void {
    const { closed } = this;
    this.#closedTotals = {
      segments: closed.length,
      records: closed.reduce((sum, { records }) => sum + records, 0),
      bytes: closed.reduce((sum, { bytes }) => sum + bytes, 0),
    };
  }

  /** All but the one that is written to. */
  get closed(): readonly Segment[] {
    return this.#segments.slice(0, -1);
  }

  /** Returns when no change is under way. */
  async idle(): Promise<void> {
    await this.#changes.catch(() => undefined);
  }

  /** Runs changes one after the other. */
  exclusively<T>(change: () => Promise<T>): Promise<T> {
    const before = this.#changes.catch(() => undefined);
    const result = before.then(change);
    this.#changes = result;
    // Whoever asked for the change is told of its failure.
    result.catch(() => undefined);
    return result;
  }

  /**
   * One step of a change, in which names on disk and the list may differ. `replacement` null: the
   * segments are gone. Only inside `exclusively`.
   */
  async swap(
    old: readonly Segment[],
    replacement: Segment | null,
    step: (listed: () => void) => Promise<void>,
  ): Promise<void> {
    const swapping = step(() => {
      const [first] = old;
      invariant(first !== undefined, "a change concerns a segment");
      const at = this.#segments.indexOf(first);
      this.#segments.splice(at, old.length, ...(replacement === null ? [] : [replacement]));
      this.#sumUp();
    });
    this.#swap = swapping;
    await swapping;
  }

  /** Opens a segment to be read as it is now; null when it was replaced or removed meanwhile. */
  async open(segment: Segment, memory = new WindowMemory()): Promise<OpenSegment | null> {
    const { files, logId } = this.place;
    const { path, bytes, nextSequence, firstSequence } = segment;
    let window: FileWindow | null = null;
    try {
      // What lies behind these bytes may be in flight.
      window = await FileWindow.open(files, path, { limit: bytes, memory });
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
    await this.#swap.catch(() => undefined);
    const isCurrent = this.#segments.includes(segment);
    if (window !== null && isCurrent) {
      const scan = new SegmentScan(window, { logId, firstSequence, mayBeTorn: false });
      return { scan, nextSequence };
    }
    await window?.close();
    if (!isCurrent) return null;
    throw damaged(path, 0, "it is gone");
  }

  /** Judges what the next read brings; false at the end. @throws {WAL_CORRUPT} */
  async step({ scan, nextSequence }: OpenSegment, visit: FrameVisitor): Promise<boolean> {
    if (await scan.step(visit)) return true;
    const { flaw, window } = scan;
    if (flaw !== null) throw damaged(window.path, flaw.offset, flaw.why);
    if (scan.nextSequence === nextSequence) return false;
    throw damaged(window.path, scan.goodBytes, "it is shorter than it was");
  }

  /** Every record from `from` up to, not including, `before`. @throws {WAL_CORRUPT} */
  async *read(from: number, before: number): AsyncGenerator<WalRecord, void, void> {
    let next = from;
    const memory = new WindowMemory();
    for (;;) {
      const segment = this.#segments.find(({ nextSequence }) => nextSequence > next);
      if (segment === undefined || next >= before) return;
      const open = await this.open(segment, memory);
      if (open === null) continue;
      const { window } = open.scan;
      try {
        for (let more = true; more; ) {
          const found: WalRecord[] = [];
          more = await this.step(open, (frame) => {
            const { sequence, timeMs, payloadFrom, end } = frame;
            if (sequence < next || sequence >= before) return;
            found.push({ sequence, timeMs, payload: window.bytes.slice(payloadFrom, end) });
          });
          yield* found;
        }
      } finally {
        await window.close();
      }
      next = open.nextSequence;
    }
  }

  /** Removes whole segments from the start whose records are all older; returns how many. */
  prune(beforeMs: number): Promise<number> {
    return this.exclusively(async () => {
      const { files, directory } = this.place;
      let removed = 0;
      for (;;) {
        const [oldest] = this.closed;
        if (oldest === undefined || oldest.newestTimeMs >= beforeMs) break;
        await this.swap([oldest], null, async (listed) => {
          await removeIfPresent(files, oldest.path);
          listed();
        });
        // Each by itself: a crash could keep a later removal and undo this one, and leave a gap.
        await files.syncDirectory(directory);
        removed++;
      }
      return removed;
    });
  }
}

function damaged(file: string, offset: number, why: string): EsperError {
  return new EsperError(
    "WAL_CORRUPT",
    `${file} was damaged at byte ${offset} after it was opened: ${why}; ` +
      "restart, with salvage if it has no copy",
    { file, offset, why },
  );
}
