/**
 * Opens a log directory. First everything is judged and nothing is changed; then a torn tail is
 * cut, and what is readable is made truly durable. Damage stops a strict open; a salvage keeps the
 * valid prefix and moves the rest aside. What is no log of ours is refused in both modes.
 */
import { EsperError } from "../../protocols/errors.ts";
import { atomicWrite, type Files, PRIVATE_PERMISSIONS, removeIfPresent } from "./files.ts";
import { type LogId, randomLogId } from "./frame.ts";
import { beginsWithMagic, eachFrameBehind } from "./segment-scan.ts";
import { dropSegments, moveAside, saveRest, settleTail } from "./wal-mend.ts";
import {
  type LogFlaw,
  LogWalk,
  listSegments,
  type SegmentName,
  segmentPath,
  type WalkedSegment,
} from "./wal-walk.ts";
import { FileWindow } from "./wal-window.ts";

/** What is known of a segment of an open log. */
export interface Segment {
  readonly path: string;
  readonly firstSequence: number;
  /** The number behind the last record that it covers, kept or compacted away. */
  nextSequence: number;
  records: number;
  bytes: number;
  newestTimeMs: number;
  /** A compacted segment: nothing may be appended to it. */
  readonly ended: boolean;
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
  readonly logId: LogId;
  /** At least one; the last is the one to append to. */
  readonly segments: Segment[];
  readonly nextSequence: number;
  readonly tornBytes: number;
  readonly salvage: Salvage | null;
}

export interface RecoveryOptions {
  readonly salvage: boolean;
  /** The id that the log must have. */
  readonly logId: LogId | null;
}

/** A segment that holds nothing yet. */
export function newSegment(directory: string, firstSequence: number): Segment {
  const path = segmentPath(directory, firstSequence);
  const empty = { records: 0, bytes: 0, newestTimeMs: 0, ended: false };
  return { path, firstSequence, nextSequence: firstSequence, ...empty };
}

interface Judged {
  readonly segment: Segment;
  /** The size of the file, and where the bytes begin that may be in the page cache only. */
  readonly size: number;
  readonly provenBytes: number;
}

interface Judgement {
  readonly judged: Judged[];
  logId: LogId | null;
  tornBytes: number;
  leftovers: readonly SegmentName[];
  flaw: LogFlaw | null;
}

const recordsIn = ({ judged }: Judgement): number =>
  judged.reduce((sum, { segment }) => sum + segment.records, 0);

function take(judgement: Judgement, { path, firstSequence, size, scan }: WalkedSegment): void {
  const { records, nextSequence, newestTimeMs, goodBytes: bytes, ended } = scan;
  const numbers = { firstSequence, nextSequence, records, bytes, newestTimeMs };
  const segment = { path, ...numbers, ended };
  judgement.judged.push({ segment, size, provenBytes: scan.provenBytes });
  if (scan.flaw?.kind === "torn") judgement.tornBytes += size - bytes;
}

/** Reads on until the end or the first flaw that is more than a torn tail. */
async function judge(
  files: Files,
  names: readonly SegmentName[],
  logId: LogId | null,
): Promise<Judgement> {
  const walk = new LogWalk(files, names, logId);
  const { leftovers } = walk;
  const found: Judgement = { judged: [], logId: null, tornBytes: 0, leftovers, flaw: null };
  try {
    for (let open = await walk.open(); open !== null; open = await walk.open()) {
      const [gap] = open.flaws;
      found.flaw = gap ?? null;
      if (found.flaw !== null) break;
      await open.scan.all();
      const flaws = await walk.settle(open);
      take(found, open);
      found.flaw = flaws.find(({ kind }) => kind !== "torn") ?? null;
      if (found.flaw !== null) break;
    }
  } finally {
    await walk.close();
  }
  found.logId = walk.logId;
  return found;
}

const HINTS = {
  WAL_CORRUPT: "Restore the file from a copy, or reopen with salvage to keep those records",
  WAL_FOREIGN: "Name the log of this run, or give this run a directory of its own",
  WAL_NOT_A_LOG: "Move it away, or name the directory of the log; nothing was changed",
  WAL_VERSION: "Open the log with the version that wrote it; nothing was changed",
} as const;

function refusal(
  code: keyof typeof HINTS,
  flaw: LogFlaw,
  more: { readonly directory: string; readonly recoverableRecords: number },
): EsperError {
  const { file, offset, why, expected, found } = flaw;
  const intact =
    code === "WAL_CORRUPT" ? `; ${more.recoverableRecords} records before it are intact` : "";
  const what = code === "WAL_CORRUPT" ? "is damaged" : "cannot be used";
  return new EsperError(
    code,
    `${file} ${what} at byte ${offset}: ${why} (expected ${expected}, found ${found})${intact}. ` +
      HINTS[code],
    { file, offset, why, expected, found, ...more },
  );
}

/** True when the file does not begin like a log and no frame of any log stands anywhere in it. */
export async function isNoLog(files: Files, path: string): Promise<boolean> {
  const window = await FileWindow.open(files, path);
  try {
    if (await beginsWithMagic(window)) return false;
    let isLog = false;
    await eachFrameBehind(window, 0, () => {
      isLog = true;
      return false;
    });
    return !isLog;
  } finally {
    await window.close();
  }
}

/** The code with which the log must be refused whatever the mode, or null. */
async function hopeless(
  files: Files,
  judgement: Judgement,
  flaw: LogFlaw,
  options: RecoveryOptions,
): Promise<keyof typeof HINTS | null> {
  if (flaw.kind === "version") return "WAL_VERSION";
  const isStart = flaw.offset === 0 && judgement.judged.length === 1;
  if (!isStart) return null;
  if (flaw.kind === "foreign" && options.logId !== null) return "WAL_FOREIGN";
  return (await isNoLog(files, flaw.file)) ? "WAL_NOT_A_LOG" : null;
}

/** @throws the reason why the log must not be opened as it is. */
async function refuseUnlessUsable(
  files: Files,
  directory: string,
  judgement: Judgement,
  options: RecoveryOptions,
): Promise<void> {
  const { flaw } = judgement;
  if (flaw === null) return;
  const code = await hopeless(files, judgement, flaw, options);
  if (code === null && options.salvage) return;
  const more = { directory, recoverableRecords: recordsIn(judgement) };
  throw refusal(code ?? "WAL_CORRUPT", flaw, more);
}

/**
 * A segment that was begun and never written holds nothing, and would make a write that a crash
 * cut short in the segment before it look like damage. The first one stays: its name counts.
 */
async function dropEmptyTail(files: Files, directory: string, judged: Judged[]): Promise<void> {
  const empty: SegmentName[] = [];
  for (;;) {
    const last = judged.at(-1);
    if (last === undefined || judged.length === 1 || last.size > 0) break;
    empty.push({ ...last.segment, size: 0 });
    judged.pop();
  }
  await dropSegments(files, directory, empty);
}

/** Makes the last segment durable, and begins the first one of a new log. */
async function settleLast(files: Files, directory: string, judged: Judged[]): Promise<void> {
  const last = judged.at(-1);
  const segment = last?.segment ?? newSegment(directory, 1);
  if (last === undefined) judged.push({ segment, size: 0, provenBytes: 0 });
  if (last === undefined || segment.bytes === 0) {
    // Also when it is there: its name may be one that the disk never got.
    await atomicWrite(files, segment.path, new Uint8Array(0), PRIVATE_PERMISSIONS);
  } else {
    await settleTail(files, segment.path, last.provenBytes, segment.bytes);
  }
}

/** Cuts at the flaw and moves all that lies behind it aside. */
async function salvage(
  files: Files,
  directory: string,
  judgement: Judgement,
  names: readonly SegmentName[],
): Promise<Salvage | null> {
  const { flaw, judged } = judgement;
  if (flaw === null) {
    await settleLast(files, directory, judged);
    return null;
  }
  const { file, offset, why } = flaw;
  const rest = flaw.kind === "gap" ? null : await saveRest(files, file, offset);
  // Before the later segments go: what they leave behind must not look like a torn tail.
  await settleLast(files, directory, judged);
  const at = names.findIndex(({ path }) => path === file);
  const later = names.slice(flaw.kind === "gap" ? at : at + 1);
  const moved = await moveAside(files, directory, later);
  const movedTo = rest === null ? moved : [rest, ...moved];
  return { file, offset, why, keptRecords: recordsIn(judgement), movedTo };
}

/**
 * Opens or creates the log in `directory`.
 * @throws {WAL_CORRUPT} naming file, offset and how many records are intact, unless `salvage`.
 * @throws {WAL_FOREIGN} {WAL_NOT_A_LOG} {WAL_VERSION} with nothing changed, also for a salvage.
 */
export async function recoverLog(
  files: Files,
  directory: string,
  options: RecoveryOptions,
): Promise<Recovery> {
  await files.makeDirectory(directory);
  const { segments: names, flaws, temporary } = await listSegments(files, directory);
  const [strange] = flaws;
  if (strange !== undefined) {
    throw refusal("WAL_NOT_A_LOG", strange, { directory, recoverableRecords: 0 });
  }
  const judgement = await judge(files, names, options.logId);
  await refuseUnlessUsable(files, directory, judgement, options);

  for (const path of temporary) await removeIfPresent(files, path);
  const { judged, leftovers, tornBytes } = judgement;
  await dropSegments(files, directory, leftovers);
  const nextSequence = judged.at(-1)?.segment.nextSequence ?? 1;
  await dropEmptyTail(files, directory, judged);
  const salvaged = await salvage(files, directory, judgement, names);
  const segments = judged.map(({ segment }) => segment);
  const logId = judgement.logId ?? options.logId ?? randomLogId();
  return { logId, segments, nextSequence, tornBytes, salvage: salvaged };
}
