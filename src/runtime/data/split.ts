/**
 * Divides rows into training and validation. Classes keep their share on both sides; the same seed
 * gives the same parts, whatever else draws random numbers.
 */
import { EsperError } from "../../protocols/errors.ts";
import { createRandom, type Random } from "../random.ts";

/** Row indices of the two parts, each in a shuffled order. */
export interface Split {
  readonly train: readonly number[];
  readonly validation: readonly number[];
}

/** The share of the rows held out for validation, between 0 and 1. */
export interface SplitOptions {
  readonly validationShare: number;
  readonly seed: number;
}

/** @throws {USAGE} unless the share is strictly between 0 and 1. */
export function checkShare(share: number): void {
  if (share > 0 && share < 1) return;
  throw new EsperError(
    "USAGE",
    `validationShare: ${share} is not allowed; give a number above 0 and below 1, such as 0.2`,
    { given: share },
  );
}

/**
 * Splits inside each group, so that a group of two rows or more is on both sides. A group of one
 * row goes to training. Without groups pass the same label for every row.
 */
export function splitRows(groups: readonly number[], options: SplitOptions): Split {
  checkShare(options.validationShare);
  const random = createRandom(options.seed, "split");
  const train: number[] = [];
  const validation: number[] = [];
  for (const rows of membersOf(groups)) {
    random.shuffle(rows);
    const held = heldOut(rows.length, options.validationShare);
    for (const [position, row] of rows.entries()) (position < held ? validation : train).push(row);
  }
  shuffleBoth(random, train, validation);
  return { train, validation };
}

function membersOf(groups: readonly number[]): number[][] {
  const members: number[][] = [];
  for (const [row, group] of groups.entries()) {
    const list = members[group];
    if (list === undefined) members[group] = [row];
    else list.push(row);
  }
  return members.filter((list) => list !== undefined);
}

function heldOut(count: number, share: number): number {
  if (count < 2) return 0;
  return Math.min(count - 1, Math.max(1, Math.round(count * share)));
}

// Rows come out group by group; a batch taken in that order would hold one class.
function shuffleBoth(random: Random, train: number[], validation: number[]): void {
  random.shuffle(train);
  random.shuffle(validation);
}
