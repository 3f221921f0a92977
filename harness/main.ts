/** The harness command line: measures the product from outside and writes the baselines. */
import { Argument, Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { addDurableBench } from "./bench/durable/command.ts";
import { runBenches } from "./bench/run.ts";
import { RUNTIME_BENCHES, type RuntimeBenchRequest, runRuntimeBench } from "./bench/runtime/run.ts";
import { ACTOR_DRILLS, type ActorDrillRequest, runActorDrills } from "./drills/actors.ts";
import { addDurableDrills } from "./drills/durable/command.ts";
import { runDrills } from "./drills/run.ts";
import { writeGrowthResults } from "./growth/results.ts";
import { runGrowth } from "./growth/run.ts";
import { addDurableSimulation } from "./sim/durable/command.ts";
import { addRuntimeSimulation } from "./sim/runtime/command.ts";
import { runSoak, SOAK_NAMES, type SoakName, type SoakOptions } from "./soak/run.ts";
import { writeStaticAnalysis } from "./static-analysis/write.ts";

const EXIT_GATE_BROKEN = 4;

function integer(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new Error(`needs a positive integer: ${text}`);
  return value;
}

function amount(text: string): number {
  const value = Number(text);
  if (!(value >= 0 && value < Number.POSITIVE_INFINITY)) {
    throw new InvalidArgumentError(`Not a number from 0 up: ${text}`);
  }
  return value;
}

/** @throws {InvalidArgumentError} for a name that no bench of the runtime has. */
const runtimeBenches = (text: string): readonly string[] =>
  oneOf(
    text,
    RUNTIME_BENCHES.map(({ name }) => name),
  );

function oneOf(text: string, known: readonly string[]): readonly string[] {
  const names = text.split(",").map((name) => name.trim());
  const unknown = names.find((name) => !known.includes(name));
  if (unknown === undefined) return names;
  throw new InvalidArgumentError(`There is no ${unknown}; there are ${known.join(", ")}.`);
}

/** @throws {InvalidArgumentError} for a name that no drill of the actors has. */
const actorDrills = (text: string): readonly string[] => oneOf(text, ACTOR_DRILLS);

function addRuntimeBench(bench: Command, finish: (kept: boolean) => void): Command {
  const names = RUNTIME_BENCHES.map(({ name }) => name).join(", ");
  return bench
    .command("runtime")
    .description("the actor runtime beside postMessage, comlink, piscina, nact, comedy, Erlang")
    .option("--only <names>", `some of them, separated by commas: ${names}`, runtimeBenches)
    .option("--json", "print every figure as JSON instead of a table")
    .option("--quick", "small counts: shows that everything runs, proves no figure")
    .option("--peers <folder>", "where comedy is installed; without it comedy is skipped")
    .option("--rounds <n>", "measurements of each side; their median counts", integer, 3)
    .option("--seed <n>", "seed of what is random", integer, 1)
    .action(async (request: RuntimeBenchRequest) => finish(await runRuntimeBench(request)));
}

function addSoak(program: Command, finish: (kept: boolean) => void): Command {
  return program
    .command("soak")
    .description("cancels jobs, and floods mailboxes, for as long as it is asked to")
    .addArgument(new Argument("<name>", "which soak").choices(SOAK_NAMES))
    .option("--minutes <n>", "goes on for at least this long", amount, 0)
    .option("--rounds <n>", "cancellation: rounds of each side", integer, 100)
    .option("--jobs <n>", "cancellation: jobs of one round", integer, 256)
    .option("--cell-seconds <n>", "back-pressure: how long each cell produces", amount, 5)
    .option("--only <text>", "back-pressure: cells whose names contain this, as in `10x`", "")
    .option("--seed <n>", "seed of what is random", integer, 1)
    .option("--json", "print every figure as JSON")
    .action(async (name: SoakName, options: SoakOptions) => finish(await runSoak(name, options)));
}

function addActorDrills(drill: Command, finish: (kept: boolean) => void): void {
  drill
    .command("actors")
    .description("every failure that the actor runtime promises to survive, one verdict a promise")
    .option("--only <names>", `some, separated by commas: ${ACTOR_DRILLS.join(", ")}`, actorDrills)
    .option("--json", "print verdicts and figures as one line of JSON")
    .action(async (request: ActorDrillRequest) => finish(await runActorDrills(request)));
}

function buildProgram(finish: (kept: boolean) => void): Command {
  const program = new Command("harness")
    .description("Measures the Esper runtime: benches, fault drills, growth comparisons.")
    .exitOverride();
  const update = () =>
    new Option("--update-baselines", "write the figures to baselines/ with machine and versions");
  const bench = program
    .command("bench")
    .enablePositionalOptions()
    .description("main job, step overhead, tensor leaks, message costs; `bench runtime`: its peers")
    .argument("[names...]", "main-job, overhead, leak, messages (default: all)")
    .addOption(update())
    .action(async (names: string[], options: { updateBaselines?: boolean }) =>
      finish(await runBenches(names, options.updateBaselines === true)),
    );
  addRuntimeBench(bench, finish).addOption(update());
  addDurableBench(bench, finish).addOption(update());
  const drill = program
    .command("drill")
    .enablePositionalOptions()
    .description("kills actors and the process in the middle of real runs")
    .argument("[names...]", "kill, resume, stop (default: these), gpu")
    .addOption(update())
    .action(async (names: string[], options: { updateBaselines?: boolean }) =>
      finish(await runDrills(names, options.updateBaselines === true)),
    );
  addActorDrills(drill, finish);
  addDurableDrills(drill, finish).addOption(update());
  program
    .command("growth")
    .description("the policy against random timing, random blueprints, no gates, fixed networks")
    .option("--task <name>", "spirals, parity, rings, digits, orchard or kiln", "spirals")
    .option("--seeds <n>", "number of seeds, from 1 up", integer, 20)
    .option("--jobs <n>", "runs at a time", integer, 2)
    .addOption(update())
    .action(
      async (options: { task: string; seeds: number; jobs: number; updateBaselines?: boolean }) =>
        finish(await runGrowth({ ...options, update: options.updateBaselines === true })),
    );
  addSoak(program, finish).addOption(update());
  program
    .command("growth-results")
    .description("writes docs/growth-results.md from baselines/growth")
    .action(() => {
      writeGrowthResults(process.cwd());
      finish(true);
    });
  const sim = program.command("sim").description("simulations: one seed is one exact history");
  addRuntimeSimulation(sim, finish);
  addDurableSimulation(sim, finish);
  program
    .command("static-analysis")
    .description("writes docs/static-analysis.md")
    .action(async () => {
      await writeStaticAnalysis(process.cwd());
      finish(true);
    });
  return program;
}

/** Exit code: 0 all promises kept, 4 a promise or gate broken, 2 usage. */
export async function main(argv: readonly string[]): Promise<number> {
  let kept = true;
  const program = buildProgram((result) => {
    kept &&= result;
  });
  try {
    await program.parseAsync([...argv], { from: "user" });
    return kept ? 0 : EXIT_GATE_BROKEN;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    throw error;
  }
}
