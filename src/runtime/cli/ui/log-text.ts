/** Logs, flaws, records and checkpoints as lines of text. Pure; every text is made printable. */
import type { CheckpointEntry } from "../../durable/checkpoint-index.ts";
import type {
  DescribedRecord,
  LaneFill,
  LogContents,
  RecordsEnd,
} from "../../durable/log-contents.ts";
import { isUnfinished, type RunLogReport } from "../../durable/log-inspect.ts";
import type { RestoreNote } from "../../durable/restore.ts";
import type { LogFlaw } from "../../durable/wal-verify.ts";
import { formatCount, formatPercent, plural } from "./format.ts";
import { printable } from "./width.ts";

const UNITS = ["KiB", "MiB", "GiB"] as const;

/** Bytes as people read them: `812 B`, `96.2 KiB`, `1.5 GiB`. */
export function formatBytes(bytes: number): string {
  if (bytes < 1_024) return `${formatCount(bytes)} B`;
  let size = bytes / 1_024;
  let unit = 0;
  for (; size >= 1_024 && unit < UNITS.length - 1; unit++) size /= 1_024;
  return `${size.toFixed(1)} ${UNITS[unit] ?? ""}`;
}

/** `2026-11-21 14:49:26.123`, UTC; a dash for a time that is not there. */
export function formatTime(timeMs: number): string {
  const outside = !Number.isFinite(timeMs) || timeMs <= 0 || timeMs > 8.64e15;
  return outside ? "-" : new Date(timeMs).toISOString().replace("T", " ").replace("Z", "");
}

/** How a log stands, in one word or two. */
function stateOf({ flaws, doubt }: RunLogReport): string {
  const damage = flaws.filter((flaw) => !isUnfinished(flaw));
  if (damage.length > 0) return `damaged (${formatCount(damage.length)})`;
  if (doubt !== null) return "suspect";
  return flaws.length > 0 ? "unfinished write" : "sound";
}

/** One row for each log, under a head. */
export function logRows(logs: readonly RunLogReport[]): string[][] {
  const head = ["LOG", "SEGMENTS", "RECORDS", "LAST", "SIZE", "OLDEST (UTC)", "NEWEST (UTC)"];
  return [
    [...head, "STATE"],
    ...logs.map((log) => {
      const times = log.segments.filter(({ records }) => records > 0);
      const oldest = Math.min(...times.map(({ oldestTimeMs }) => oldestTimeMs));
      const newest = Math.max(...times.map(({ newestTimeMs }) => newestTimeMs));
      return [
        log.name,
        formatCount(log.segments.length),
        formatCount(log.records),
        formatCount(log.lastSequence),
        formatBytes(log.bytes),
        formatTime(oldest),
        formatTime(newest),
        stateOf(log),
      ];
    }),
  ];
}

/** A flaw in three lines: where and what, what was expected, what is there. */
export function flawLines({ file, offset, why, expected, found }: LogFlaw): string[] {
  return [
    `${printable(file)} at byte ${formatCount(offset)}: ${printable(why)}`,
    `  expected  ${printable(expected)}`,
    `  found     ${printable(found)}`,
  ];
}

/** What the records of a log say, in one line. */
export function contentsLine({ name, kinds }: LogContents): string {
  const counted = Object.entries(kinds).map(([kind, count]) => `${kind} ${formatCount(count)}`);
  return `${name}: ${printable(counted.join(", "))}`;
}

/** What waits to be sent in one lane. */
export function laneLine({ lane, records, capacity, fill, dead }: LaneFill): string {
  const given = dead === 0 ? "" : `; ${formatCount(dead)} given up`;
  return (
    `lane ${lane}: ${formatCount(records)} of ${formatCount(capacity)} wait to be sent ` +
    `(${formatPercent(fill)} full)${given}`
  );
}

function fieldText([name, value]: readonly [string, unknown]): string {
  const text = typeof value === "object" && value !== null ? JSON.stringify(value) : String(value);
  return `${name}=${text}`;
}

/** A record: its place and time, then a line for each thing it says. */
export function recordLines({ log, sequence, timeMs, bytes, says }: DescribedRecord): string[] {
  const place = `${log} ${formatCount(sequence)}  ${formatTime(timeMs)}  ${formatBytes(bytes)}`;
  return [
    place,
    ...says.map(({ kind, id, fields }) => {
      const values = Object.entries(fields).filter(([, value]) => value !== "");
      return printable(`  ${[kind, id, ...values.map(fieldText)].filter(Boolean).join("  ")}`);
    }),
  ];
}

/** Why no more records of a log are shown; nothing for a log that was shown to its end. */
export function recordsEndLines(ended: RecordsEnd, from: number): string[] {
  const { end, log, shown, flaw, lastSequence } = ended;
  if (end === "limit")
    return [`${log}: there are more than ${plural(shown, "record")}; see --limit`];
  if (flaw !== null) return [`${log}: nothing behind the damage is shown`, ...flawLines(flaw)];
  if (shown > 0 || lastSequence === null) return [];
  const last = lastSequence === 0 ? "it holds none" : `its last is ${formatCount(lastSequence)}`;
  return [`${log}: no record from number ${formatCount(from)} on; ${last}`];
}

/** Where a restored or repaired run came from, and where what was there before is. */
export function restoredLine({ restoredAt, from, replaced }: RestoreNote): string {
  const before =
    replaced === null ? "" : `; what was there before is kept in ${printable(replaced)}`;
  return `restored at ${restoredAt} from ${printable(from)}${before}`;
}

/** One row for each checkpoint, under a head. */
export function checkpointRows(checkpoints: readonly CheckpointEntry[]): string[][] {
  const head = ["CHECKPOINT", "STEP", "EPOCH", "SAVED (UTC)", "SIZE", "DIGEST", "VERIFIED (UTC)"];
  return [
    [...head, "STATE"],
    ...checkpoints.map(({ name, step, epoch, savedMs, bytes, digest, verifiedMs, flaw }) => [
      printable(name),
      formatCount(step),
      epoch === null ? "-" : formatCount(epoch),
      formatTime(savedMs),
      formatBytes(bytes),
      digest === null ? "-" : digest.slice(0, 12),
      verifiedMs === null ? "never" : formatTime(verifiedMs),
      flaw === null ? "not re-read; its ends fit" : `damaged: ${printable(flaw)}`,
    ]),
  ];
}

/** `3 records in 2 logs`. */
export function recordsIn(logs: readonly { readonly records: number }[]): string {
  const records = logs.reduce((sum, log) => sum + log.records, 0);
  return `${plural(records, "record")} in ${plural(logs.length, "log")}`;
}
