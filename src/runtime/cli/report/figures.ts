/** The report's plots: which curves, which scale, which words. Each is a figure with its legend. */
import { SeedStage, type SeedStageName } from "../../../protocols/leyline/enums.ts";
import type { RunSummary } from "../../../protocols/run.ts";
import { formatCount, formatNumber, plural } from "../ui/format.ts";
import { type Chart, type Curve, drawChart, type Mark, numberTick } from "./chart.ts";
import type { Point } from "./downsample.ts";
import type { RunHistory } from "./history.ts";
import { element, type Markup } from "./markup.ts";
import { extent, wantsLogarithm } from "./scale.ts";
import { drawSeedLanes, SHOWN_LANES, stageBands } from "./seed-lanes.ts";

/** Marks that are drawn in one plot. */
const SHOWN_MARKS = 120;
const TALL = 320;
const LOW = 220;

type ScoreName = RunSummary["scoreName"] | "score";

interface FigureOptions {
  readonly title: string;
  readonly unit: string;
  readonly height: number;
  readonly curves: readonly Curve[];
  readonly history: RunHistory;
  readonly note?: string;
  /** Keeps a linear axis even where a logarithmic one would show more. */
  readonly linear?: boolean;
  readonly domain?: readonly [number, number];
  readonly formatTick?: (value: number) => string;
}

const framed = (title: string, ...content: readonly Markup[]): Markup =>
  element("figure", {}, element("h3", {}, title), content);

const empty = (text: string): Markup => element("p", { class: "empty" }, text);

const key = (style: string, label: string): Markup =>
  element("span", { class: "key" }, element("i", { class: style }), label);

const legend = (keys: readonly Markup[], note: string): Markup =>
  element("figcaption", {}, keys, element("span", { class: "note" }, note));

const MARK_KEYS: readonly Markup[] = ["germinated", "fossilized", "culled"].map((name) =>
  key(`dot ${name}`, name),
);

/** A title, the legend, and the plot; or the reason why there is none. */
function figure(options: FigureOptions): Markup {
  const { title, curves, history } = options;
  const drawn = curves.filter((curve) => curve.points.some((point) => point.y !== null));
  const values = extent(drawn.flatMap((curve) => curve.points.map((point) => point.y)));
  const enough = drawn.some((curve) => curve.points.filter((point) => point.y !== null).length > 1);
  if (values === null || !enough) return emptyFigure(title);
  const domain = options.domain ?? values;
  const logarithmic = options.linear !== true && wantsLogarithm(domain);
  const chart: Chart = {
    name: title,
    unit: options.unit,
    height: options.height,
    curves: drawn,
    marks: seedMarks(history),
    lastStep: history.lastStep,
    domain,
    logarithmic,
    formatTick: options.formatTick ?? numberTick,
  };
  const notes = [logarithmic ? "logarithmic axis" : "", options.note ?? ""].filter(Boolean);
  const marks = chart.marks.length > 0 ? MARK_KEYS : [];
  const keys = [...drawn.map((curve) => key(`swatch ${curve.style}`, curve.label)), ...marks];
  return framed(title, legend(keys, notes.join("; ")), drawChart(chart));
}

/** Says that a plot could not be drawn. */
export function emptyFigure(title: string): Markup {
  return framed(title, empty("Not enough data for this plot: at least two points are needed."));
}

const MARKED: Partial<Record<SeedStageName, string>> = {
  GERMINATED: "germinated",
  FOSSILIZED: "fossilized",
  CULLED: "culled",
};

function seedMarks(history: RunHistory): Mark[] {
  const marks: Mark[] = [];
  for (const { seedId, blueprintName, moves } of history.seeds) {
    for (const { step, to } of moves) {
      const style = MARKED[to];
      if (style === undefined) continue;
      const text = `step ${formatCount(step)}: ${seedId} (${blueprintName}) ${style}`;
      marks.push({ step, style, text });
    }
  }
  return marks.sort((left, right) => left.step - right.step).slice(0, SHOWN_MARKS);
}

/** Sizes and speeds are compared with nothing at all, so their axis begins there. */
const fromZero = ([low, high]: readonly [number, number]): readonly [number, number] => [
  Math.min(0, low),
  Math.max(0, high),
];

/** Loss of single steps, and of training and validation by epoch. */
export function lossFigure(history: RunHistory): Markup {
  const { stepLoss, trainingLoss, validationLoss } = history.curves;
  return figure({
    title: "Loss",
    unit: "loss",
    height: TALL,
    history,
    curves: [
      { label: "training, single steps", style: "raw", points: stepLoss },
      { label: "training, epoch mean", style: "training", points: trainingLoss },
      { label: "validation", style: "validation", points: validationLoss },
    ],
  });
}

/** Training and validation score by epoch; accuracy in per cent. */
export function scoreFigure(history: RunHistory, scoreName: ScoreName): Markup {
  const { trainingScore, validationScore } = history.curves;
  const range = extent([...trainingScore, ...validationScore].map((point) => point.y));
  const accuracy = scoreName === "accuracy";
  // A hopeless first epoch of a regression would press everything else flat.
  const cut = !accuracy && range !== null && range[0] < -1 && range[1] > -1;
  return figure({
    title: accuracy ? "Accuracy" : scoreName === "R2" ? "R2 (1 is perfect)" : "Score",
    unit: accuracy ? "accuracy in %" : scoreName,
    height: TALL,
    history,
    linear: true,
    curves: [
      { label: "training", style: "training", points: trainingScore },
      { label: "validation", style: "validation", points: validationScore },
    ],
    ...(range === null ? {} : { domain: [cut ? -1 : range[0], range[1]] as const }),
    ...(cut ? { note: "values below -1 are cut off" } : {}),
    ...(accuracy ? { formatTick: (value: number) => formatNumber(value * 100) } : {}),
  });
}

/** Trainable parameters of host and seeds, as steps. */
export function parametersFigure(history: RunHistory): Markup {
  const { stepParameters, epochParameters } = history.curves;
  const points = stepParameters.length > 1 ? stepParameters : epochParameters;
  const range = extent(points.map((point) => point.y));
  return figure({
    title: "Parameters of the network",
    unit: "parameters",
    height: LOW,
    history,
    linear: true,
    curves: [{ label: "host and seeds", style: "parameters", points, stepped: true }],
    ...(range === null ? {} : { domain: fromZero(range) }),
  });
}

/** Norm of the gradient of single steps. */
export function gradientFigure(history: RunHistory): Markup {
  return figure({
    title: "Gradient norm",
    unit: "norm",
    height: LOW,
    history,
    curves: [{ label: "gradient norm", style: "gradient", points: history.curves.gradientNorm }],
  });
}

/** A constant learning rate is a number, not a plot: null then. */
export function learningRateFigure(history: RunHistory): Markup | null {
  const points = history.curves.learningRate;
  const range = extent(points.map((point) => point.y));
  if (range === null || range[0] === range[1]) return null;
  const curve: Curve = { label: "learning rate", style: "rate", points };
  return figure({ title: "Learning rate", unit: "rate", height: LOW, history, curves: [curve] });
}

/** Samples per second of wall time, by epoch. */
export function speedFigure(history: RunHistory): Markup {
  const points: readonly Point[] = history.curves.samplesPerSecond;
  const range = extent(points.map((point) => point.y));
  return figure({
    title: "Speed",
    unit: "samples/s",
    height: LOW,
    history,
    linear: true,
    curves: [{ label: "samples per second, by epoch", style: "speed", points }],
    ...(range === null ? {} : { domain: fromZero(range) }),
  });
}

/** Stage bands and alpha, one lane a seed. */
export function seedsFigure(history: RunHistory): Markup {
  const title = "Life of each seed";
  if (history.seeds.length === 0) {
    return framed(title, empty("No seed was germinated in this run."));
  }
  const used = new Set(
    history.seeds.flatMap((seed) => stageBands(seed, history.lastStep).map(({ stage }) => stage)),
  );
  const stages = [...used].sort((left, right) => SeedStage[left] - SeedStage[right]);
  const keys = stages.map((stage) => key(`box stage-${stage.toLowerCase()}`, stage));
  const alpha = key("swatch alpha", "alpha: share of the seed in the network");
  const hidden = history.seeds.length - SHOWN_LANES;
  const more =
    hidden > 0 ? `the first ${SHOWN_LANES} of ${plural(history.seeds.length, "seed")}` : "";
  const lanes = drawSeedLanes(history.seeds, history.lastStep);
  return framed(title, legend([...keys, alpha], more), lanes);
}
