/** `harness drill durable` on the command line. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { DURABLE_DRILLS, type DurableDrillRequest, runDurableDrills } from "./run.ts";

/** @throws {InvalidArgumentError} unless it is a whole number from 1 up. */
function count(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1) return value;
  throw new InvalidArgumentError(`It is a whole number from 1 up, not ${text}.`);
}

/** @throws {InvalidArgumentError} for a name that no drill has. */
function names(text: string): readonly string[] {
  const given = text.split(",").map((name) => name.trim());
  const unknown = given.find((name) => !DURABLE_DRILLS.includes(name));
  if (unknown === undefined) return given;
  throw new InvalidArgumentError(`There is no ${unknown}; there are ${DURABLE_DRILLS.join(", ")}.`);
}

/** Adds `durable` to the drills; `finish` is told whether every promise was kept. */
export function addDurableDrills(drill: Command, finish: (kept: boolean) => void): Command {
  const all = DURABLE_DRILLS.join(", ");
  return drill
    .command("durable")
    .description("kill -9, a full disk, a killed main job: what was acknowledged is there")
    .option("--only <names>", `some, separated by commas: ${all} (default: all but trace)`, names)
    .option("--kills <n>", "kill: writers killed with SIGKILL", count, 200)
    .option("--cycles <n>", "full-disk: times that the disk runs full", count, 20)
    .option("--job-kills <n>", "job: times that a main job is killed", count, 3)
    .option("--appends <n>", "trace: records appended under strace", count, 2_000)
    .option("--seed <n>", "seed of the moments; the same seed repeats them", count, 1)
    .option("--directory <folder>", "where the logs lie (default: a temporary folder on a disk)")
    .addOption(
      new Option(
        "--disk <kind>",
        "full-disk: what makes it full (default: what is allowed)",
      ).choices(["tmpfs", "file size limit"]),
    )
    .option("--json", "print verdicts and figures as one line of JSON")
    .action(async (request: DurableDrillRequest) => finish(await runDurableDrills(request)));
}
