/** What every bench of the durable layer is given, and what it gives back. */
import type { Row } from "../runtime/row.ts";

export interface DurableBenchOptions {
  /** Smaller counts: shows that everything works, proves no figure. */
  readonly quick: boolean;
  readonly rounds: number;
  /** On a disk, removed after the run. */
  readonly directory: string;
  /** Progress for a person, never part of the result. */
  readonly say: (line: string) => void;
}

export interface DurableBench {
  readonly name: string;
  readonly about: string;
  run(options: DurableBenchOptions): Promise<readonly Row[]>;
}

/** The count for one measurement: an eighth of it in a quick run. */
export const scaled = (count: number, options: DurableBenchOptions): number =>
  options.quick ? Math.ceil(count / 8) : count;
