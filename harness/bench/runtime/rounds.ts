/**
 * Measures several sides in turns. Whatever the machine does for some seconds meets all sides
 * alike: each round measures every side once, and each round begins with another side.
 */
import type { Figure } from "./row.ts";

export interface Side {
  readonly name: string;
  readonly unit: string;
  /** One measurement; what it warms up is not counted. */
  measure(): Promise<number>;
}

/** The figures in the order of `sides`. */
export async function interleave(sides: readonly Side[], rounds: number): Promise<Figure[]> {
  const values = sides.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < sides.length; turn++) {
      const index = (round + turn) % sides.length;
      const value = await sides[index]?.measure();
      if (value !== undefined) values[index]?.push(value);
    }
  }
  return sides.map(({ name, unit }, index) => ({ name, unit, rounds: values[index] ?? [] }));
}

/** Like `interleave`, for exactly two sides. */
export async function versus(
  ours: Side,
  peer: Side,
  rounds: number,
): Promise<{ readonly ours: Figure; readonly peer: Figure }> {
  const [first, second] = await interleave([ours, peer], rounds);
  if (first === undefined || second === undefined) throw new Error("a side was not measured");
  return { ours: first, peer: second };
}
