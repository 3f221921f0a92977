/**
 * Whose log this is. The logs of a run carry an id that follows from the run's, so that one which
 * was copied from another run is found by its first record, before anything is opened to be
 * written. Logs whose records are of format 1 have ids that were drawn by chance; they pass.
 */
import { EsperError } from "../../protocols/errors.ts";
import type { Files } from "./files.ts";
import { FRAME_HEADER_BYTES, FrameReader, type LogId, logIdOf, logIdText } from "./frame.ts";
import { listIfPresent, openPlain } from "./tree.ts";
import { listSegments } from "./wal-walk.ts";

/** The logs of a run, by the names of their folders. */
export type RunLogName = "wal" | "ledger";

/** The id of the log that a run keeps under that name. */
export function runLogId(runId: string, log: RunLogName): LogId {
  return logIdOf(`${runId}/${log}`);
}

interface FirstFrame {
  readonly file: string;
  readonly version: number;
  readonly logId: LogId;
}

/** Null when the log holds nothing, or begins with something that only its recovery can judge. */
async function firstFrame(files: Files, directory: string): Promise<FirstFrame | null> {
  if ((await listIfPresent(files, directory)).length === 0) return null;
  const segments = await listSegments(files, directory);
  const begun = segments.segments.find(({ size }) => size > 0);
  if (begun === undefined) return null;
  const file = await openPlain(files, begun.path);
  try {
    const bytes = await file.read(0, FRAME_HEADER_BYTES);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const frame = new FrameReader();
    const state = frame.read({ bytes, view }, 0, bytes.byteLength);
    const told = state === "whole" || (state === "partial" && frame.version > 0);
    return told ? { file: begun.path, version: frame.version, logId: frame.logId } : null;
  } finally {
    await file.close();
  }
}

/**
 * What `Wal.open` must be told so that it opens this run's log and no other.
 * @throws {WAL_FOREIGN} naming the file, the id it must have and the one it has.
 */
export async function requireOwnLog(
  files: Files,
  directory: string,
  runId: string,
  log: RunLogName,
): Promise<{ readonly logId?: LogId }> {
  const logId = runLogId(runId, log);
  const first = await firstFrame(files, directory);
  if (first === null) return { logId };
  if (first.version === 1) return {};
  const [expected, found] = [logIdText(logId), logIdText(first.logId)];
  if (found === expected) return { logId };
  const { file } = first;
  throw new EsperError(
    "WAL_FOREIGN",
    `${file} is of another run: at byte 0 expected a record of log ${expected} (${log} of run ` +
      `${runId}), found one of log ${found}. Put this run's own log back; nothing was changed`,
    { file, offset: 0, expected, found, directory },
  );
}
