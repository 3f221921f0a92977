/** The summary of a finished run, for people, for `--json` and for the manifest. */
import type { RunResult } from "../../protocols/actors/growth.ts";
import type { Dataset } from "../../protocols/dataset.ts";
import type { RunSummary } from "../../protocols/run.ts";

export interface SummaryInput {
  readonly runId: string;
  readonly directory: string;
  readonly dataset: Dataset;
  readonly result: RunResult;
  readonly wallMs: number;
  readonly firstGrowthMs: number | null;
  readonly restarts: number;
  readonly residentBytes: number;
}

export function summarise(input: SummaryInput): RunSummary {
  const { result, dataset } = input;
  const fossilized = result.seeds.filter((seed) => seed.stage === "FOSSILIZED").length;
  const alive = result.seeds.filter((seed) => seed.settledAtStep === null).length;
  return {
    runId: input.runId,
    directory: input.directory,
    outcome: result.outcome,
    datasetName: dataset.name,
    task: dataset.task,
    scoreName: dataset.task === "classification" ? "accuracy" : "R2",
    epochs: result.epoch,
    steps: result.step,
    wallSeconds: input.wallMs / 1_000,
    firstGrowthSeconds: input.firstGrowthMs === null ? null : input.firstGrowthMs / 1_000,
    beforeGrowth: result.beforeGrowth,
    last: result.last,
    testScore: result.testScore,
    hostParameters: result.hostParameters,
    totalParameters: result.totalParameters,
    seeds: { fossilized, culled: result.seeds.length - fossilized - alive, alive },
    restarts: input.restarts,
    residentMemoryMb: input.residentBytes / 2 ** 20,
    digest: result.digest,
  };
}
