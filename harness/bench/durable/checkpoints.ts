/**
 * How long training stands still for a checkpoint, beside the time until that checkpoint is on the
 * device: whole runs of the product, with a small network and with one of 10 MB of weights.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { runProduct } from "../../lib/product.ts";
import { type Figure, type Row, ratioRow } from "../runtime/row.ts";
import { type DurableBench, type DurableBenchOptions, scaled } from "./options.ts";

interface Case {
  readonly title: string;
  readonly args: readonly string[];
  readonly epochs: number;
}

const CASES: readonly Case[] = [
  { title: "2 kB of weights", args: ["--host", "mlp:16,16"], epochs: 2_000 },
  { title: "10 MB of weights", args: ["--host", "mlp:1600,1600"], epochs: 512 },
];
const RUN = ["--dataset", "spirals", "--seed", "7", "--no-growth"] as const;

const Point = z.object({
  name: z.string(),
  attributes: z.object({ count: z.number(), p50: z.number(), max: z.number() }).partial(),
});

interface Histogram {
  readonly count: number;
  readonly p50: number;
  readonly max: number;
}

/** The last state of a histogram that the run's telemetry kept, in milliseconds. */
function histogram(directory: string, name: string): Histogram {
  const lines = readFileSync(join(directory, "runtime.jsonl"), "utf8").trimEnd().split("\n");
  const points = lines
    .filter((line) => line.includes(`"${name}"`))
    .map((line) => Point.parse(JSON.parse(line)));
  const { count = 0, p50 = Number.NaN, max = Number.NaN } = points.at(-1)?.attributes ?? {};
  if (count === 0) throw new Error(`${directory} has no values of ${name}`);
  return { count, p50, max };
}

async function caseRow(one: Case, options: DurableBenchOptions): Promise<Row> {
  options.say(`checkpoints: ${one.title}`);
  const still: number[] = [];
  const written: number[] = [];
  let longest = 0;
  for (let round = 0; round < Math.min(options.rounds, 3); round++) {
    const epochs = String(scaled(one.epochs, options));
    const runs = join(options.directory, "runs");
    const run = await runProduct([...RUN, ...one.args, "--epochs", epochs, "--runs", runs]);
    if (run.summary === null) throw new Error(`the run failed: ${run.stderr}`);
    const capture = histogram(run.summary.directory, "tolaria.checkpoint.capture_ms");
    still.push(1_000 * capture.p50);
    longest = Math.max(longest, capture.max);
    written.push(1_000 * histogram(run.summary.directory, "tolaria.checkpoint.write_ms").p50);
  }
  const figure = (name: string, rounds: readonly number[]): Figure => ({
    ...{ name, unit: "us", rounds },
  });
  return ratioRow(
    `training stands still for a checkpoint of ${one.title} / until it is written`,
    figure("still", still),
    figure("written", written),
    null,
    `${longest.toFixed(2)} ms at most`,
  );
}

export const checkpoints: DurableBench = {
  name: "checkpoints",
  about: "how long training stands still for a checkpoint",
  async run(options) {
    const rows: Row[] = [];
    for (const one of CASES) rows.push(await caseRow(one, options));
    return rows;
  },
};
