/** The result of a run: final measurements over all samples, and one digest over trained state. */
import type { KasminaSnapshot, RunOrder, RunResult } from "../../protocols/actors/growth.ts";
import type { EpochPoint, SeedState } from "../../protocols/leyline/state.ts";
import type { GrowableNetwork } from "../../runtime/device/network.ts";
import { stateDigest } from "../../runtime/durable/state-digest.ts";
import type { Progress } from "./progress.ts";

export interface ResultInput {
  readonly reason: RunResult["outcome"];
  readonly order: RunOrder;
  readonly network: GrowableNetwork;
  readonly progress: Progress;
  readonly epoch: number;
  readonly seeds: readonly SeedState[];
  readonly snapshot: KasminaSnapshot;
  readonly tensorsAtStart: number;
}

export async function describeResult(input: ResultInput): Promise<RunResult> {
  const { network, order, progress } = input;
  const { dataset } = order;
  const train = await network.evaluate(dataset.train);
  const validation = await network.evaluate(dataset.validation);
  const last: EpochPoint = {
    epoch: input.epoch,
    step: progress.step,
    trainingLoss: train.loss,
    validationLoss: validation.loss,
    trainingScore: train.score,
    validationScore: validation.score,
  };
  const test = dataset.test === null ? null : await network.evaluate(dataset.test);
  const { arrays } = await network.snapshot();
  const count = network.parameterCount();
  return {
    outcome: input.reason,
    step: progress.step,
    epoch: input.epoch,
    last,
    beforeGrowth: progress.beforeGrowth ?? last,
    testScore: test?.score ?? null,
    seeds: input.seeds,
    hostParameters: count.host,
    totalParameters: count.total,
    tensorsAtStart: input.tensorsAtStart,
    tensorsAtEnd: network.tensors(),
    digest: stateDigest(arrays),
  };
}
