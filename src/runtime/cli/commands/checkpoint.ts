/** `checkpoint ls`, `checkpoint verify` and `checkpoint diff`. */
import { EsperError } from "../../../protocols/errors.ts";
import type { ArrayChange, CheckpointDiff, MetaChange } from "../../durable/checkpoint-diff.ts";
import type { CheckpointVerdict } from "../../durable/checkpoint-file.ts";
import { EXIT } from "../../run/exit.ts";
import type { CliDeps } from "../deps.ts";
import type { GlobalValues } from "../options.ts";
import { formatCount, formatNumber, plural } from "../ui/format.ts";
import { checkpointRows, formatBytes } from "../ui/log-text.ts";
import { printable, truncate } from "../ui/width.ts";
import { alignColumns, runRef } from "./use-run.ts";

const VALUE_COLUMNS = 60;
const SHOWN_CHANGES = 50;

/** `checkpoint ls <run>`: newest first. */
export async function runCheckpointList(
  run: string,
  values: GlobalValues,
  deps: CliDeps,
): Promise<number> {
  const found = await deps.durable.listCheckpoints(await runRef(run, values, deps));
  if (values.json) return writeJson(deps, { kind: "checkpoints", ...found });
  if (found.checkpoints.length === 0) {
    if (!values.quiet) deps.stderr.write(`there are no checkpoints in ${found.directory}\n`);
    return EXIT.done;
  }
  deps.stdout.write(`${alignColumns(checkpointRows(found.checkpoints))}\n`);
  return EXIT.done;
}

/** `checkpoint verify <run or file>`: reads every byte; exits with 4 when one is damaged. */
export async function runCheckpointVerify(
  run: string,
  values: GlobalValues,
  deps: CliDeps,
): Promise<number> {
  const found = await deps.durable.verifyCheckpoints(await runRef(run, values, deps));
  const { directory, checkpoints } = found;
  const ok = checkpoints.every((verdict) => verdict.ok);
  if (checkpoints.length === 0) {
    throw new EsperError(
      "NOTHING_STORED",
      `${directory} holds no checkpoint: the run has not come that far, or they were removed`,
      { directory },
    );
  }
  if (values.json) writeJson(deps, { kind: "checkpoint-verify", ok, ...found });
  else deps.stdout.write(checkpoints.map((verdict) => `${verdictText(verdict)}\n`).join(""));
  return ok ? EXIT.done : EXIT.promiseBroken;
}

function verdictText({ path, ok, flaw, bytes, step, arrays, digest }: CheckpointVerdict): string {
  if (ok || flaw === null) {
    const at = step === null ? "" : `step ${formatCount(step)}, `;
    return `intact   ${path}  ${at}${plural(arrays, "array")}, ${formatBytes(bytes)}, ${digest}`;
  }
  return [
    `${flaw.newer ? "unknown" : "damaged"}  ${path} at byte ${formatCount(flaw.offset)}: ` +
      printable(flaw.why),
    `  expected  ${printable(flaw.expected)}`,
    `  found     ${printable(flaw.found)}`,
  ].join("\n");
}

/** `checkpoint diff <a> <b>`: what one must change in `a` to get `b`. */
export async function runCheckpointDiff(
  left: string,
  right: string,
  values: GlobalValues,
  deps: CliDeps,
): Promise<number> {
  const refs = [await runRef(left, values, deps), await runRef(right, values, deps)] as const;
  const { checkpoints, ...difference } = await deps.durable.diffCheckpoints(...refs).catch(asked);
  const [from, to] = checkpoints;
  if (values.json) return writeJson(deps, { kind: "checkpoint-diff", from, to, ...difference });
  const lines = [`from  ${from}`, `to    ${to}`, "", ...diffLines(difference)];
  deps.stdout.write(`${lines.join("\n")}\n`);
  return EXIT.done;
}

/** What a resume may pass over is what was asked for here: the command has no other answer. */
function asked(error: unknown): never {
  if (!EsperError.is(error, "CHECKPOINT_DIGEST")) throw error;
  throw new EsperError("CHECKPOINT_DAMAGED", error.message, error.details, error);
}

function diffLines({ identical, arrays, meta }: CheckpointDiff): string[] {
  if (identical) return ["identical: the same numbers and the same metadata"];
  const rows = arrays.slice(0, SHOWN_CHANGES).map(arrayRow);
  const head = ["ARRAY", "CHANGE", "DIFFER", "LARGEST", "AT", "RELATIVE"];
  return [
    ...(rows.length === 0 ? [] : [alignColumns([head, ...rows]), ""]),
    ...meta.slice(0, SHOWN_CHANGES).map(metaLine),
    ...(arrays.length > SHOWN_CHANGES || meta.length > SHOWN_CHANGES
      ? [`only the first ${SHOWN_CHANGES} of each are shown; --json shows all`]
      : []),
    `${plural(arrays.length, "array")} and ${plural(meta.length, "value")} differ`,
  ];
}

function arrayRow(change: ArrayChange): string[] {
  const { left, right, different, maxAbsolute, maxAbsoluteAt, maxRelative, notFinite } = change;
  const shape = (side: typeof left): string => (side ? `${side.type}[${side.length}]` : "-");
  const what =
    change.change === "changed" ? "changed" : `${change.change} ${shape(left)} -> ${shape(right)}`;
  const odd = notFinite === 0 ? "" : ` (${formatCount(notFinite)} not finite)`;
  return [
    printable(change.name),
    what,
    different === null
      ? "-"
      : `${formatCount(different)} of ${formatCount(left?.length ?? 0)}${odd}`,
    maxAbsolute === null ? "-" : formatNumber(maxAbsolute),
    maxAbsoluteAt === null ? "-" : formatCount(maxAbsoluteAt),
    maxRelative === null ? "-" : formatNumber(maxRelative),
  ];
}

function metaLine({ path, change, left, right }: MetaChange): string {
  const show = (value: unknown): string =>
    truncate(printable(JSON.stringify(value) ?? "nothing"), VALUE_COLUMNS);
  if (change === "added") return `${printable(path)}: added ${show(right)}`;
  if (change === "removed") return `${printable(path)}: removed ${show(left)}`;
  return `${printable(path)}: ${show(left)} -> ${show(right)}`;
}

function writeJson(deps: CliDeps, data: object): number {
  deps.stdout.write(`${JSON.stringify(data)}\n`);
  return EXIT.done;
}
