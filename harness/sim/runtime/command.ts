/** `harness sim runtime`: the simulated scenarios from the command line. */
import { type Command, InvalidArgumentError } from "commander";
import { RUNTIME_SCENARIOS, runSimulations, type SimulationRequest } from "./run.ts";

/** @throws {InvalidArgumentError} unless it is a whole number from `least` up. */
function whole(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= least) return value;
    throw new InvalidArgumentError(`It is a whole number from ${least} up, not ${text}.`);
  };
}

function scenario(text: string, before: readonly string[] = []): readonly string[] {
  const known = RUNTIME_SCENARIOS.map(({ name }) => name);
  if (known.includes(text)) return [...before, text];
  throw new InvalidArgumentError(`There is no ${text}; there are ${known.join(", ")}.`);
}

/** Adds `sim runtime` to the harness; `finish` is told whether every promise was kept. */
export function addSimulations(program: Command, finish: (kept: boolean) => void): void {
  program
    .command("sim")
    .description("the runtime under a virtual clock: every seed is one exact interleaving")
    .command("runtime")
    .argument("[scenarios...]", "some of them (default: all)", scenario)
    .option("--seeds <n>", "how many seeds to explore", whole(1), 200)
    .option("--seed <n>", "repeats the run of this seed and shows its trace", whole(0))
    .option("--chaos <n>", "after so many steps the oldest one always comes first", whole(0))
    .action(async (names: readonly string[], request: SimulationRequest) =>
      finish(await runSimulations(names, request)),
    );
}
