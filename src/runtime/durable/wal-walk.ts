/**
 * Goes through the segments of a log directory in order, judging each with what the ones before it
 * promised: the log's id, the next sequence number, whether a merge left an old segment behind.
 * Reads only; what to do about a flaw is the caller's decision.
 */
import { join } from "node:path";
import type { Files } from "./files.ts";
import type { LogId } from "./frame.ts";
import { SegmentScan } from "./segment-scan.ts";
import { FileWindow, WindowMemory } from "./wal-window.ts";

/** One thing wrong with a log: where it is, what had to be there and what is. */
export interface LogFlaw {
  readonly file: string;
  readonly offset: number;
  readonly kind: "torn" | "damaged" | "gap" | "foreign" | "version" | "not-a-file";
  readonly why: string;
  readonly expected: string;
  readonly found: string;
}

/** A segment's path, the number of its first record (its name), and its size when it was listed. */
export interface SegmentName {
  readonly path: string;
  readonly firstSequence: number;
  readonly size: number;
}

const SUFFIX = ".wal";
const SEGMENT_NAME = /^\d{16}\.wal$/;
const TEMPORARY_NAME = /^\d{16}\.wal(\..+)?\.tmp$/;

/** The path of the segment that starts with this record. */
export function segmentPath(directory: string, firstSequence: number): string {
  return join(directory, `${String(firstSequence).padStart(16, "0")}${SUFFIX}`);
}

const KIND_TEXTS = { directory: "a directory", link: "a symbolic link", other: "a special file" };

/** What lies in the directory of a log. */
export interface LogListing {
  /** In order. */
  readonly segments: readonly SegmentName[];
  /** Names of segments that are no ordinary files. */
  readonly flaws: readonly LogFlaw[];
  /** Files that were being written when a crash came. */
  readonly temporary: readonly string[];
}

/** Lists a log. @throws {STORAGE_FAILED} */
export async function listSegments(files: Files, directory: string): Promise<LogListing> {
  const segments: SegmentName[] = [];
  const flaws: LogFlaw[] = [];
  const temporary: string[] = [];
  for (const name of await files.list(directory)) {
    const path = join(directory, name);
    if (TEMPORARY_NAME.test(name)) temporary.push(path);
    if (!SEGMENT_NAME.test(name)) continue;
    const { kind, size } = await files.lstat(path);
    if (kind === "file") {
      segments.push({ path, firstSequence: Number.parseInt(name, 10), size });
    } else {
      const found = KIND_TEXTS[kind];
      const why = `${found} stands where a log segment must be`;
      flaws.push({ file: path, offset: 0, kind: "not-a-file", why, expected: "a file", found });
    }
  }
  return { segments, flaws, temporary };
}

/** What the walk found in one segment. */
export interface WalkedSegment extends SegmentName {
  readonly scan: SegmentScan;
  readonly flaws: readonly LogFlaw[];
}

export class LogWalk {
  readonly #files: Files;
  readonly #names: readonly SegmentName[];
  /** Where the last segment stands that holds anything: only its end may be torn. */
  readonly #lastHeld: number;
  readonly #memory = new WindowMemory();
  #at = 0;
  #open: FileWindow | null = null;
  logId: LogId | null;
  /** The number that the next record must have; null before the first segment. */
  nextSequence: number | null = null;
  /** True when the last segment was a compacted one: what it covers may still lie around. */
  #ended = false;
  /** Segments that a compacted one replaces, and that a crash kept from being removed. */
  readonly leftovers: SegmentName[] = [];

  constructor(files: Files, names: readonly SegmentName[], logId: LogId | null = null) {
    this.#files = files;
    this.#names = names;
    this.#lastHeld = names.findLastIndex(({ size }) => size > 0);
    this.logId = logId;
  }

  /** Passes over every segment that holds nothing from this record on. */
  skipTo(sequence: number): void {
    for (;;) {
      const next = this.#names[this.#at + 1];
      if (next === undefined || next.firstSequence > sequence) return;
      this.#at++;
    }
  }

  /**
   * Opens the next segment, to be judged step by step; null behind the last one. `settle` must
   * follow. @throws {STORAGE_FAILED}
   */
  async open(): Promise<WalkedSegment | null> {
    for (;;) {
      const name = this.#names[this.#at];
      if (name === undefined) return null;
      const following = this.#names[this.#at + 1];
      const index = this.#at++;
      if (this.#isLeftover(name, following)) this.leftovers.push(name);
      else return await this.#begin(name, index);
    }
  }

  /** Remembers what the segment promises the next one, closes it, and tells all its flaws. */
  async settle(segment: WalkedSegment): Promise<readonly LogFlaw[]> {
    await this.close();
    const { scan, path } = segment;
    this.logId ??= scan.logId;
    this.nextSequence = scan.nextSequence;
    this.#ended = scan.ended;
    return scan.flaw === null ? segment.flaws : [...segment.flaws, { file: path, ...scan.flaw }];
  }

  /** Closes the segment that is open, if one is. */
  async close(): Promise<void> {
    const open = this.#open;
    this.#open = null;
    await open?.close();
  }

  #isLeftover(name: SegmentName, following: SegmentName | undefined): boolean {
    const { nextSequence } = this;
    if (!this.#ended || nextSequence === null || following === undefined) return false;
    return name.firstSequence < nextSequence && following.firstSequence <= nextSequence;
  }

  #gapBefore({ path, firstSequence }: SegmentName, index: number): readonly LogFlaw[] {
    const { nextSequence } = this;
    if (nextSequence === null || nextSequence === firstSequence) return [];
    // It was begun and never written: nothing is missing.
    if (index > this.#lastHeld) return [];
    const expected = `record ${nextSequence}`;
    const found = `record ${firstSequence}`;
    const why = `it starts with ${found}, but ${expected} is next`;
    return [{ file: path, offset: 0, kind: "gap", why, expected, found }];
  }

  async #begin(name: SegmentName, index: number): Promise<WalkedSegment> {
    const window = await FileWindow.open(this.#files, name.path, { memory: this.#memory });
    this.#open = window;
    const { firstSequence } = name;
    const mayBeTorn = index >= this.#lastHeld;
    const scan = new SegmentScan(window, { logId: this.logId, firstSequence, mayBeTorn });
    return { ...name, size: window.size, scan, flaws: this.#gapBefore(name, index) };
  }
}
