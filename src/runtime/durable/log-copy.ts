/**
 * Copies a log while its writer goes on: whole records only, each on the disk of the source before
 * it counts in the copy. The copy is read back; when the writer pruned or compacted segments in
 * between, it is made again.
 */
import { basename, join } from "node:path";
import { EsperError } from "../../protocols/errors.ts";
import type { LogName, SavedLog } from "./backup-layout.ts";
import { type Files, isMissing } from "./files.ts";
import { damageOf, type KnownRun, mustStay, remedyOf, verifyRunLog } from "./log-inspect.ts";
import type { Place } from "./place.ts";
import { type LogFlaw, type LogReport, verifyLog } from "./wal-verify.ts";

const ATTEMPTS = 8;

/** "sound" refuses a damaged log; "prefix" takes what is good before the damage. */
export type CopyMode = "sound" | "prefix";

/** The refusal to copy a damaged log, with what helps against this damage. */
export function logDamaged(flaw: LogFlaw): EsperError {
  const { file, offset, why, expected, found } = flaw;
  const help = mustStay(flaw)
    ? `It was not cut off, because its records may be good: ${remedyOf(flaw)}`
    : "Look at it with `wal verify`; `wal restore --repair` goes back to the last good record";
  return new EsperError(
    "LOG_DAMAGED",
    `${file} is damaged at byte ${offset}: ${why}; expected ${expected}, found ${found}. ${help}`,
    { file, offset, why, expected, found },
  );
}

/**
 * The first damage of a log that may be cut off, or undefined for a sound one.
 * @throws {LOG_DAMAGED} for damage that must not be cut off.
 */
export function mendableDamage(report: LogReport): LogFlaw | undefined {
  const [flaw] = [...damageOf([report])].sort(byPlace);
  if (flaw !== undefined && mustStay(flaw)) throw logDamaged(flaw);
  return flaw;
}

/** Segments are named by their first record, so names order them. */
const byPlace = (left: LogFlaw, right: LogFlaw): number =>
  left.file === right.file ? left.offset - right.offset : left.file < right.file ? -1 : 1;

/** How many bytes of each segment are good, up to the first damage. */
function goodParts(report: LogReport, flaw: LogFlaw | undefined): [string, number][] {
  const parts: [string, number][] = [];
  for (const { file, bytes } of report.segments) {
    const name = basename(file);
    const broken = flaw !== undefined && basename(flaw.file) === name;
    // The first segment stays also when it is empty: its name says which number is next.
    if (broken && flaw.offset === 0 && parts.length > 0) break;
    parts.push([name, broken ? flaw.offset : bytes]);
    if (broken) break;
  }
  return parts;
}

/** Which log is copied, and how. */
export interface LogSource {
  readonly directory: string;
  readonly name: LogName;
  /** The run it must belong to; null where nobody knows. */
  readonly run: KnownRun | null;
  readonly mode: CopyMode;
}

async function copyOnce(files: Files, source: LogSource, place: Place): Promise<SavedLog | null> {
  const { directory: from, name, run, mode } = source;
  const before = await verifyRunLog(files, from, name, run);
  const [found] = damageOf([before]);
  if (found !== undefined && mode === "sound") throw logDamaged(found);
  const flaw = mendableDamage(before);
  const to = join(place.directory, name);
  await place.folder(to);
  for (const [segment, limit] of goodParts(before, flaw)) {
    await place.put(join(from, segment), `${name}/${segment}`, { limit, syncSource: true });
  }
  const after = await verifyLog(files, to);
  const whole = after.flaws.length === 0 && after.records === before.records;
  if (flaw === undefined && !whole) return null;
  if (damageOf([after]).length > 0) return null;
  const { logId, records, bytes, lastSequence } = after;
  return { name, logId, segments: after.segments.length, records, bytes, lastSequence };
}

/**
 * Copies the log to the folder of its name in the place.
 * @throws {LOG_DAMAGED} @throws {LOG_BUSY} when it changed under every attempt.
 */
export async function copyLog(files: Files, source: LogSource, place: Place): Promise<SavedLog> {
  const { directory: from, name, mode } = source;
  for (let attempt = 1; ; attempt++) {
    try {
      const copied = await copyOnce(files, source, place);
      if (copied !== null) return copied;
    } catch (error) {
      // A segment that was pruned or replaced between the look and the copy: look again.
      const moved = isMissing(error) && attempt < ATTEMPTS;
      const doubtful = EsperError.is(error, "LOG_DAMAGED") && mode === "sound" && attempt === 1;
      if (!moved && !doubtful) throw error;
    }
    await place.clear(name);
    if (attempt < ATTEMPTS) continue;
    throw new EsperError(
      "LOG_BUSY",
      `${from} changed while it was copied, ${ATTEMPTS} times: try again later`,
      { directory: from, attempts: ATTEMPTS },
    );
  }
}
