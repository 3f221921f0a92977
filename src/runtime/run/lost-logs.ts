/**
 * The logs of a run that has begun must be there. Without its ledger a used command would be fresh
 * again, and without its log what waited to be sent is gone; neither may happen in silence.
 */
import { EsperError } from "../../protocols/errors.ts";
import type { Clock } from "../clock.ts";
import type { Files } from "../durable/files.ts";
import { beginLog, lostLog } from "../durable/log-begin.ts";
import type { RunLogName } from "../durable/log-owner.ts";
import type { LogFlaw } from "../durable/wal-verify.ts";
import type { Run } from "./run-dir.ts";

const NAMES: readonly RunLogName[] = ["wal", "ledger"];

/** A log that is not there any more. */
export interface LostLog {
  readonly name: RunLogName;
  readonly flaw: LogFlaw;
}

/** What of the run's logs is missing or was emptied. @throws {STORAGE_FAILED} */
export async function lostLogs(files: Files, run: Run): Promise<readonly LostLog[]> {
  const { directory, runId, manifest } = run;
  const lost: LostLog[] = [];
  for (const name of NAMES) {
    const flaw = await lostLog(files, { directory, runId, name });
    // Runs of earlier versions had their folders from the beginning, but nothing in them.
    const isSure = manifest.logsBegun === true || flaw?.found === "nothing";
    if (flaw !== null && isSure) lost.push({ name, flaw });
  }
  return lost;
}

/** @throws {WAL_MISSING} naming the log and how to go on, with nothing changed. */
export async function requireLogs(files: Files, run: Run): Promise<void> {
  const [first] = await lostLogs(files, run);
  if (first === undefined) return;
  const { file, why, expected, found } = first.flaw;
  throw new EsperError(
    "WAL_MISSING",
    `${file} cannot be used: ${why} (expected ${expected}, found ${found}). Put it back, or ` +
      "bring the run back from a backup; to go on without it: " +
      `--resume ${run.directory} --salvage. Nothing was changed`,
    { file, offset: 0, why, expected, found, directory: run.directory },
  );
}

const WHAT_IS_LOST: Readonly<Record<RunLogName, string>> = {
  wal: "what waited in it to be sent is gone",
  ledger: "commands issued before now are refused from now on",
};

/**
 * For a salvage: begins a log anew that was lost, and says so, a line for each. The ledger is left
 * to its own actor, which begins it with a time before which no command is taken.
 */
export async function replaceLostLogs(
  files: Files,
  run: Run,
  clock: Pick<Clock, "nowMs">,
): Promise<readonly string[]> {
  const { directory, runId } = run;
  const lost = await lostLogs(files, run);
  for (const { name } of lost) {
    if (name === "wal") await beginLog(files, { directory, runId, name }, clock.nowMs());
  }
  return lost.map(({ name, flaw }) => `${flaw.file}: ${flaw.why}; ${WHAT_IS_LOST[name]}`);
}
