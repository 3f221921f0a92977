/**
 * What a person is told at the end: what growth did to the scores, stated plainly also when it did
 * nothing, what the run cost, where everything is, and what can be done next.
 */
import type { RunSummary } from "../../../protocols/run.ts";
import {
  formatCount,
  formatDuration,
  formatGrowth,
  formatLoss,
  formatScore,
  formatScoreChange,
  plural,
} from "./format.ts";
import { type Line, lineOf } from "./line.ts";
import type { Palette } from "./palette.ts";
import { padEnd, padStart } from "./width.ts";

const LABEL_COLUMNS = 15;

const OUTCOME: Readonly<Record<RunSummary["outcome"], string>> = {
  completed: "Training complete",
  "target-reached": "Target score reached",
  stopped: "Training stopped early",
  failed: "Training failed",
};

/** What growth did, in one or two sentences. */
export interface GrowthVerdict {
  readonly helped: boolean;
  readonly text: string;
}

/** Judged by the validation score, then by the validation loss; never by the test score. */
export function judgeGrowth(summary: RunSummary): GrowthVerdict {
  const { seeds, beforeGrowth, last, scoreName } = summary;
  const germinated = seeds.fossilized + seeds.culled + seeds.alive;
  if (germinated === 0) {
    return { helped: false, text: "The network did not grow: no seed was germinated." };
  }
  if (seeds.fossilized === 0) {
    const state = `${formatCount(seeds.culled)} culled, ${formatCount(seeds.alive)} still growing`;
    return {
      helped: false,
      text: `Growth did not help: no seed passed every gate (${state}).`,
    };
  }
  const before = formatScore(scoreName, beforeGrowth.validationScore);
  const after = formatScore(scoreName, last.validationScore);
  const change = last.validationScore - beforeGrowth.validationScore;
  const size = formatCount(summary.totalParameters - summary.hostParameters);
  const moved = `validation ${scoreName} ${before} before the first seed, ${after} at the end`;
  if (change > 0) {
    const text = `Growth helped: ${moved}, with ${size} parameters more. `;
    return { helped: true, text: `${text}Training went on meanwhile, so not all of it is growth.` };
  }
  const losses = [beforeGrowth.validationLoss, last.validationLoss] as const;
  if (change === 0 && losses[1] < losses[0]) {
    const loss = `validation loss ${formatLoss(losses[0])} -> ${formatLoss(losses[1])}`;
    return { helped: true, text: `Growth left the score at ${after} but lowered the ${loss}.` };
  }
  return { helped: false, text: `Growth did not help: ${moved}.` };
}

/** The lines of the summary. `program` is how the user calls this program. */
export function summaryBlock(summary: RunSummary, program: string, palette: Palette): Line[] {
  const { outcome, epochs, steps, wallSeconds } = summary;
  const verdict = judgeGrowth(summary);
  const paint = outcome === "failed" ? palette.bad : palette.title;
  const spent = `${plural(epochs, "epoch")}, ${plural(steps, "step")}`;
  return [
    lineOf(""),
    lineOf(`${paint(OUTCOME[outcome])}: ${spent} in ${formatDuration(wallSeconds)}`),
    ...scoreTable(summary, palette).map((row) => lineOf(row)),
    ...facts(summary).map(([label, text]) =>
      lineOf(`  ${palette.label(padEnd(label, LABEL_COLUMNS))}${text}`, LABEL_COLUMNS + 2),
    ),
    lineOf((verdict.helped ? palette.good : palette.warn)(verdict.text), 0),
    lineOf(palette.title("Next:")),
    ...nextCommands(summary, program).flatMap(([command, why]) => [
      lineOf(`  ${palette.faint(`# ${why}`)}`),
      lineOf(`  ${command}`, null),
    ]),
  ];
}

function scoreTable(summary: RunSummary, palette: Palette): string[] {
  const { scoreName, beforeGrowth, last, testScore, seeds } = summary;
  const grew = seeds.fossilized + seeds.culled + seeds.alive > 0;
  const score = (value: number): string => formatScore(scoreName, value);
  const change = (after: number, before: number): string =>
    formatScoreChange(scoreName, after - before);
  const columns: string[][] = [
    ["training", score(beforeGrowth.trainingScore), score(last.trainingScore)],
    ["validation", score(beforeGrowth.validationScore), score(last.validationScore)],
    ...(testScore === null ? [] : [["test", "-", score(testScore)]]),
  ];
  columns[0]?.push(change(last.trainingScore, beforeGrowth.trainingScore));
  columns[1]?.push(change(last.validationScore, beforeGrowth.validationScore));
  const labels = [scoreName, "before growth", "at the end", "change"];
  const shown = grew ? [0, 1, 2, 3] : [0, 2];
  return shown.map((row) => {
    const cells = columns.map((column) => padStart(column[row] ?? "", 14)).join("");
    return `  ${palette.label(padEnd(labels[row] ?? "", LABEL_COLUMNS))}${cells}`.trimEnd();
  });
}

function facts(summary: RunSummary): [label: string, text: string][] {
  const { hostParameters: host, totalParameters, seeds, firstGrowthSeconds } = summary;
  const grown = formatGrowth(host, totalParameters);
  const first =
    firstGrowthSeconds === null ? "" : `; the first after ${formatDuration(firstGrowthSeconds)}`;
  return [
    ["parameters", `${formatCount(host)} host -> ${formatCount(totalParameters)} total, ${grown}`],
    [
      "seeds",
      `${formatCount(seeds.fossilized)} fossilized (kept), ${formatCount(seeds.culled)} culled, ` +
        `${formatCount(seeds.alive)} still growing${first}`,
    ],
    ["restarts", formatCount(summary.restarts)],
    ["memory", `${formatCount(summary.residentMemoryMb)} MiB resident`],
    ["run folder", summary.directory],
  ];
}

/** Resuming is offered only where something is left to train. */
function nextCommands(summary: RunSummary, program: string): [command: string, why: string][] {
  const run = quote(summary.directory);
  const unfinished = summary.outcome === "stopped" || summary.outcome === "failed";
  return [
    ...(unfinished
      ? [[`${program} --resume ${run}`, "continue from the last checkpoint"] as [string, string]]
      : []),
    [`${program} report ${run}`, "plots of everything above, as one HTML file"],
    [`${program} evaluate ${run} --data <file>`, "score it on data it has not seen"],
  ];
}

/** A path as one word of a shell command. */
function quote(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
