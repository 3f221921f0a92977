/** `wal backup` and `wal restore`: saves a run elsewhere and brings it back. */
import { resolve } from "node:path";
import { EsperError } from "../../../protocols/errors.ts";
import { EXIT } from "../../run/exit.ts";
import type { Repaired, Restored } from "../../run/restore-run.ts";
import type { CliDeps } from "../deps.ts";
import type { GlobalValues } from "../options.ts";
import { formatCount, plural } from "../ui/format.ts";
import { flawLines, formatBytes, recordsIn } from "../ui/log-text.ts";
import { runRef } from "./use-run.ts";

/** Flags of `wal restore`. */
export interface WalRestoreValues extends GlobalValues {
  readonly repair: boolean;
}

/** `wal backup <run> <directory>`: saves a run that may be running. */
export async function runWalBackup(
  run: string,
  directory: string,
  values: GlobalValues,
  deps: CliDeps,
): Promise<number> {
  const target = resolve(requireText(directory, "the directory"));
  const saved = await deps.durable.backup(await runRef(run, values, deps), target);
  if (values.json) {
    deps.stdout.write(`${JSON.stringify({ kind: "wal-backup", directory: target, ...saved })}\n`);
    return EXIT.done;
  }
  const bytes = saved.files.reduce((sum, file) => sum + file.bytes, 0);
  const step = saved.step === null ? "no checkpoint yet" : `step ${formatCount(saved.step)}`;
  talk(values, deps, [
    `run ${saved.runId}: ${recordsIn(saved.logs)}, ${step}, ` +
      `${plural(saved.files.length, "file")}, ${formatBytes(bytes)}, saved in:`,
  ]);
  deps.stdout.write(`${target}\n`);
  return EXIT.done;
}

/** `wal restore <backup> <run>` or `wal restore --repair <run>`. */
export async function runWalRestore(
  first: string | undefined,
  second: string | undefined,
  values: WalRestoreValues,
  deps: CliDeps,
): Promise<number> {
  if (values.repair) {
    if (first === undefined) {
      throw new EsperError("USAGE", "--repair needs a run: wal restore --repair <run>");
    }
    if (second === undefined) return repair(first, values, deps);
    throw new EsperError("USAGE", "--repair takes one run and no backup", { given: second });
  }
  if (first === undefined || second === undefined) {
    throw new EsperError(
      "USAGE",
      "wal restore needs a backup and a run or new directory: wal restore <backup> <run>. " +
        "To mend a run without a backup: wal restore --repair <run>",
      { given: first ?? null },
    );
  }
  const backup = resolve(requireText(first, "the backup"));
  const restored = await deps.durable.restore(backup, await runRef(second, values, deps));
  if (values.json) return tellJson("wal-restore", restored, deps);
  talk(values, deps, [
    `run ${restored.runId}: ${recordsIn(restored.logs)} restored`,
    ...keptLines(restored),
  ]);
  deps.stdout.write(`${restored.directory}\n`);
  return EXIT.done;
}

/** @throws {USAGE} for an empty text, which as a path would be the current directory. */
function requireText(given: string, what: string): string {
  if (given.trim() !== "") return given;
  throw new EsperError("USAGE", `${what} is an empty text: name a path`, { given });
}

async function repair(run: string, values: WalRestoreValues, deps: CliDeps): Promise<number> {
  const repaired = await deps.durable.repair(await runRef(run, values, deps));
  if (values.json) return tellJson("wal-repair", repaired, deps);
  talk(values, deps, repairLines(repaired));
  deps.stdout.write(`${repaired.directory}\n`);
  return EXIT.done;
}

function repairLines(repaired: Repaired): string[] {
  const { damage, runId, logs, left } = repaired;
  if (damage.length === 0) return [`run ${runId}: nothing is damaged, nothing was changed`];
  return [
    ...damage.flatMap(flawLines),
    `run ${runId}: ${recordsIn(logs)} kept, up to the last good one of each`,
    ...keptLines(repaired),
    ...(left.length > 0 ? [`not taken over: ${left.join(", ")}`] : []),
  ];
}

function keptLines({ replaced }: Restored): string[] {
  return replaced === null ? [] : [`what was there before is kept in ${replaced}`];
}

function tellJson(kind: string, data: object, deps: CliDeps): number {
  deps.stdout.write(`${JSON.stringify({ kind, ...data })}\n`);
  return EXIT.done;
}

/** Words beside the result go to stderr, so that stdout can be piped; none with `--quiet`. */
function talk(values: GlobalValues, deps: CliDeps, lines: readonly string[]): void {
  if (!values.quiet) deps.stderr.write(lines.map((line) => `${line}\n`).join(""));
}
