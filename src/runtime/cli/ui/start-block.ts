/** What a person is told when training starts: the data as it was understood, and the set-up. */
import type { DataReport } from "../../../protocols/dataset.ts";
import type { RunEvent } from "../../../protocols/run.ts";
import { formatCount, formatPercent, plural } from "./format.ts";
import { type Line, lineOf } from "./line.ts";
import type { Palette } from "./palette.ts";
import { padEnd } from "./width.ts";

type StartedEvent = Extract<RunEvent, { kind: "started" }>;
type Row = readonly [label: string, text: string];

/** Entries of a list that are shown before "and n more". */
const SHOWN = 8;
const LABEL_COLUMNS = 11;
const HANG = LABEL_COLUMNS + 2;

/** The lines of the start block. */
export function startBlock(event: StartedEvent, palette: Palette): Line[] {
  const { resumedFromStep } = event;
  const resumed =
    resumedFromStep === null ? "" : `, resumed from step ${formatCount(resumedFromStep)}`;
  const rows: Row[] = [
    ["data", describeData(event)],
    ...reportRows(event.dataset.report),
    ["host", `${event.host}, ${plural(event.hostParameters, "parameter")}`],
    ["engine", `${event.engine} on topology ${event.topology}`],
    ["plan", `at most ${plural(event.epochs, "epoch")}, seed ${event.seed}`],
    ...signingRows(event),
    ["run folder", event.directory],
    ["roles", "Tolaria, Tamiyo, Kasmina, Urza"],
  ];
  return [
    lineOf(`${palette.title("Esper runtime")}  run ${event.runId}${resumed}`),
    ...rows.map(([label, text]) =>
      lineOf(`  ${palette.label(padEnd(label, LABEL_COLUMNS))}${text}`, HANG),
    ),
    lineOf(""),
  ];
}

function signingRows({ secretGenerated }: StartedEvent): Row[] {
  return secretGenerated ? [["signing", "signing secret generated for this run"]] : [];
}

function describeData({ dataset }: StartedEvent): string {
  const { name, task, inputShape, report, trainRows, validationRows, testRows } = dataset;
  const input =
    inputShape.length === 1
      ? plural(report.features, "feature")
      : `inputs of ${inputShape.join(" x ")}`;
  const classes = report.classBalance === null ? 0 : Object.keys(report.classBalance).length;
  const target = task === "classification" ? plural(classes, "class") : "a number to predict";
  const test = testRows > 0 ? `, ${formatCount(testRows)} test` : "";
  return (
    `${name}: ${plural(report.rows, "row")} from ${report.source}, ${input}, ${target}; ` +
    `${formatCount(trainRows)} training, ${formatCount(validationRows)} validation${test} rows`
  );
}

/** What was noticed in the data; nothing is shown where there was nothing to notice. */
function reportRows(report: DataReport): Row[] {
  const rows: Row[] = [];
  if (report.classBalance !== null) rows.push(["balance", balanceText(report.classBalance)]);
  const dropped = total(report.dropped);
  if (dropped > 0) rows.push(["left out", `${plural(dropped, "row")}: ${listing(report.dropped)}`]);
  const filled = total(report.filled);
  if (filled > 0) {
    rows.push(["filled in", `${plural(filled, "missing value")}: ${listing(report.filled)}`]);
  }
  return [...rows, ...report.notes.map((note): Row => ["note", note])];
}

const total = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((sum, count) => sum + count, 0);

/** Classes by size, e.g. `yes 62.5 % (500), no 37.5 % (300)`. */
function balanceText(balance: Readonly<Record<string, number>>): string {
  const all = total(balance);
  const classes = bySize(balance).map(
    ([name, count]) => `${name} ${formatPercent(count / all)} (${formatCount(count)})`,
  );
  return shorten(classes);
}

const listing = (counts: Readonly<Record<string, number>>): string =>
  shorten(bySize(counts).map(([name, count]) => `${name} (${formatCount(count)})`));

const bySize = (counts: Readonly<Record<string, number>>): [string, number][] =>
  Object.entries(counts)
    .filter(([, count]) => count > 0)
    .sort(([, left], [, right]) => right - left);

function shorten(items: readonly string[]): string {
  const more = items.length - SHOWN;
  const shown = items.slice(0, SHOWN).join(", ");
  return more > 0 ? `${shown} and ${formatCount(more)} more` : shown;
}
