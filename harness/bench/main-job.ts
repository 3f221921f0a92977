/** The main job from outside: time to the first growth, time to the end, memory, tensor leaks. */
import { join } from "node:path";
import { runProduct } from "../lib/product.ts";
import type { Verdict } from "../lib/verdict.ts";

type Bench = { readonly figures: unknown; readonly verdicts: readonly Verdict[] };

const FIRST_GROWTH_S = 10;
const WHOLE_JOB_S = 60;
const MEMORY_MB = 400;
const SCORE = 0.95;

/** The default run, exactly as `npm start` runs it on an installed clone. */
export async function benchMainJob(directory: string): Promise<Bench> {
  const run = await runProduct(["--topology", "local-cpu", "--runs", join(directory, "runs")]);
  if (run.summary === null) throw new Error(`the main job failed: ${run.stderr}`);
  const firstGrowthS = (run.firstGrowthMs ?? Number.POSITIVE_INFINITY) / 1_000;
  const wholeS = run.wallMs / 1_000;
  const { residentMemoryMb, testScore } = run.summary;
  return {
    figures: { firstGrowthS, wholeS, residentMemoryMb, testScore, steps: run.summary.steps },
    verdicts: [
      {
        promise: `first growth visible within ${FIRST_GROWTH_S} s`,
        measured: `${firstGrowthS.toFixed(1)} s`,
        kept: firstGrowthS <= FIRST_GROWTH_S,
      },
      {
        promise: `the main job done within ${WHOLE_JOB_S} s`,
        measured: `${wholeS.toFixed(1)} s`,
        kept: wholeS <= WHOLE_JOB_S,
      },
      {
        promise: `at most ${MEMORY_MB} MiB resident at the peak`,
        measured: `${residentMemoryMb.toFixed(0)} MiB`,
        kept: residentMemoryMb <= MEMORY_MB,
      },
      {
        promise: `at least ${SCORE} between the training points with the default seed`,
        measured: `${(testScore ?? 0).toFixed(4)}`,
        kept: (testScore ?? 0) >= SCORE,
      },
    ],
  };
}
