/**
 * How a log begins and how its absence is told. A run gives each of its logs a first mark before
 * its manifest says that there is a run, and a log never loses its last frame by itself: so one
 * that holds nothing was taken away or emptied, and what it knew is gone.
 */
import { join } from "node:path";
import { atomicWrite, type Files, PRIVATE_PERMISSIONS } from "./files.ts";
import { type RunLogName, runLogId } from "./log-owner.ts";
import { listIfPresent, lstatIfPresent } from "./tree.ts";
import { FrameBuffer } from "./wal-buffer.ts";
import type { LogFlaw } from "./wal-verify.ts";
import { listSegments, segmentPath } from "./wal-walk.ts";

/** A log of a run, by the run's folder. */
export interface LogPlace {
  readonly directory: string;
  readonly runId: string;
  readonly name: RunLogName;
}

/**
 * Makes a new log that holds its mark and no record; record `first` is next.
 * @throws {STORAGE_FULL} {STORAGE_FAILED}
 */
export async function beginLog(
  files: Files,
  { directory, runId, name }: LogPlace,
  nowMs: number,
  first = 1,
): Promise<void> {
  const folder = join(directory, name);
  await files.makeDirectory(folder);
  const mark = new FrameBuffer();
  mark.put({ kind: "commit", timeMs: nowMs, payload: new Uint8Array(0) });
  const logId = runLogId(runId, name);
  mark.stamp(0, { logId, sequence: first - 1, committed: first - 1, skipped: 0 });
  await atomicWrite(files, segmentPath(folder, first), mark.bytes, PRIVATE_PERMISSIONS);
}

/**
 * What is wrong with a log that has lost all it held; null when it holds anything, or when a
 * salvage has put its contents aside. Reads names and sizes only.
 */
export async function lostLog(
  files: Files,
  { directory, name }: LogPlace,
): Promise<LogFlaw | null> {
  const folder = join(directory, name);
  const kind = (await lstatIfPresent(files, folder))?.kind;
  // What is no folder is judged by those who look at the run's layout.
  if (kind !== undefined && kind !== "directory") return null;
  const names = await listIfPresent(files, folder);
  if (names.some((found) => found.includes(".wal.broken"))) return null;
  const { segments, flaws } =
    names.length === 0 ? { segments: [], flaws: [] } : await listSegments(files, folder);
  if (flaws.length > 0 || segments.some(({ size }) => size > 0)) return null;
  const [first] = segments;
  const found =
    first !== undefined ? "empty segments" : kind === undefined ? "nothing" : "no segment";
  const why = kind === undefined ? "the log is missing" : "the log was emptied";
  const file = first?.path ?? folder;
  return { file, offset: 0, kind: "gap", why, expected: `the log of the run (${name})`, found };
}
