/** `harness bench durable` on the command line. */
import { type Command, InvalidArgumentError } from "commander";
import { DURABLE_BENCHES, type DurableBenchRequest, runDurableBench } from "./run.ts";

/** @throws {InvalidArgumentError} unless it is a whole number from 1 up. */
function count(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1) return value;
  throw new InvalidArgumentError(`It is a whole number from 1 up, not ${text}.`);
}

const KNOWN = DURABLE_BENCHES.map(({ name }) => name);

/** @throws {InvalidArgumentError} for a name that no bench has. */
function names(text: string): readonly string[] {
  const given = text.split(",").map((name) => name.trim());
  const unknown = given.find((name) => !KNOWN.includes(name));
  if (unknown === undefined) return given;
  throw new InvalidArgumentError(`There is no ${unknown}; there are ${KNOWN.join(", ")}.`);
}

/** Adds `durable` to the benches; `finish` is told whether every promise was kept. */
export function addDurableBench(bench: Command, finish: (kept: boolean) => void): Command {
  return bench
    .command("durable")
    .description("appends, recovery, claims, reports and checkpoints beside bare loops, on a disk")
    .option("--only <names>", `some, separated by commas: ${KNOWN.join(", ")}`, names)
    .option("--rounds <n>", "measurements of each side; their median counts", count, 5)
    .option("--quick", "small counts: shows that everything runs, proves no figure")
    .option("--directory <folder>", "where the logs lie (default: a temporary folder on a disk)")
    .option("--json", "print every figure as JSON instead of a table")
    .action(async (request: DurableBenchRequest) => finish(await runDurableBench(request)));
}
