/**
 * One line of the runtime's bench: what was promised, what both sides did in the same run, and
 * whether the promise holds. A row without a bound informs; it is never a verdict.
 */
import { median } from "../../lib/statistics.ts";
import type { Percentiles } from "./histogram.ts";

/** What one side did: one value a round, and percentiles where single operations were timed. */
export interface Figure {
  readonly name: string;
  readonly unit: string;
  readonly rounds: readonly number[];
  readonly percentiles?: Percentiles;
}

export type Bound = { readonly atLeast: number } | { readonly atMost: number };

export interface Row {
  readonly claim: string;
  readonly ours: Figure;
  readonly peer: Figure | null;
  /** The value held against the bound: the ratio ours / peer, or our own figure. */
  readonly measured: number;
  readonly unit: string;
  readonly bound: Bound | null;
  /** Null when nothing was promised or the peer is not installed. */
  readonly kept: boolean | null;
  readonly note: string;
}

/** The middle of the rounds. */
export const middle = (figure: Figure): number => median(figure.rounds);

const holds = (value: number, bound: Bound): boolean =>
  "atLeast" in bound ? value >= bound.atLeast : value <= bound.atMost;

/** A row about the ratio of two figures of the same unit. */
export function ratioRow(
  claim: string,
  ours: Figure,
  peer: Figure,
  bound: Bound | null,
  note = "",
): Row {
  const measured = middle(ours) / middle(peer);
  const kept = bound === null ? null : holds(measured, bound);
  return { claim, ours, peer, measured, unit: "x", bound, kept, note };
}

/** A row about a figure of ours alone; `measured` picks a percentile instead of the middle. */
export function plainRow(
  claim: string,
  ours: Figure,
  bound: Bound | null,
  measured: number = middle(ours),
  note = "",
): Row {
  const kept = bound === null ? null : holds(measured, bound);
  return { claim, ours, peer: null, measured, unit: ours.unit, bound, kept, note };
}

/** A row whose peer is missing: our figure is shown, nothing is judged, the reason is loud. */
export function skippedRow(claim: string, ours: Figure, bound: Bound, why: string): Row {
  const note = `SKIPPED: ${why}`;
  return { claim, ours, peer: null, measured: Number.NaN, unit: "x", bound, kept: null, note };
}

/** A row for a bench that could not measure: a broken measurement keeps no promise. */
export function failedRow(claim: string, error: unknown): Row {
  const why = error instanceof Error ? error.message : String(error);
  const ours = { name: "esper", unit: "", rounds: [] };
  const note = `FAILED: ${why.split("\n")[0] ?? why}`;
  return {
    claim,
    ours,
    peer: null,
    measured: Number.NaN,
    unit: "",
    bound: null,
    kept: false,
    note,
  };
}

/** Of several configurations of one peer, the one that did best. */
export function best(figures: readonly Figure[], better: "higher" | "lower"): Figure {
  const sign = better === "higher" ? -1 : 1;
  const [first] = [...figures].sort((left, right) => sign * (middle(left) - middle(right)));
  if (first === undefined) throw new Error("no configuration was measured");
  return first;
}
