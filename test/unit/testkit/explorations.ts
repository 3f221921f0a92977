/** The scenarios of the runtime as tests: each under 200 seeds. */
import { expect, it } from "vitest";
import { exploreRuntime, RUNTIME_SCENARIOS } from "../../../harness/sim/runtime/run.ts";

const SEEDS = 200;
const LIMIT_MS = 60_000;

/** Every second scenario, from `first` on: the halves run side by side. */
export function exploreEverySecond(first: 0 | 1): void {
  const half = RUNTIME_SCENARIOS.filter((_, at) => at % 2 === first);
  it.each(half.map((scenario) => [scenario.name, scenario] as const))(
    `%s holds under ${SEEDS} seeds`,
    async (_name, scenario) => {
      const { runs, steps } = await exploreRuntime(scenario, SEEDS);
      expect(runs).toBe(SEEDS);
      // A run of a few steps has explored nothing.
      expect(steps).toBeGreaterThan(SEEDS * 40);
    },
    LIMIT_MS,
  );
}
