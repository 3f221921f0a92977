/** What every bench of the runtime is given, and what it gives back. */
import type { Row } from "./row.ts";

export interface BenchOptions {
  /** Smaller counts: shows that everything works, proves no figure. */
  readonly quick: boolean;
  readonly rounds: number;
  readonly seed: number;
  /** A folder with node_modules of peers that may not be dependencies; null: none was named. */
  readonly peers: string | null;
  /** Temporary, removed after the run. */
  readonly directory: string;
  /** Progress for a person, never part of the result. */
  readonly say: (line: string) => void;
}

export interface RuntimeBench {
  readonly name: string;
  readonly about: string;
  run(options: BenchOptions): Promise<readonly Row[]>;
}

/** The count for one measurement: an eighth of it in a quick run. */
export const scaled = (count: number, options: BenchOptions): number =>
  options.quick ? Math.ceil(count / 8) : count;
