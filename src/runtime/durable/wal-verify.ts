/**
 * Looks a log over without touching it: what it holds and everything that is wrong with it. Safe
 * while a writer appends, prunes and compacts; damage is told in the report and never thrown.
 */
import { type Files, isMissing } from "./files.ts";
import { type LogId, logIdText } from "./frame.ts";
import { type LogFlaw, LogWalk, listSegments } from "./wal-walk.ts";

export type { LogFlaw } from "./wal-walk.ts";

/** `timeMs` is wall time in milliseconds since 1970 and decides when a record may be pruned. */
export interface WalRecord {
  readonly sequence: number;
  readonly timeMs: number;
  readonly payload: Uint8Array;
}

/** What one segment holds up to its first flaw; times are 0 when it holds no record. */
export interface SegmentReport {
  readonly file: string;
  readonly firstSequence: number;
  readonly records: number;
  readonly bytes: number;
  readonly oldestTimeMs: number;
  readonly newestTimeMs: number;
}

/** What a whole log holds. `logId` is null when no record was found. */
export interface LogReport {
  readonly directory: string;
  readonly logId: string | null;
  readonly formatVersions: readonly number[];
  readonly segments: readonly SegmentReport[];
  readonly records: number;
  readonly bytes: number;
  readonly lastSequence: number;
  readonly flaws: readonly LogFlaw[];
}

/** A segment may be pruned or merged while we look; then we look again from the start. */
const LOOKS = 8;

/** Tries again when a segment vanished under the reader. @throws {STORAGE_FAILED} */
async function whileSegmentsVanish<T>(look: () => Promise<T>): Promise<T> {
  for (let left = LOOKS; ; left--) {
    try {
      return await look();
    } catch (error) {
      if (left === 0 || !isMissing(error)) throw error;
    }
  }
}

interface Findings {
  readonly segments: SegmentReport[];
  readonly flaws: LogFlaw[];
  logId: LogId | null;
  versions: number;
  lastSequence: number;
}

async function walkAll(files: Files, directory: string): Promise<Findings> {
  const { segments, flaws } = await listSegments(files, directory);
  const walk = new LogWalk(files, segments);
  const found: Findings = {
    segments: [],
    flaws: [...flaws],
    logId: null,
    versions: 0,
    lastSequence: 0,
  };
  try {
    for (let open = await walk.open(); open !== null; open = await walk.open()) {
      await open.scan.all();
      found.flaws.push(...(await walk.settle(open)));
      const { records, goodBytes, oldestTimeMs, newestTimeMs, nextSequence, versions } = open.scan;
      const { path: file, firstSequence } = open;
      const times = { oldestTimeMs, newestTimeMs };
      found.segments.push({ file, firstSequence, records, bytes: goodBytes, ...times });
      found.versions |= versions;
      found.lastSequence = nextSequence - 1;
    }
  } finally {
    await walk.close();
  }
  found.logId = walk.logId;
  return found;
}

function versionsIn(bits: number): number[] {
  return Array.from({ length: 31 }, (_, version) => version).filter((at) => (bits >> at) & 1);
}

/**
 * Judges every segment of the log, also those behind a flaw. A torn end is told as a flaw: of a log
 * in use it is the write that is under way. @throws {STORAGE_FAILED} when it cannot be read.
 */
export async function verifyLog(files: Files, directory: string): Promise<LogReport> {
  const found = await whileSegmentsVanish(() => walkAll(files, directory));
  const { segments, flaws, logId, lastSequence } = found;
  return {
    directory,
    logId: logId === null ? null : logIdText(logId),
    formatVersions: versionsIn(found.versions),
    segments,
    records: segments.reduce((sum, { records }) => sum + records, 0),
    bytes: segments.reduce((sum, { bytes }) => sum + bytes, 0),
    lastSequence,
    flaws,
  };
}

/** The records that the next step of the walk finds from `next` on; null at the end. */
class LogReader {
  readonly #files: Files;
  readonly #directory: string;
  next: number;

  constructor(files: Files, directory: string, from: number) {
    this.#files = files;
    this.#directory = directory;
    this.next = from;
  }

  /** Yields until the end, the first flaw, or (by throwing) a segment that vanished. */
  async *walk(): AsyncGenerator<WalRecord, void, void> {
    const { segments } = await listSegments(this.#files, this.#directory);
    const walk = new LogWalk(this.#files, segments);
    walk.skipTo(this.next);
    try {
      for (let open = await walk.open(); open !== null; open = await walk.open()) {
        if (open.flaws.length > 0) return;
        for (let more = true; more; ) {
          const found: WalRecord[] = [];
          more = await open.scan.step((frame, window) => {
            const { sequence, timeMs, payloadFrom, end } = frame;
            if (sequence < this.next) return;
            found.push({ sequence, timeMs, payload: window.bytes.slice(payloadFrom, end) });
          });
          yield* this.#each(found);
        }
        if ((await walk.settle(open)).length > 0) return;
      }
    } finally {
      await walk.close();
    }
  }

  *#each(found: readonly WalRecord[]): Generator<WalRecord, void, void> {
    for (const record of found) {
      this.next = record.sequence + 1;
      yield record;
    }
  }
}

/**
 * Every good record from `from` on, in order, up to the first flaw; segments that hold only earlier
 * records are not judged. @throws {STORAGE_FAILED} when it cannot be read.
 */
export async function* readLog(
  files: Files,
  directory: string,
  from = 1,
): AsyncGenerator<WalRecord, void, void> {
  const reader = new LogReader(files, directory, from);
  for (let left = LOOKS; ; left--) {
    try {
      yield* reader.walk();
      return;
    } catch (error) {
      if (left === 0 || !isMissing(error)) throw error;
    }
  }
}
