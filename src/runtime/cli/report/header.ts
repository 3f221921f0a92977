/** The top of the report: what run this is, how it ended, and the figures a reader wants first. */
import type { RunSummary } from "../../../protocols/run.ts";
import {
  formatCount,
  formatDuration,
  formatGrowth,
  formatLoss,
  formatScore,
  formatScoreChange,
  plural,
} from "../ui/format.ts";
import { judgeGrowth } from "../ui/summary-block.ts";
import { element, type Markup, markup } from "./markup.ts";

const OUTCOME: Readonly<Record<RunSummary["outcome"], string>> = {
  completed: "completed",
  "target-reached": "target reached",
  stopped: "stopped early",
  failed: "failed",
};

/** Title, outcome, figures and verdict; only the title where there is no summary. */
export function reportHeader(title: string, summary: RunSummary | null): Markup {
  if (summary === null) {
    const lead = "This run has not ended, or was cut off: there is no summary.";
    return heading(title, null, lead);
  }
  const { outcome, datasetName, epochs, steps, residentMemoryMb } = summary;
  const spent = [plural(epochs, "epoch"), plural(steps, "step")].join(", ");
  const memory = `${formatCount(residentMemoryMb)} MiB of memory`;
  const lead = `${datasetName}, ${summary.task}: ${spent}, ${memory}`;
  const badge = element("span", { class: `badge ${outcome}` }, OUTCOME[outcome]);
  const verdict = element("p", { class: "verdict" }, judgeGrowth(summary).text);
  return markup`${heading(title, badge, lead)}${tiles(summary)}${verdict}`;
}

function heading(title: string, badge: Markup | null, lead: string): Markup {
  return element(
    "header",
    {},
    element("p", { class: "brand" }, "Esper runtime"),
    element("h1", {}, `${title} `, badge),
    element("p", { class: "lead" }, lead),
  );
}

interface Tile {
  readonly label: string;
  readonly value: string;
  readonly detail: string;
}

function tiles(summary: RunSummary): Markup {
  const list = [...scoreTiles(summary), ...sizeTiles(summary), ...costTiles(summary)];
  const drawn = list.map(({ label, value, detail }) =>
    element(
      "div",
      { class: "tile" },
      element("p", { class: "label" }, label),
      element("p", { class: "value" }, value),
      element("p", { class: "detail" }, detail),
    ),
  );
  return element("section", { class: "tiles" }, drawn);
}

function scoreTiles({ scoreName, beforeGrowth, last, testScore, seeds }: RunSummary): Tile[] {
  const grew = seeds.fossilized + seeds.culled + seeds.alive > 0;
  const before = formatScore(scoreName, beforeGrowth.validationScore);
  const change = formatScoreChange(scoreName, last.validationScore - beforeGrowth.validationScore);
  const validation: Tile = {
    label: `validation ${scoreName}`,
    value: formatScore(scoreName, last.validationScore),
    detail: grew ? `${before} before growth, ${change}` : "nothing was grown",
  };
  const training: Tile = {
    label: `training ${scoreName}`,
    value: formatScore(scoreName, last.trainingScore),
    detail: `loss ${formatLoss(last.trainingLoss)}, validation ${formatLoss(last.validationLoss)}`,
  };
  if (testScore === null) return [validation, training];
  const test = {
    label: `test ${scoreName}`,
    value: formatScore(scoreName, testScore),
    detail: "on rows no decision ever saw",
  };
  return [validation, test, training];
}

function sizeTiles({ hostParameters, totalParameters, seeds }: RunSummary): Tile[] {
  const grown = formatGrowth(hostParameters, totalParameters);
  return [
    {
      label: "parameters",
      value: formatCount(totalParameters),
      detail: `host ${formatCount(hostParameters)}, ${grown}`,
    },
    {
      label: "seeds kept",
      value: formatCount(seeds.fossilized),
      detail: `${formatCount(seeds.culled)} culled, ${formatCount(seeds.alive)} still growing`,
    },
  ];
}

function costTiles({ wallSeconds, firstGrowthSeconds, restarts }: RunSummary): Tile[] {
  const first =
    firstGrowthSeconds === null
      ? "no growth"
      : `first growth after ${formatDuration(firstGrowthSeconds)}`;
  return [
    {
      label: "wall time",
      value: formatDuration(wallSeconds),
      detail: `${first}, ${plural(restarts, "restart")}`,
    },
  ];
}
