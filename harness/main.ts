/** The harness command line: measures the product from outside and writes the baselines. */
import { Command, CommanderError, Option } from "commander";
import { runBenches } from "./bench/run.ts";
import { runDrills } from "./drills/run.ts";
import { writeGrowthResults } from "./growth/results.ts";
import { runGrowth } from "./growth/run.ts";
import { writeStaticAnalysis } from "./static-analysis/write.ts";

const EXIT_GATE_BROKEN = 4;

function integer(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new Error(`needs a positive integer: ${text}`);
  return value;
}

function buildProgram(finish: (kept: boolean) => void): Command {
  const program = new Command("harness")
    .description("Measures the Esper runtime: benches, fault drills, growth comparisons.")
    .exitOverride();
  const update = () =>
    new Option("--update-baselines", "write the figures to baselines/ with machine and versions");
  program
    .command("bench")
    .description("main job, step overhead, tensor leaks, message costs")
    .argument("[names...]", "main-job, overhead, leak, messages (default: all)")
    .addOption(update())
    .action(async (names: string[], options: { updateBaselines?: boolean }) =>
      finish(await runBenches(names, options.updateBaselines === true)),
    );
  program
    .command("drill")
    .description("kills actors and the process in the middle of real runs")
    .argument("[names...]", "kill, resume, stop (default: these), gpu")
    .addOption(update())
    .action(async (names: string[], options: { updateBaselines?: boolean }) =>
      finish(await runDrills(names, options.updateBaselines === true)),
    );
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
  program
    .command("growth-results")
    .description("writes docs/growth-results.md from baselines/growth")
    .action(() => {
      writeGrowthResults(process.cwd());
      finish(true);
    });
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
