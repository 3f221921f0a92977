/** What the cells of the back-pressure soak promise together; a broken promise names its cells. */
import type { Verdict } from "../lib/verdict.ts";
import type { CellResult } from "./flood-cell.ts";
import { type Cell, cellName, emergencyReserve, mostOnTheWay, PRODUCERS } from "./flood-shape.ts";

const MIB = 2 ** 20;
/** What threads, code and garbage not yet collected may add to the messages themselves. */
const RSS_SLACK_MIB = 192;
/** A message may be in memory at its sender, on its way, and at its receiver. */
const COPIES = 3;
const BULK_SHARE_AT_LEAST = 0.01;
/** A share of one in a hundred is not judged by fewer messages. */
const SHARE_FROM_HANDLED = 400;
const EMERGENCY_P99_AT_MOST_MS = 100;
const REFUSAL_P99_AT_MOST_US = 1_000;
const NAMED_AT_MOST = 4;

/** Latencies are judged in cells of at least this length. */
const TIMED_FROM_SECONDS = 1;

interface FloodPromise {
  readonly promise: string;
  /** Only where it is promised. */
  readonly where?: (cell: Cell) => boolean;
  /** The figure that is shown, and whether it is as promised. */
  readonly judge: (result: CellResult, cell: Cell) => readonly [figure: number, kept: boolean];
  readonly unit: string;
  /** A latency: short cells on a busy machine say nothing about it. */
  readonly timed?: boolean;
}

/** A refused sender has counted itself in for a moment when somebody looks. */
const depthLimit = (cell: Cell): number => {
  const places = mostOnTheWay(cell);
  return places + emergencyReserve(places) + PRODUCERS.length;
};

function rssLimitMib(cell: Cell): number {
  return (COPIES * depthLimit(cell) * cell.size.bytes) / MIB + RSS_SLACK_MIB;
}

const PROMISES: readonly FloodPromise[] = [
  {
    promise: "sent = handled + dead letters, exactly",
    judge: ({ unaccounted }) => [unaccounted, unaccounted === 0],
    unit: "unaccounted",
  },
  {
    promise: "nothing is lost or refused under `wait`",
    where: ({ overflow }) => overflow === "wait",
    judge: ({ missing, deadLetters }) => [missing + deadLetters, missing + deadLetters === 0],
    unit: "lost",
  },
  {
    promise: "bytes arrive as they were sent",
    judge: ({ damaged }) => [damaged, damaged === 0],
    unit: "damaged",
  },
  {
    promise: "messages of one sender and lane stay in order, none comes twice",
    judge: ({ disordered }) => [disordered, disordered === 0],
    unit: "out of order",
  },
  {
    promise: "depth never above the capacity, the emergencies' reserve beside it",
    judge: ({ mostDepth }, cell) => [mostDepth / depthLimit(cell), mostDepth <= depthLimit(cell)],
    unit: "of the limit",
  },
  {
    promise: "control and bulk in the mailbox itself never above the capacity",
    judge: ({ mostQueued }, { size }) => [mostQueued / size.capacity, mostQueued <= size.capacity],
    unit: "of the capacity",
  },
  {
    promise: "memory bounded by what the mailbox may hold",
    judge: ({ rssGrowthMib }, cell) => [rssGrowthMib, rssGrowthMib <= rssLimitMib(cell)],
    unit: "MiB",
  },
  {
    promise: "every lane progresses, and bulk gets its share",
    judge: (result) => [-bulkShare(result), progresses(result)],
    unit: "of all, bulk",
  },
  {
    promise: "an emergency waits at most 100 ms, p99",
    judge: ({ emergencyUs: { p99 } }) => [p99 / 1_000, p99 / 1_000 <= EMERGENCY_P99_AT_MOST_MS],
    unit: "ms",
    timed: true,
  },
  {
    promise: "a refusal takes less than a millisecond, p99",
    where: ({ overflow }) => overflow === "reject",
    judge: ({ sendUs }) => [sendUs?.p99 ?? 0, (sendUs?.p99 ?? 0) < REFUSAL_P99_AT_MOST_US],
    unit: "us",
    timed: true,
  },
];

const handledInAll = ({ handled }: CellResult): number =>
  handled.emergency + handled.control + handled.bulk;

const bulkShare = (result: CellResult): number =>
  result.handled.bulk / Math.max(1, handledInAll(result));

function progresses(result: CellResult): boolean {
  const { emergency, control } = result.handled;
  const shareKept =
    handledInAll(result) < SHARE_FROM_HANDLED || bulkShare(result) >= BULK_SHARE_AT_LEAST;
  return emergency > 0 && control > 0 && shareKept;
}

/** The worst figure of a promise, and the cells that broke it. */
interface Finding {
  readonly worst: number;
  readonly judged: number;
  readonly broken: ReadonlySet<string>;
}

function examine(
  { where, judge }: FloodPromise,
  results: readonly CellResult[],
  cellOf: ReadonlyMap<string, Cell>,
): Finding {
  let worst = Number.NEGATIVE_INFINITY;
  let judged = 0;
  const broken = new Set<string>();
  for (const result of results) {
    const cell = cellOf.get(result.cell);
    if (cell === undefined || where?.(cell) === false) continue;
    const [figure, kept] = judge(result, cell);
    judged += 1;
    worst = Math.max(worst, figure);
    if (!kept) broken.add(`${result.cell}: ${shown(figure)}`);
  }
  return { worst, judged, broken };
}

/** One verdict a promise, over all results of all passes. */
export function floodVerdicts(
  results: readonly CellResult[],
  cells: readonly Cell[],
  cellSeconds: number,
): Verdict[] {
  const cellOf = new Map(cells.map((cell) => [cellName(cell), cell]));
  return PROMISES.flatMap((promised) => {
    const { worst, judged, broken } = examine(promised, results, cellOf);
    if (judged === 0) return [];
    const { promise, unit, timed = false } = promised;
    const isJudged = !timed || cellSeconds >= TIMED_FROM_SECONDS;
    const note = isJudged ? "" : `; not judged below ${TIMED_FROM_SECONDS} s a cell`;
    const most = `at worst ${shown(worst)} ${unit} in ${judged} cells${note}`;
    const named = [...broken].slice(0, NAMED_AT_MOST).join("; ");
    const measured = broken.size === 0 ? most : `${most}; ${broken.size} broken: ${named}`;
    return [{ promise, measured, kept: !isJudged || broken.size === 0 }];
  });
}

const shown = (figure: number): string => String(Number(Math.abs(figure).toPrecision(3)));
