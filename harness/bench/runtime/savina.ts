/**
 * The Savina micro-benchmarks in one thread, beside the best configuration of Erlang/OTP and beside
 * nact. Every measurement has a process of its own; the sides take turns.
 */
import { z } from "zod";
import type { Erlang } from "../peers/erlang.ts";
import { findErlang, ONE_SCHEDULER, TWO_SCHEDULERS } from "../peers/erlang.ts";
import { type BenchOptions, type RuntimeBench, scaled } from "./options.ts";
import { interleave, type Side } from "./rounds.ts";
import { best, type Figure, type Row, ratioRow, skippedRow } from "./row.ts";
import { runSide } from "./side-process.ts";

const Rate = z.object({ rate: z.number().positive() });
const NACT_AT_LEAST = 5;
const UNIT = "operations/s";

interface Benchmark {
  readonly name: string;
  readonly ours: number;
  readonly erlang: number;
  readonly nact: number;
  /** Programs that do the same in Erlang; where there are two, the second bounds its mailboxes. */
  readonly programs: readonly string[];
  readonly erlangAtLeast: number;
}

/** Counts chosen for about half a second a measurement on the machine of the baseline. */
const BENCHMARKS: readonly Benchmark[] = [
  row("ping-pong", 4e6, 1e6, 2e5, ["ping_pong"], 2),
  row("counting", 6e6, 4e6, 4e5, ["counting", "counting_window"], 1),
  row("fan-in", 6e6, 3e6, 4e5, ["fan_in", "fan_in_window"], 1),
  row("thread-ring", 6e6, 2e6, 3e5, ["thread_ring"], 2),
  row("fork-join", 6e6, 3e6, 4e5, ["fork_join", "fork_join_window"], 1),
  row("fork-join-create", 6e5, 4e5, 4e4, ["fork_join_create"], 1),
  row("big", 4e6, 1.2e6, 3e5, ["big"], 2),
  row("chameneos", 2e6, 6e5, 1e5, ["chameneos"], 2),
  row("bank", 1.2e6, 4e5, 1e5, ["bank"], 2),
  row("request-reply", 1e6, 6e5, 2e5, ["request_reply"], 1),
];

function row(
  name: string,
  ours: number,
  erlang: number,
  nact: number,
  programs: readonly string[],
  erlangAtLeast: number,
): Benchmark {
  return { name, ours, erlang, nact, programs, erlangAtLeast };
}

function oursAndNact(benchmark: Benchmark, options: BenchOptions): [Side, Side] {
  const { name } = benchmark;
  const side = (title: string, script: URL, count: number): Side => ({
    name: title,
    unit: UNIT,
    measure: async () => (await runSide(script, [name, scaled(count, options)], Rate)).rate,
  });
  const own = new URL("./savina/side.js", import.meta.url);
  const nact = new URL("../peers/nact-side.js", import.meta.url);
  return [side("esper", own, benchmark.ours), side("nact", nact, benchmark.nact)];
}

function erlangSides(benchmark: Benchmark, erlang: Erlang, options: BenchOptions): Side[] {
  const count = scaled(benchmark.erlang, options);
  return benchmark.programs.flatMap((program) =>
    [ONE_SCHEDULER, TWO_SCHEDULERS].map((emulator) => ({
      name: `Erlang, ${program}, ${emulator.name}`,
      unit: UNIT,
      measure: () => erlang.run(emulator, program, count),
    })),
  );
}

async function measure(
  benchmark: Benchmark,
  erlang: Erlang | null,
  options: BenchOptions,
): Promise<Row[]> {
  options.say(`savina: ${benchmark.name}`);
  const others = erlang === null ? [] : erlangSides(benchmark, erlang, options);
  const sides = [...oursAndNact(benchmark, options), ...others];
  const [ours, nact, ...beam] = await interleave(sides, options.rounds);
  if (ours === undefined || nact === undefined) throw new Error("a side was not measured");
  return [
    againstErlang(benchmark, ours, beam),
    ratioRow(`${benchmark.name} / nact`, ours, nact, { atLeast: NACT_AT_LEAST }),
  ];
}

function againstErlang(benchmark: Benchmark, ours: Figure, beam: readonly Figure[]): Row {
  const claim = `${benchmark.name} / best Erlang`;
  const bound = { atLeast: benchmark.erlangAtLeast };
  if (beam.length === 0) return skippedRow(claim, ours, bound, "Erlang/OTP is not installed");
  return ratioRow(claim, ours, best(beam, "higher"), bound);
}

export const savina: RuntimeBench = {
  name: "savina",
  about: "Savina micro-benchmarks in one thread, beside Erlang/OTP and nact",
  async run(options) {
    const erlang = await findErlang(options.directory, options.say);
    const rows: Row[] = [];
    for (const benchmark of BENCHMARKS) rows.push(...(await measure(benchmark, erlang, options)));
    return rows;
  },
};
