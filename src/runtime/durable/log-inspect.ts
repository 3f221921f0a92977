/**
 * Looks at the logs of one run, or of a backup, without opening them for writing: which there are,
 * how much they hold and what is wrong with them. Safe while the run is being worked on.
 */
import { dirname, join } from "node:path";
import { EsperError } from "../../protocols/errors.ts";
import { LOG_NAMES, type LogName } from "./backup-layout.ts";
import type { Files } from "./files.ts";
import { lostLog } from "./log-begin.ts";
import { endsWithMark } from "./log-close.ts";
import { requireOwnLog } from "./log-owner.ts";
import { listIfPresent, lstatIfPresent } from "./tree.ts";
import { isNoLog } from "./wal-recovery.ts";
import { type LogFlaw, type LogReport, verifyLog } from "./wal-verify.ts";

/** One log of a run and what was found in it. */
export interface RunLogReport extends LogReport {
  readonly name: LogName;
  /** What an earlier salvage has put aside, beside the log. */
  readonly aside: readonly string[];
  /** Why records may be missing from the end although nothing is damaged; null for no reason. */
  readonly doubt: string | null;
}

/** What is known of the run whose logs they are. */
export interface KnownRun {
  readonly runId: string;
  /** True for a run with a manifest: folders of its logs were made before it. */
  readonly hasManifest: boolean;
  /** True when both logs were begun before the manifest was written. */
  readonly begun: boolean;
  /** True when the run has ended in an orderly way and nobody works on it. */
  readonly closed: boolean;
}

/** A write that a crash cut short: the next start cuts it off, and nothing was promised of it. */
export function isUnfinished(flaw: LogFlaw): boolean {
  return flaw.kind === "torn";
}

/** The flaws that no restart mends by itself. */
export function damageOf(reports: readonly Pick<LogReport, "flaws">[]): readonly LogFlaw[] {
  return reports.flatMap(({ flaws }) => flaws.filter((flaw) => !isUnfinished(flaw)));
}

/** True for damage behind which good records may lie, so that it must not be cut off. */
export function mustStay({ kind, offset }: LogFlaw): boolean {
  return kind === "version" || kind === "not-a-file" || (kind === "foreign" && offset === 0);
}

/** What helps against damage that must not be cut off; the same words wherever it is told. */
export function remedyOf({ kind, file }: LogFlaw): string {
  if (kind === "version") return "use the version of the program that wrote it";
  if (kind === "not-a-file") return `put the run's own log back in the place of ${file}`;
  return `move ${file} away and put the run's own log back`;
}

const NOTHING = { logId: null, formatVersions: [], segments: [], records: 0, bytes: 0 } as const;

const nothingIn = (directory: string, name: LogName, flaws: readonly LogFlaw[]): RunLogReport => ({
  ...{ name, directory, ...NOTHING, lastSequence: 0, flaws, aside: [], doubt: null },
});

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
  return nothingIn(directory, name, [{ ...flaw, expected: "a directory" }]);
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

/** A first segment that is no log at all is told as such: there is nothing to cut back to. */
async function withoutStrangers(files: Files, report: LogReport): Promise<readonly LogFlaw[]> {
  const [first] = report.segments;
  const flaws: LogFlaw[] = [];
  for (const flaw of report.flaws) {
    const isStart = flaw.kind === "damaged" && flaw.offset === 0 && flaw.file === first?.file;
    if (!isStart || !(await isNoLog(files, flaw.file))) flaws.push(flaw);
    else flaws.push({ ...flaw, kind: "foreign", why: "the file is not a log of this program" });
  }
  return flaws;
}

/** The log of a run that must have one and has none, or an emptied one; null for any other. */
async function lost(
  files: Files,
  directory: string,
  name: LogName,
  run: KnownRun | null,
): Promise<RunLogReport | null> {
  if (run?.hasManifest !== true) return null;
  const place = { directory: dirname(directory), runId: run.runId, name };
  const flaw = await lostLog(files, place);
  // Runs of earlier versions had their folders from the beginning, but nothing in them.
  if (flaw === null || !(run.begun || flaw.found === "nothing")) return null;
  return nothingIn(directory, name, [flaw]);
}

const UNCLOSED =
  "the run has ended, but the log does not end with the mark of a closing: records may be " +
  "missing from its end";

/** Checks every record of one log; what is wrong is told in the report. Changes nothing. */
export async function verifyRunLog(
  files: Files,
  directory: string,
  name: LogName,
  run: KnownRun | null,
): Promise<RunLogReport> {
  const nothing =
    (await notAFolder(files, directory, name)) ?? (await lost(files, directory, name, run));
  if (nothing !== null) return nothing;
  const report = await verifyLog(files, directory);
  const foreign = run === null ? null : await foreignFlaw(files, directory, run.runId, name);
  const own = await withoutStrangers(files, report);
  const flaws = foreign === null ? own : [foreign, ...own];
  const names = await files.list(directory);
  const aside = names.filter((found) => found.includes(".wal.broken"));
  const isDoubtful = run?.closed === true && !(await endsWithMark(files, report));
  return {
    ...{ name, ...report, flaws, doubt: isDoubtful ? UNCLOSED : null },
    aside: aside.map((found) => join(directory, found)),
  };
}

/**
 * Checks every record of every log below `directory`, a run's or a backup's. Changes nothing. With
 * what is known of the run, a log of another run is a flaw, and so is one that is missing.
 * @throws {NOTHING_STORED} when there is no log at all, and none has to be there.
 */
export async function verifyLogs(
  files: Files,
  directory: string,
  run: KnownRun | null = null,
): Promise<readonly RunLogReport[]> {
  const present = await listIfPresent(files, directory);
  const names = LOG_NAMES.filter((name) => present.includes(name) || run?.hasManifest === true);
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
    reports.push(await verifyRunLog(files, join(directory, name), name, run));
  }
  return reports;
}
