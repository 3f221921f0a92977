/**
 * Rewrites closed segments without the records that nobody needs, and small ones that stand beside
 * each other into one. Each result is written beside the log, synced and renamed in one step; a
 * frame at its end says up to which number it covers, so what it replaced can be told after a crash
 * and removed. Appends and reads go on meanwhile.
 */
import { EsperError, invariant } from "../../protocols/errors.ts";
import { type OpenFile, PRIVATE_PERMISSIONS, removeIfPresent } from "./files.ts";
import { frameBytes, type LogId } from "./frame.ts";
import type { FrameVisitor } from "./segment-scan.ts";
import { FrameBuffer } from "./wal-buffer.ts";
import { dropSegments, withFile } from "./wal-mend.ts";
import type { Segment } from "./wal-recovery.ts";
import type { SegmentSet } from "./wal-segments.ts";
import type { WalRecord } from "./wal-verify.ts";
import { WindowMemory } from "./wal-window.ts";

/** What a compaction did. */
export interface CompactionResult {
  readonly segmentsBefore: number;
  readonly segmentsAfter: number;
  readonly removedRecords: number;
  readonly freedBytes: number;
}

/** No more segments than this become one: what is kept of each is in memory meanwhile. */
const GROUP_SEGMENTS = 64;
/** Numbers in a row that one frame can skip. */
const MAX_SKIPPED = 2 ** 32 - 1;

/** A segment and which of its records are kept: one bit each, in order. */
interface Sifted {
  readonly segment: Segment;
  readonly kept: Uint8Array;
  readonly records: number;
  readonly bytes: number;
}

const isKept = (kept: Uint8Array, index: number): boolean =>
  (((kept[index >> 3] ?? 0) >> (index & 7)) & 1) === 1;

/** Writes one new segment, which covers the numbers of the old ones, piece by piece. */
class SegmentWriter {
  readonly #file: OpenFile;
  readonly #logId: LogId;
  readonly #buffer = new FrameBuffer();
  readonly #lastSequence: number;
  #previous: number;
  bytes = 0;
  records = 0;
  newestTimeMs = 0;

  constructor(file: OpenFile, logId: LogId, covers: { first: number; last: number }) {
    this.#file = file;
    this.#logId = logId;
    this.#previous = covers.first - 1;
    this.#lastSequence = covers.last;
  }

  add({ sequence, timeMs, payload }: WalRecord): void {
    const skipped = sequence - this.#previous - 1;
    this.#stamp(this.#buffer.put({ kind: "data", timeMs, payload }), sequence, skipped);
    this.#previous = sequence;
    this.records++;
    if (timeMs > this.newestTimeMs) this.newestTimeMs = timeMs;
  }

  /** Writes what was added since the last time. */
  async flush(): Promise<void> {
    const { bytes } = this.#buffer;
    if (bytes.byteLength > 0) await this.#file.write(bytes, this.bytes);
    this.bytes += bytes.byteLength;
    this.#buffer.clear();
  }

  /** Writes the end and makes all of it durable. */
  async finish(): Promise<void> {
    const payload = new Uint8Array(0);
    const at = this.#buffer.put({ kind: "end", timeMs: this.newestTimeMs, payload });
    this.#stamp(at, this.#lastSequence, this.#lastSequence - this.#previous);
    await this.flush();
    await this.#file.sync();
  }

  #stamp(offset: number, sequence: number, skipped: number): void {
    const committed = this.#lastSequence;
    this.#buffer.stamp(offset, { logId: this.#logId, sequence, committed, skipped });
  }
}

class Compaction {
  readonly #set: SegmentSet;
  readonly #keep: (record: WalRecord) => boolean;
  readonly #isClosing: () => boolean;
  readonly #memory = new WindowMemory();
  #freedBytes = 0;
  #removedRecords = 0;

  constructor(set: SegmentSet, keep: (record: WalRecord) => boolean, isClosing: () => boolean) {
    this.#set = set;
    this.#keep = keep;
    this.#isClosing = isClosing;
  }

  /** Goes through the closed segments, gathering neighbours that fit into one. */
  async run(): Promise<CompactionResult> {
    const { closed } = this.#set;
    let group: Sifted[] = [];
    let segments = 0;
    for (const segment of closed) {
      const sifted = await this.#sift(segment);
      if (group.length > 0 && !this.#joins(group, sifted)) {
        segments += await this.#replace(group);
        group = [];
      }
      group.push(sifted);
    }
    segments += await this.#replace(group);
    return {
      segmentsBefore: closed.length,
      segmentsAfter: segments,
      removedRecords: this.#removedRecords,
      freedBytes: this.#freedBytes,
    };
  }

  /** Asks about every record of a segment. */
  async #sift(segment: Segment): Promise<Sifted> {
    const kept = new Uint8Array(Math.ceil(segment.records / 8));
    let index = 0;
    let records = 0;
    let bytes = 0;
    await this.#each(segment, (frame, { bytes: held }) => {
      const { sequence, timeMs, payloadFrom, end } = frame;
      const payload = held.subarray(payloadFrom, end);
      if (this.#keep({ sequence, timeMs, payload })) {
        kept[index >> 3] = (kept[index >> 3] as number) | (1 << (index & 7));
        records++;
        bytes += frameBytes(end - payloadFrom);
      }
      index++;
    });
    return { segment, kept, records, bytes };
  }

  /** Shows every record of a segment; `afterStep` runs between reads. */
  async #each(
    segment: Segment,
    visit: FrameVisitor,
    afterStep: () => Promise<void> = async () => undefined,
  ): Promise<void> {
    const open = await this.#set.open(segment, this.#memory);
    if (open === null) return;
    try {
      for (let more = true; more; ) {
        this.#stopIfClosing();
        more = await this.#set.step(open, visit);
        await afterStep();
      }
    } finally {
      await open.scan.window.close();
    }
  }

  /** Whoever closes the log must not wait for gigabytes to be copied. */
  #stopIfClosing(): void {
    if (!this.#isClosing()) return;
    const { directory } = this.#set.place;
    const message = `the log in ${directory} was closed before the compaction was over`;
    throw new EsperError("ACTOR_STOPPED", message, { directory });
  }

  /** True when the next segment's records may stand in one segment with the group's. */
  #joins(group: readonly Sifted[], next: Sifted): boolean {
    const [first] = group;
    if (first === undefined || group.length >= GROUP_SEGMENTS) return false;
    // What holds nothing at the log's start is removed, not carried along.
    if (next.records > 0 && this.#isEmptyStart(group)) return false;
    if (next.segment.nextSequence - first.segment.firstSequence > MAX_SKIPPED) return false;
    const bytes = group.reduce((sum, one) => sum + one.bytes, next.bytes);
    return bytes <= this.#set.place.segmentBytes;
  }

  /** True when the group is the log's start and nothing of it is kept. */
  #isEmptyStart(group: readonly Sifted[]): boolean {
    if (group[0]?.segment !== this.#set.all[0]) return false;
    return group.every(({ records }) => records === 0);
  }

  /** Puts one segment in the place of the group's; returns how many stand there afterwards. */
  async #replace(group: readonly Sifted[]): Promise<number> {
    const [first] = group;
    if (first === undefined) return 0;
    const old = group.map(({ segment }) => segment);
    const before = { bytes: sum(old, "bytes"), records: sum(old, "records") };
    const records = sum(group, "records");
    // Nothing to gain: the file would only be written again.
    if (group.length === 1 && records === before.records) return 1;
    const replacement = this.#isEmptyStart(group) ? null : await this.#rewrite(group);
    if (replacement === null) await this.#remove(old);
    this.#removedRecords += before.records - records;
    this.#freedBytes += before.bytes - (replacement?.bytes ?? 0);
    return replacement === null ? 0 : 1;
  }

  async #remove(old: readonly Segment[]): Promise<void> {
    const { files, directory } = this.#set.place;
    // One by one from the start, each durable, so that what a crash leaves has no gap.
    for (const segment of old) {
      await this.#set.swap([segment], null, async (listed) => {
        await removeIfPresent(files, segment.path);
        listed();
      });
      await files.syncDirectory(directory);
    }
  }

  async #rewrite(group: readonly Sifted[]): Promise<Segment> {
    const { files, directory } = this.#set.place;
    const old = group.map(({ segment }) => segment);
    const replacement = await this.#write(group, `${old[0]?.path}.tmp`);
    const temporary = `${replacement.path}.tmp`;
    try {
      await this.#set.swap(old, replacement, async (listed) => {
        await files.rename(temporary, replacement.path);
        listed();
      });
    } catch (error) {
      await this.#sweep(temporary);
      throw error;
    }
    // The new name first: until the disk has it, the others are all that is left after a crash.
    await files.syncDirectory(directory);
    const gone = old.slice(1).map((segment) => ({ ...segment, size: segment.bytes }));
    await dropSegments(files, directory, gone);
    return replacement;
  }

  /** The new segment under its temporary name, durable. */
  async #write(group: readonly Sifted[], temporary: string): Promise<Segment> {
    const { files, logId } = this.#set.place;
    const first = group[0]?.segment;
    const last = group.at(-1)?.segment;
    invariant(first !== undefined && last !== undefined, "a group has a segment");
    const covers = { first: first.firstSequence, last: last.nextSequence - 1 };
    await removeIfPresent(files, temporary);
    try {
      const file = files.open(temporary, "create", PRIVATE_PERMISSIONS);
      const writer = await withFile(file, async (to) => {
        const out = new SegmentWriter(to, logId, covers);
        for (const sifted of group) await this.#copyKept(sifted, out);
        await out.finish();
        return out;
      });
      const { bytes, records, newestTimeMs } = writer;
      const { path, firstSequence } = first;
      const { nextSequence } = last;
      return { path, firstSequence, nextSequence, records, bytes, newestTimeMs, ended: true };
    } catch (error) {
      await this.#sweep(temporary);
      throw error;
    }
  }

  /** Adds what is kept of a segment, a read at a time. */
  async #copyKept({ segment, kept, records }: Sifted, out: SegmentWriter): Promise<void> {
    if (records === 0) return;
    let index = 0;
    const visit: FrameVisitor = ({ sequence, timeMs, payloadFrom, end }, { bytes }) => {
      if (isKept(kept, index)) {
        out.add({ sequence, timeMs, payload: bytes.subarray(payloadFrom, end) });
      }
      index++;
    };
    await this.#each(segment, visit, () => out.flush());
  }

  /** The caller must see the first error; the next opening removes a file that stays. */
  async #sweep(temporary: string): Promise<void> {
    await removeIfPresent(this.#set.place.files, temporary).catch((left: unknown) => {
      if (!EsperError.is(left)) throw left;
    });
  }
}

function sum<K extends string>(items: readonly Readonly<Record<K, number>>[], key: K): number {
  return items.reduce((total, item) => total + item[key], 0);
}

/** Compacts the closed segments; the payload that `keep` sees is good only during the call. */
export function compactSegments(
  set: SegmentSet,
  keep: (record: WalRecord) => boolean,
  isClosing: () => boolean,
): Promise<CompactionResult> {
  return set.exclusively(() => new Compaction(set, keep, isClosing).run());
}
