/** `harness sim durable`: the simulated disk from the command line. */
import type { Command } from "commander";
import { oneOf, whole } from "../options.ts";
import { type DurableRequest, runDurable } from "./run.ts";
import { DURABLE_WORKLOADS } from "./workloads.ts";

const workload = oneOf(DURABLE_WORKLOADS.map(({ name }) => name));

/** Adds `sim durable`; `finish` is told whether every promise was kept. */
export function addDurableSimulation(sim: Command, finish: (kept: boolean) => void): void {
  sim
    .command("durable")
    .description("logs, checkpoints and files on a disk that fails, call by call and by chance")
    .argument("[workloads...]", "some of them (default: all)", workload)
    .option("--seeds <n>", "how many random histories to explore", whole(1), 2_000)
    .option("--seed <n>", "repeats the history of this seed and shows its calls", whole(0))
    .action(async (names: readonly string[], request: DurableRequest) =>
      finish(await runDurable(names, request)),
    );
}
