/** `harness sim runtime`: the simulated scenarios from the command line. */
import type { Command } from "commander";
import { oneOf, whole } from "../options.ts";
import { RUNTIME_SCENARIOS, runSimulations, type SimulationRequest } from "./run.ts";

const scenario = oneOf(RUNTIME_SCENARIOS.map(({ name }) => name));

/** Adds `sim runtime`; `finish` is told whether every promise was kept. */
export function addRuntimeSimulation(sim: Command, finish: (kept: boolean) => void): void {
  sim
    .command("runtime")
    .description("the runtime under a virtual clock: every seed is one exact interleaving")
    .argument("[scenarios...]", "some of them (default: all)", scenario)
    .option("--seeds <n>", "how many seeds to explore", whole(1), 200)
    .option("--seed <n>", "repeats the run of this seed and shows its trace", whole(0))
    .option("--chaos <n>", "after so many steps the oldest one always comes first", whole(0))
    .action(async (names: readonly string[], request: SimulationRequest) =>
      finish(await runSimulations(names, request)),
    );
}
