/** Values that the simulations take on the command line. */
import { InvalidArgumentError } from "commander";

/** @throws {InvalidArgumentError} unless it is a whole number from `least` up. */
export function whole(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= least) return value;
    throw new InvalidArgumentError(`It is a whole number from ${least} up, not ${text}.`);
  };
}

/** Collects names. @throws {InvalidArgumentError} for one that is not known. */
export function oneOf(known: readonly string[]) {
  return (text: string, before: readonly string[] = []): readonly string[] => {
    if (known.includes(text)) return [...before, text];
    throw new InvalidArgumentError(`There is no ${text}; there are ${known.join(", ")}.`);
  };
}
