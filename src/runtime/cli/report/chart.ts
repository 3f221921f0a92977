/**
 * A plot over optimizer steps as inline SVG: frame, grid, ticks, labels, curves and marks. All
 * plots of a report share their horizontal geometry, so that one step is at one place everywhere.
 */
import { formatCount, formatNumber } from "../ui/format.ts";
import { downsample, type Point } from "./downsample.ts";
import { element, type Markup, markup } from "./markup.ts";
import { linearScale, logScale, type Scale } from "./scale.ts";

/** Geometry in units of the picture, which is scaled to the width of the page. */
export const CHART_WIDTH = 960;
export const PLOT_LEFT = 80;
export const PLOT_RIGHT = CHART_WIDTH - 28;
const PLOT_TOP = 14;
const AXIS_HEIGHT = 40;

/** Points of one curve; more cannot be told apart on a screen. */
export const CURVE_POINTS = 1_500;

/** One line of a plot; points ascend in `x`. */
export interface Curve {
  readonly label: string;
  /** Class that gives the colour. */
  readonly style: string;
  readonly points: readonly Point[];
  /** Holds each value until the next one instead of joining them. */
  readonly stepped?: boolean;
}

/** Something that happened at a step. */
export interface Mark {
  readonly step: number;
  readonly style: string;
  readonly text: string;
}

/** A plot, ready to be drawn; `domain` is in units of the values. */
export interface Chart {
  readonly name: string;
  readonly unit: string;
  readonly height: number;
  readonly curves: readonly Curve[];
  readonly marks: readonly Mark[];
  readonly lastStep: number;
  readonly domain: readonly [number, number];
  readonly logarithmic: boolean;
  readonly formatTick: (value: number) => string;
}

/** The scale of steps that all plots share. */
export function stepScale(lastStep: number): Scale {
  return linearScale([0, Math.max(1, lastStep)], {
    range: [PLOT_LEFT, PLOT_RIGHT],
    tickCount: 8,
    widen: false,
    smallestStep: 1,
  });
}

/** The plot as an SVG element. */
export function drawChart(chart: Chart): Markup {
  const bottom = chart.height - AXIS_HEIGHT;
  const x = stepScale(chart.lastStep);
  const make = chart.logarithmic ? logScale : linearScale;
  const y = make(chart.domain, { range: [bottom, PLOT_TOP], tickCount: 5, widen: true });
  const clip = `clip-${chart.name.replace(/\W+/g, "-").toLowerCase()}`;
  return element(
    "svg",
    {
      viewBox: `0 0 ${CHART_WIDTH} ${chart.height}`,
      role: "img",
      "aria-label": `${chart.name} over steps`,
    },
    clipPath(clip, bottom),
    y.ticks.map((tick) => drawTick(y.at(tick), chart.formatTick(tick))),
    drawStepAxis(x, PLOT_TOP, bottom),
    drawUnit(chart.unit, 12, (PLOT_TOP + bottom) / 2),
    chart.marks.map((mark) => drawMark(mark, x, bottom)),
    element(
      "g",
      { "clip-path": `url(#${clip})` },
      chart.curves.map((curve) => drawCurve(curve, x, y)),
    ),
  );
}

/** Cuts curves off at the frame; two pixels more, so that a line on the edge keeps its width. */
function clipPath(id: string, bottom: number): Markup {
  const width = PLOT_RIGHT - PLOT_LEFT;
  const height = bottom - PLOT_TOP + 4;
  return element(
    "clipPath",
    { id },
    element("rect", { x: PLOT_LEFT, y: PLOT_TOP - 2, width, height }),
  );
}

/** Grid lines, ticks and the label of the axis of steps. */
export function drawStepAxis(x: Scale, top: number, bottom: number): Markup {
  const ticks = x.ticks.map((tick) => {
    const at = px(x.at(tick));
    const place = { class: "tick", x: at, y: bottom + 16, "text-anchor": "middle" };
    return [
      element("line", { class: "grid", x1: at, x2: at, y1: top, y2: bottom }),
      element("text", place, formatCount(tick)),
    ];
  });
  const middle = (PLOT_LEFT + PLOT_RIGHT) / 2;
  return markup`${ticks}${horizontalLine("axis", bottom)}${element(
    "text",
    { class: "unit", x: middle, y: bottom + 33 },
    "optimizer step",
  )}`;
}

/** A line across the plot. */
export function horizontalLine(style: string, y: number): Markup {
  return element("line", { class: style, x1: PLOT_LEFT, x2: PLOT_RIGHT, y1: px(y), y2: px(y) });
}

/** A label of the vertical axis, right of which the plot begins. */
export function tickLabel(y: number, label: string): Markup {
  const place = { class: "tick", x: PLOT_LEFT - 8, y: px(y), "text-anchor": "end" };
  return element("text", place, label);
}

/** The unit of the vertical axis, written upwards. */
export function drawUnit(unit: string, x: number, y: number): Markup {
  return element(
    "text",
    { class: "unit", transform: `translate(${x} ${px(y)}) rotate(-90)` },
    unit,
  );
}

const drawTick = (at: number, label: string): Markup =>
  markup`${horizontalLine("grid", at)}${tickLabel(at + 4, label)}`;

function drawMark(mark: Mark, x: Scale, bottom: number): Markup {
  const at = px(x.at(mark.step));
  return element(
    "g",
    { class: `mark ${mark.style}` },
    element("title", {}, mark.text),
    element("line", { x1: at, x2: at, y1: PLOT_TOP, y2: bottom }),
    element("circle", { cx: at, cy: PLOT_TOP - 5, r: 4 }),
  );
}

function drawCurve(curve: Curve, x: Scale, y: Scale): Markup {
  const points = downsample(curve.points, CURVE_POINTS);
  const path = curve.stepped === true ? stepPath(points, x, y) : linePath(points, x, y);
  return element(
    "path",
    { class: `curve ${curve.style}`, d: path },
    element("title", {}, curve.label),
  );
}

/** A line through all points; a missing value interrupts it. */
export function linePath(points: readonly Point[], x: Scale, y: Scale): string {
  let path = "";
  let pen = false;
  for (const point of points) {
    if (point.y === null) {
      pen = false;
      continue;
    }
    const place = `${px(x.at(point.x))} ${px(y.at(point.y))}`;
    // A line of no length is drawn as a dot: a single value between gaps stays visible.
    path += pen ? `L${place}` : `M${place}h0`;
    pen = true;
  }
  return path;
}

/** Horizontal from point to point, then straight up or down; only changes make corners. */
export function stepPath(points: readonly Point[], x: Scale, y: Scale): string {
  let path = "";
  let before: number | null = null;
  for (const [index, point] of points.entries()) {
    const last = index === points.length - 1;
    if (point.y === null || (point.y === before && !last)) continue;
    const at = px(x.at(point.x));
    path += before === null ? `M${at} ${px(y.at(point.y))}` : `H${at}V${px(y.at(point.y))}`;
    before = point.y;
  }
  return path;
}

/** Pixels with one digit: finer is not seen and costs size. */
export function px(value: number): string {
  return String(Number(value.toFixed(1)));
}

/** The label of a tick that is a plain number. */
export const numberTick = (value: number): string =>
  Math.abs(value) >= 1e6 && Math.abs(value) < 1e9
    ? `${formatNumber(value / 1e6)} M`
    : formatNumber(value);
