/**
 * The life of every seed on the axis of steps: a band coloured by stage, and below it how far the
 * seed is blended into the network (alpha, 0 to 1).
 */
import type { SeedStageName } from "../../../protocols/leyline/enums.ts";
import { formatCount } from "../ui/format.ts";
import {
  CHART_WIDTH,
  CURVE_POINTS,
  drawStepAxis,
  drawUnit,
  horizontalLine,
  PLOT_LEFT,
  PLOT_RIGHT,
  px,
  stepPath,
  stepScale,
  tickLabel,
} from "./chart.ts";
import { downsample } from "./downsample.ts";
import type { SeedHistory } from "./history.ts";
import { element, type Markup, markup } from "./markup.ts";
import { linearScale, type Scale } from "./scale.ts";

/** Lanes that are drawn; the table below lists more. */
export const SHOWN_LANES = 48;

const TOP = 4;
const TITLE_HEIGHT = 20;
const BAND_HEIGHT = 16;
const ALPHA_HEIGHT = 30;
const LANE_HEIGHT = TITLE_HEIGHT + BAND_HEIGHT + ALPHA_HEIGHT + 16;
const AXIS_HEIGHT = 40;
const LETTER_WIDTH = 6.6;

/** Stages that leave no trace in the network and are not drawn. */
const INVISIBLE: ReadonlySet<SeedStageName> = new Set(["UNKNOWN", "DORMANT", "TERMINATED"]);

/** A stretch of steps spent in one stage. */
export interface Band {
  readonly stage: SeedStageName;
  readonly start: number;
  readonly end: number;
}

/** When the seed was in which stage; the last stage lasts until the end of the run. */
export function stageBands(seed: SeedHistory, lastStep: number): Band[] {
  return seed.moves
    .map((move, index) => ({
      stage: move.to,
      start: move.step,
      end: seed.moves[index + 1]?.step ?? Math.max(lastStep, move.step),
    }))
    .filter((band) => !INVISIBLE.has(band.stage) && band.end >= band.start);
}

/** The lanes of the first seeds as one SVG element. */
export function drawSeedLanes(seeds: readonly SeedHistory[], lastStep: number): Markup {
  const shown = seeds.slice(0, SHOWN_LANES);
  const bottom = TOP + shown.length * LANE_HEIGHT;
  const height = bottom + AXIS_HEIGHT;
  const x = stepScale(lastStep);
  const lanes = shown.map((seed, index) => drawLane(seed, TOP + index * LANE_HEIGHT, x, lastStep));
  return element(
    "svg",
    {
      viewBox: `0 0 ${CHART_WIDTH} ${height}`,
      role: "img",
      "aria-label": "Stage and alpha of every seed over steps",
    },
    drawStepAxis(x, TOP, bottom),
    lanes,
  );
}

function drawLane(seed: SeedHistory, top: number, x: Scale, lastStep: number): Markup {
  const bandTop = top + TITLE_HEIGHT;
  const alphaTop = bandTop + BAND_HEIGHT + 3;
  const name = `${seed.blueprintName || "unknown blueprint"} at ${seed.siteId || "unknown site"}`;
  const first = seed.moves[0]?.step ?? seed.alpha[0]?.x ?? 0;
  // The name stands where the life begins, but never runs out of the picture.
  const width = (seed.seedId.length + name.length + 2) * LETTER_WIDTH;
  const titleX = Math.max(PLOT_LEFT + 4, Math.min(x.at(first), PLOT_RIGHT - width));
  return element(
    "g",
    {},
    element(
      "text",
      { class: "lane", x: px(titleX), y: top + 15 },
      element("tspan", { class: "strong" }, seed.seedId),
      ` ${name}`,
    ),
    stageBands(seed, lastStep).map((band) => drawBand(band, bandTop, x)),
    drawAlpha(seed, alphaTop, x),
  );
}

function drawBand({ stage, start, end }: Band, top: number, x: Scale): Markup {
  const left = x.at(start);
  const width = Math.max(1.5, x.at(end) - left);
  const text = `${stage}: steps ${formatCount(start)} to ${formatCount(end)}`;
  const fits = stage.length * LETTER_WIDTH + 8 <= width;
  const style = `stage-${stage.toLowerCase()}`;
  const place = { class: "band", x: px(left + width / 2), y: top + 12 };
  return element(
    "g",
    {},
    element("title", {}, text),
    element("rect", { class: style, x: px(left), y: top, width: px(width), height: BAND_HEIGHT }),
    fits ? element("text", place, stage) : null,
  );
}

function drawAlpha(seed: SeedHistory, top: number, x: Scale): Markup {
  const bottom = top + ALPHA_HEIGHT;
  const y = linearScale([0, 1], { range: [bottom, top], tickCount: 1, widen: false });
  const points = downsample(seed.alpha, CURVE_POINTS);
  const known = points.filter((point) => point.y !== null);
  const first = known[0];
  const last = known.at(-1);
  const line = stepPath(points, x, y);
  const area =
    first === undefined || last === undefined ? "" : `${line}V${bottom}H${px(x.at(first.x))}Z`;
  return markup`${horizontalLine("grid", bottom)}${[
    tickLabel(top + 8, "1"),
    tickLabel(bottom + 1, "0"),
    drawUnit("alpha", PLOT_LEFT - 30, (top + bottom) / 2),
    element("path", { class: "alpha-area", d: area }),
    element("path", { class: "curve alpha", d: line }),
  ]}`;
}
