/** `wal inspect` and `wal verify`: what is in the logs of a run or a backup, and what is wrong. */
import { EsperError } from "../../../protocols/errors.ts";
import { damageOf, isUnfinished } from "../../durable/log-inspect.ts";
import { EXIT } from "../../run/exit.ts";
import type { CliDeps } from "../deps.ts";
import type { LogsContents, LogsVerdict } from "../durable-deps.ts";
import type { GlobalValues } from "../options.ts";
import { contentsLine, flawLines, laneLine, logRows, recordLines } from "../ui/log-text.ts";
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
  for await (const record of deps.durable.readRecords(ref, wanted)) {
    const lines = values.json
      ? [JSON.stringify({ kind: "wal-record", ...record })]
      : recordLines(record);
    deps.stdout.write(lines.map((line) => `${line}\n`).join(""));
  }
  return EXIT.done;
}

/** `wal verify <run or backup>`: checks every record; exits with 4 when something is damaged. */
export async function runWalVerify(
  run: string,
  values: GlobalValues,
  deps: CliDeps,
): Promise<number> {
  const found = await deps.durable.verifyLogs(await runRef(run, values, deps));
  if (values.json) return writeJson(deps, { kind: "wal-verify", ...jsonOf(found) }, found);
  const damage = damageOf(found.logs);
  const verdict = damage.length === 0 ? "sound" : "damaged";
  const lines = values.quiet
    ? [verdict]
    : [headline(found), alignColumns(logRows(found.logs)), ...flawText(found), "", advice(found)];
  deps.stdout.write(`${lines.join("\n")}\n`);
  return exitOf(found);
}

function headline({ directory, backup, live }: LogsVerdict): string {
  if (backup === null) return `${directory}${live ? " (a process works on it)" : ""}`;
  return `${directory} (backup of run ${backup.runId} at ${backup.createdAt}; digests match)`;
}

/** Damage in full; an unfinished write in one line, because the next start mends it. */
function flawText({ logs, live }: LogsVerdict): string[] {
  const damage = damageOf(logs);
  const shown = damage.slice(0, SHOWN_FLAWS).flatMap(flawLines);
  const more = damage.length - SHOWN_FLAWS;
  const torn = logs.flatMap(({ flaws }) => flaws.filter(isUnfinished));
  const meaning = live
    ? "a write is under way"
    : "an unfinished write; the next start cuts it off, and nothing of it was acknowledged";
  return [
    ...(shown.length > 0 ? ["", ...shown] : []),
    ...(more > 0 ? [`and ${more} more; --json shows all`] : []),
    ...torn.map(({ file, offset }) => `${file} at byte ${offset}: ${meaning}`),
  ];
}

function advice({ directory, backup, logs }: LogsVerdict): string {
  if (damageOf(logs).length === 0) return "sound: every record that was acknowledged is intact";
  if (backup !== null) return "damaged: use another backup";
  return (
    "damaged: put a backup back with `wal restore <backup> <run>`, or go back to the last good " +
    `record with\n  wal restore --repair ${directory}`
  );
}

function jsonOf(found: LogsVerdict | LogsContents): object {
  const damage = damageOf(found.logs).length;
  return { ok: damage === 0, damage, ...found };
}

function writeJson(deps: CliDeps, data: object, found: LogsVerdict): number {
  deps.stdout.write(`${JSON.stringify(data)}\n`);
  return exitOf(found);
}

function exitOf({ logs }: LogsVerdict): number {
  return damageOf(logs).length === 0 ? EXIT.done : EXIT.promiseBroken;
}
