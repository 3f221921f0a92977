/**
 * Looks at the logs of one run, or of a backup, without opening them for writing: which there are,
 * how much they hold and what is wrong with them. Safe while the run is being worked on.
 */
import { join } from "node:path";
import { EsperError } from "../../protocols/errors.ts";
import { LOG_NAMES, type LogName } from "./backup-layout.ts";
import type { Files } from "./files.ts";
import { requireOwnLog } from "./log-owner.ts";
import { listIfPresent, lstatIfPresent } from "./tree.ts";
import { type LogFlaw, type LogReport, verifyLog } from "./wal-verify.ts";

/** One log of a run and what was found in it. */
export interface RunLogReport extends LogReport {
  readonly name: LogName;
}

/** A write that a crash cut short: the next start cuts it off, and nothing was promised of it. */
export function isUnfinished(flaw: LogFlaw): boolean {
  return flaw.kind === "torn";
}

/** The flaws that no restart mends by itself. */
export function damageOf(reports: readonly LogReport[]): readonly LogFlaw[] {
  return reports.flatMap(({ flaws }) => flaws.filter((flaw) => !isUnfinished(flaw)));
}

/** A log whose very folder is not one. */
async function notAFolder(
  files: Files,
  directory: string,
  name: LogName,
): Promise<RunLogReport | null> {
  const stat = await lstatIfPresent(files, directory);
  if (stat === null || stat.kind === "directory") return null;
  const found = stat.kind === "link" ? `a link to ${await files.readLink(directory)}` : stat.kind;
  const why = "the log's folder is something else";
  const flaw = { file: directory, offset: 0, kind: "not-a-file", why, found } as const;
  const flaws = [{ ...flaw, expected: "a directory" }];
  const nothing = { logId: null, formatVersions: [], segments: [], records: 0, bytes: 0 };
  return { name, directory, ...nothing, lastSequence: 0, flaws };
}

/** The log of another run in this one's folder, as a flaw; null when it is this run's own. */
async function foreignFlaw(
  files: Files,
  directory: string,
  runId: string,
  name: LogName,
): Promise<LogFlaw | null> {
  try {
    await requireOwnLog(files, directory, runId, name);
    return null;
  } catch (error) {
    // Whatever else is wrong with it was told by the look at its records.
    if (!EsperError.is(error)) throw error;
    if (error.code !== "WAL_FOREIGN") return null;
    const { file, expected, found } = error.details;
    const why = "the log belongs to another run";
    const ids = { expected: `log id ${String(expected)}`, found: `log id ${String(found)}` };
    return { file: String(file), offset: 0, kind: "foreign", why, ...ids };
  }
}

/** Checks every record of one log; what is wrong is told in the report. Changes nothing. */
export async function verifyRunLog(
  files: Files,
  directory: string,
  name: LogName,
  runId: string | null,
): Promise<RunLogReport> {
  const strange = await notAFolder(files, directory, name);
  if (strange !== null) return strange;
  const report = await verifyLog(files, directory);
  const foreign = runId === null ? null : await foreignFlaw(files, directory, runId, name);
  const flaws = foreign === null ? report.flaws : [foreign, ...report.flaws];
  return { name, ...report, flaws };
}

/**
 * Checks every record of every log below `directory`, a run's or a backup's. Changes nothing. With
 * `runId` a log of another run is a flaw.
 * @throws {NOTHING_STORED} when there is no log at all.
 */
export async function verifyLogs(
  files: Files,
  directory: string,
  runId: string | null = null,
): Promise<readonly RunLogReport[]> {
  const present = await listIfPresent(files, directory);
  const names = LOG_NAMES.filter((name) => present.includes(name));
  if (names.length === 0) {
    throw new EsperError(
      "NOTHING_STORED",
      `${directory} holds no log: expected a folder ${LOG_NAMES.join(", ")}; found ` +
        `${present.length === 0 ? "nothing" : present.slice(0, 5).join(", ")}. ` +
        "Name a run or a backup",
      { directory, expected: LOG_NAMES, found: present.slice(0, 5) },
    );
  }
  const reports: RunLogReport[] = [];
  for (const name of names) {
    reports.push(await verifyRunLog(files, join(directory, name), name, runId));
  }
  return reports;
}
