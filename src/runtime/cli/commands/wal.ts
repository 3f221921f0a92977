/** `wal inspect` and `wal verify`: what is in the logs of a run or a backup, and what is wrong. */
import { EsperError } from "../../../protocols/errors.ts";
import type { RecordsEnd } from "../../durable/log-contents.ts";
import { damageOf, isUnfinished, mustStay, remedyOf } from "../../durable/log-inspect.ts";
import type { SegmentReport } from "../../durable/wal-verify.ts";
import { EXIT } from "../../run/exit.ts";
import type { CliDeps } from "../deps.ts";
import type { LogsContents, LogsVerdict } from "../durable-deps.ts";
import type { GlobalValues } from "../options.ts";
import {
  contentsLine,
  flawLines,
  laneLine,
  logRows,
  recordLines,
  recordsEndLines,
  restoredLine,
} from "../ui/log-text.ts";
import { printable } from "../ui/width.ts";
import { alignColumns, runRef } from "./use-run.ts";

/** Flags of `wal inspect`. */
export interface WalInspectValues extends GlobalValues {
  readonly records: boolean;
  readonly from: number | null;
  readonly limit: number | null;
}

const SHOWN_RECORDS = 100;
const SHOWN_FLAWS = 20;

/** `wal inspect <run>`: how much the logs hold, or with `--records` each record. */
export async function runWalInspect(
  run: string,
  values: WalInspectValues,
  deps: CliDeps,
): Promise<number> {
  if (values.records) return showRecords(run, values, deps);
  const unread = values.from === null ? values.limit : values.from;
  if (unread !== null) {
    const flag = values.from === null ? "--limit" : "--from";
    throw new EsperError("USAGE", `${flag} needs --records`, { flag });
  }
  const found = await deps.durable.inspectLogs(await runRef(run, values, deps));
  if (values.json) return writeJson(deps, { kind: "wal-inspect", ...jsonOf(found) }, found);
  const lines = [
    headline(found),
    alignColumns(logRows(found.logs)),
    "",
    ...found.contents.map(contentsLine),
    ...found.contents.flatMap(({ lanes }) => lanes ?? []).map(laneLine),
    ...flawText(found),
  ];
  deps.stdout.write(
    `${lines
      .join("\n")
      .replaceAll(/\n{3,}/g, "\n\n")
      .trimEnd()}\n`,
  );
  return exitOf(found);
}

async function showRecords(run: string, values: WalInspectValues, deps: CliDeps): Promise<number> {
  const wanted = { from: values.from ?? 1, limit: values.limit ?? SHOWN_RECORDS };
  const ref = await runRef(run, values, deps);
  let code: number = EXIT.done;
  for await (const told of deps.durable.readRecords(ref, wanted)) {
    if ("end" in told) {
      if (told.end === "damage") code = EXIT.promiseBroken;
      tellEnd(told, wanted.from, values, deps);
    } else if (values.json) {
      deps.stdout.write(`${JSON.stringify({ kind: "wal-record", ...told })}\n`);
    } else {
      deps.stdout.write(
        recordLines(told)
          .map((line) => `${line}\n`)
          .join(""),
      );
    }
  }
  return code;
}

/** Why no more is shown: beside the records, or as a line of its own kind among them. */
function tellEnd(ended: RecordsEnd, from: number, values: GlobalValues, deps: CliDeps): void {
  if (values.json) {
    const { log: name, ...rest } = ended;
    deps.stdout.write(`${JSON.stringify({ kind: "wal-records-end", name, ...rest })}\n`);
  } else if (!values.quiet) {
    deps.stderr.write(
      recordsEndLines(ended, from)
        .map((line) => `${line}\n`)
        .join(""),
    );
  }
}

/** `wal verify <run or backup>`: checks every record; exits with 4 when something is damaged. */
export async function runWalVerify(
  run: string,
  values: GlobalValues,
  deps: CliDeps,
): Promise<number> {
  const found = await deps.durable.verifyLogs(await runRef(run, values, deps));
  if (values.json) return writeJson(deps, { kind: "wal-verify", ...jsonOf(found) }, found);
  const lines = values.quiet
    ? [verdictOf(found)]
    : [headline(found), alignColumns(logRows(found.logs)), ...flawText(found), "", advice(found)];
  deps.stdout.write(`${lines.join("\n")}\n`);
  return exitOf(found);
}

/** In one word. Records that may be missing are no damage, but nothing vouches for them either. */
function verdictOf({ logs }: LogsVerdict): "sound" | "suspect" | "damaged" {
  if (damageOf(logs).length > 0) return "damaged";
  return logs.some(({ doubt }) => doubt !== null) ? "suspect" : "sound";
}

function headline({ directory, backup, live }: LogsVerdict): string {
  if (backup === null) return `${directory}${live ? " (a process works on it)" : ""}`;
  return `${directory} (backup of run ${backup.runId} at ${backup.createdAt}; digests match)`;
}

/** Damage in full; an unfinished write in one line, because the next start mends it. */
function flawText({ logs, live, restored }: LogsVerdict): string[] {
  const damage = damageOf(logs);
  const shown = damage.slice(0, SHOWN_FLAWS).flatMap(flawLines);
  const more = damage.length - SHOWN_FLAWS;
  const torn = logs.flatMap(({ flaws }) => flaws.filter(isUnfinished));
  const meaning = live ? "a write is under way" : "an unfinished write; the next start cuts it off";
  return [
    ...(shown.length > 0 ? ["", ...shown] : []),
    ...(more > 0 ? [`and ${more} more; --json shows all`] : []),
    ...torn.map(({ file, offset }) => `${file} at byte ${offset}: ${meaning}`),
    ...logs.flatMap(({ name, doubt }) => (doubt === null ? [] : [`${name}: ${doubt}`])),
    ...logs.flatMap(({ aside }) => aside.map((file) => `put aside by a salvage: ${file}`)),
    ...(restored === null ? [] : [restoredLine(restored)]),
  ];
}

/** What was found, and what helps; cutting is named only where it is not refused. */
function advice(found: LogsVerdict): string {
  const { directory, backup, logs } = found;
  const verdict = verdictOf(found);
  if (verdict === "sound") return "sound: every record that is there is intact";
  if (backup !== null) return `${verdict}: use another backup`;
  const restore = "put a backup back with `wal restore <backup> <run>`";
  if (verdict === "suspect") {
    return `suspect: every record that is there is intact; if you miss any, ${restore}`;
  }
  const kept = damageOf(logs).filter(mustStay);
  if (kept.length > 0) {
    const helps = new Set(kept.map(remedyOf));
    return `damaged: its records may be good, so nothing is cut off. ${restore}, or\n${[...helps]
      .map((help) => `  ${printable(help)}`)
      .join("\n")}`;
  }
  return (
    `damaged: ${restore}, or go back to the last good ` +
    `record with\n  wal restore --repair ${directory}`
  );
}

function jsonOf(found: LogsVerdict | LogsContents): object {
  const damage = damageOf(found.logs).length;
  const verdict = verdictOf(found);
  const logs = found.logs.map((log) => ({ ...log, segments: log.segments.map(timesOf) }));
  return { ok: verdict === "sound", verdict, damage, ...found, logs };
}

/** An empty segment has no times; 0 would be a date. */
function timesOf(segment: SegmentReport): object {
  return segment.records > 0 ? segment : { ...segment, oldestTimeMs: null, newestTimeMs: null };
}

function writeJson(deps: CliDeps, data: object, found: LogsVerdict): number {
  deps.stdout.write(`${JSON.stringify(data)}\n`);
  return exitOf(found);
}

function exitOf(found: LogsVerdict): number {
  return verdictOf(found) === "sound" ? EXIT.done : EXIT.promiseBroken;
}
