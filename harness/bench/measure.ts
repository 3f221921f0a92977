/** What the benches with promised figures share: run each, whatever became of the others. */
import { availableParallelism, loadavg } from "node:os";
import { failedRow, type Row } from "./runtime/row.ts";

export interface Talking {
  readonly say: (line: string) => void;
}

export interface Bench<Options extends Talking> {
  readonly name: string;
  run(options: Options): Promise<readonly Row[]>;
}

/** The rows of every bench by its name; one that failed has a row that says so. */
export async function measureAll<Options extends Talking>(
  benches: readonly Bench<Options>[],
  options: Options,
): Promise<ReadonlyMap<string, readonly Row[]>> {
  const rows = new Map<string, readonly Row[]>();
  for (const bench of benches) {
    try {
      rows.set(bench.name, await bench.run(options));
    } catch (error) {
      // The other benches took minutes: their figures are shown whatever became of this one.
      options.say(error instanceof Error ? (error.stack ?? error.message) : String(error));
      rows.set(bench.name, [failedRow(bench.name, error)]);
    }
  }
  return rows;
}

/** The load before anything was measured; says so when others are using the machine. */
export function loadBefore({ say }: Talking): number {
  const load = loadavg()[0] ?? 0;
  if (load > availableParallelism() / 2) {
    say(`WARNING: the machine is busy (load ${load.toFixed(1)}): figures prove little`);
  }
  return load;
}
