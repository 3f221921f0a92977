/**
 * Opens a log directory: checks every segment, cuts a torn tail, and leaves all that is readable
 * truly on disk. The last segment is rewritten as a whole unless it is known to be synced, because
 * after a failed fsync the page cache can show bytes that the disk never got.
 * Damage stops a strict open; a salvage keeps the valid prefix and moves the rest aside.
 */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { EsperError } from "../../protocols/errors.ts";
import {
  atomicWrite,
  type Files,
  PRIVATE_PERMISSIONS,
  removeIfPresent,
  statIfPresent,
} from "./files.ts";
import { frameBytes, LOG_ID_BYTES, writeFrame } from "./frame.ts";
import { type SegmentScan, scanSegment } from "./segment-scan.ts";

export interface Segment {
  readonly path: string;
  readonly firstSequence: number;
  records: number;
  bytes: number;
  newestTimeMs: number;
}

/** What a salvage set aside. */
export interface Salvage {
  readonly file: string;
  readonly offset: number;
  readonly why: string;
  readonly keptRecords: number;
  readonly movedTo: readonly string[];
}

export interface Recovery {
  readonly logId: Uint8Array;
  /** At least one; the last is the one to append to. */
  readonly segments: Segment[];
  readonly nextSequence: number;
  readonly tornBytes: number;
  readonly salvage: Salvage | null;
}

const SUFFIX = ".wal";
const SEGMENT_NAME = /^\d{16}\.wal$/;

/** The path of the segment that starts with this record. */
export function segmentPath(directory: string, firstSequence: number): string {
  return join(directory, `${String(firstSequence).padStart(16, "0")}${SUFFIX}`);
}

/** A commit frame: everything before it is on disk. */
export function commitFrame(logId: Uint8Array, lastSequence: number, timeMs: number): Uint8Array {
  const bytes = new Uint8Array(frameBytes(0));
  const frame = { kind: "commit", logId, timeMs, payload: new Uint8Array(0) } as const;
  writeFrame(bytes, 0, { ...frame, sequence: lastSequence, committed: lastSequence });
  return bytes;
}

interface Damage {
  readonly offset: number;
  readonly why: string;
}

interface Progress {
  readonly files: Files;
  readonly directory: string;
  readonly segments: Segment[];
  logId: Uint8Array | null;
  nextSequence: number;
  tornBytes: number;
}

function corrupt(file: string, damage: Damage, progress: Progress, records: number): EsperError {
  const { offset, why } = damage;
  return new EsperError(
    "WAL_CORRUPT",
    `${file} is damaged at byte ${offset}: ${why}; ${records} records before it are intact. ` +
      "Restore the file from a copy, or reopen with salvage to keep those records",
    { file, offset, why, recoverableRecords: records, directory: progress.directory },
  );
}

async function freeName(files: Files, wanted: string): Promise<string> {
  for (let number = 1; ; number++) {
    const name = number === 1 ? `${wanted}.broken` : `${wanted}.broken.${number}`;
    if ((await statIfPresent(files, name)) === null) return name;
  }
}

async function rewrite(
  progress: Progress,
  segment: Segment,
  bytes: Uint8Array,
  scan: SegmentScan,
): Promise<void> {
  const good = bytes.subarray(0, scan.goodBytes);
  const seal =
    scan.logId === null || scan.goodBytes === 0 || scan.sealed
      ? new Uint8Array(0)
      : commitFrame(scan.logId, scan.nextSequence - 1, scan.newestTimeMs);
  const whole = new Uint8Array(good.byteLength + seal.byteLength);
  whole.set(good);
  whole.set(seal, good.byteLength);
  await atomicWrite(progress.files, segment.path, whole, PRIVATE_PERMISSIONS);
  segment.bytes = whole.byteLength;
}

async function setAside(progress: Progress, paths: readonly string[]): Promise<readonly string[]> {
  const moved: string[] = [];
  for (const path of paths) {
    const name = await freeName(progress.files, path);
    await progress.files.rename(path, name);
    moved.push(name);
  }
  await progress.files.syncDirectory(progress.directory);
  return moved;
}

const intactRecords = (progress: Progress): number =>
  progress.segments.reduce((sum, segment) => sum + segment.records, 0);

/**
 * Takes one segment into the log. Returns the damage found in it, after its valid prefix was taken.
 */
async function takeSegment(
  progress: Progress,
  path: string,
  firstSequence: number,
  options: { isLast: boolean; salvage: boolean },
): Promise<(Damage & { readonly rest: string | null }) | null> {
  const bytes = await progress.files.read(path);
  const scan = scanSegment(bytes, {
    logId: progress.logId,
    firstSequence,
    mayBeTorn: options.isLast,
  });
  const { records, newestTimeMs, flaw } = scan;
  if (flaw?.kind === "damaged" && !options.salvage) {
    throw corrupt(path, flaw, progress, intactRecords(progress) + records);
  }
  const segment = { path, firstSequence, records, bytes: scan.goodBytes, newestTimeMs };
  let rest: string | null = null;
  if (flaw?.kind === "damaged") {
    rest = await freeName(progress.files, path);
    await atomicWrite(progress.files, rest, bytes.subarray(flaw.offset), PRIVATE_PERMISSIONS);
  }
  const unproven = options.isLast && !scan.sealed && bytes.byteLength > 0;
  if (flaw !== null || unproven) await rewrite(progress, segment, bytes, scan);
  progress.segments.push(segment);
  progress.logId = scan.logId;
  progress.nextSequence = scan.nextSequence;
  if (flaw?.kind === "torn") progress.tornBytes += flaw.bytes;
  return flaw?.kind === "damaged" ? { ...flaw, rest } : null;
}

/** The damage between segments: a segment that should stand before this one is gone. */
function gapBefore(progress: Progress, firstSequence: number): Damage | null {
  if (progress.segments.length === 0 || firstSequence === progress.nextSequence) return null;
  const why = `it starts with record ${firstSequence}, but record ${progress.nextSequence} is next`;
  return { offset: 0, why };
}

async function takeAll(
  progress: Progress,
  names: readonly string[],
  salvage: boolean,
): Promise<Salvage | null> {
  const paths = names.map((name) => join(progress.directory, name));
  for (const [index, name] of names.entries()) {
    const path = join(progress.directory, name);
    const firstSequence = Number.parseInt(name, 10);
    const gap = gapBefore(progress, firstSequence);
    if (gap !== null && !salvage) throw corrupt(path, gap, progress, intactRecords(progress));
    const isLast = index === names.length - 1;
    const damage =
      gap === null ? await takeSegment(progress, path, firstSequence, { isLast, salvage }) : null;
    const found = gap ?? damage;
    if (found === null) continue;
    const moved = await setAside(progress, paths.slice(gap === null ? index + 1 : index));
    const rest = damage?.rest ?? null;
    return {
      file: path,
      offset: found.offset,
      why: found.why,
      keptRecords: intactRecords(progress),
      movedTo: rest === null ? moved : [rest, ...moved],
    };
  }
  return null;
}

/**
 * A segment that was begun and never written holds nothing, and would make a write that a crash
 * cut short in the segment before it look like damage. The first one stays: its name counts.
 */
async function dropEmptyTail(files: Files, directory: string, names: string[]): Promise<void> {
  for (;;) {
    const last = names.at(-1);
    if (last === undefined || names.length === 1) return;
    const path = join(directory, last);
    if ((await files.stat(path)).size > 0) return;
    await files.remove(path);
    names.pop();
  }
}

/**
 * Opens or creates the log in `directory`.
 * @throws {WAL_CORRUPT} naming file, offset and how many records are intact, unless `salvage`.
 */
export async function recoverLog(
  files: Files,
  directory: string,
  options: { readonly salvage: boolean },
): Promise<Recovery> {
  await files.makeDirectory(directory);
  const present = await files.list(directory);
  for (const name of present) {
    if (name.endsWith(".tmp")) await removeIfPresent(files, join(directory, name));
  }
  const names = present.filter((name) => SEGMENT_NAME.test(name));
  await dropEmptyTail(files, directory, names);
  const progress: Progress = {
    files,
    directory,
    segments: [],
    logId: null,
    nextSequence: 1,
    tornBytes: 0,
  };
  const salvage = await takeAll(progress, names, options.salvage);
  if (progress.segments.length === 0) {
    const path = segmentPath(directory, progress.nextSequence);
    await atomicWrite(files, path, new Uint8Array(0), PRIVATE_PERMISSIONS);
    const firstSequence = progress.nextSequence;
    progress.segments.push({ path, firstSequence, records: 0, bytes: 0, newestTimeMs: 0 });
  }
  return {
    logId: progress.logId ?? new Uint8Array(randomBytes(LOG_ID_BYTES)),
    segments: progress.segments,
    nextSequence: progress.nextSequence,
    tornBytes: progress.tornBytes,
    salvage,
  };
}
