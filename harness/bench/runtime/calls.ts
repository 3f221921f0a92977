/**
 * Calls between threads: the time of one call, warm and parked, beside MessagePort; and how many a
 * second with many in flight, beside MessagePort, comlink, piscina and comedy.
 */
import { actor } from "esper-runtime";
import { PortCalls } from "../peers/port-rpc.ts";
import { Repetitions } from "./benny-rounds.ts";
import { CallerProtocol, caller, echo } from "./calls.actors.ts";
import { nextLatencies } from "./collector.actors.ts";
import { percentilesOf } from "./histogram.ts";
import { type BenchOptions, type RuntimeBench, scaled } from "./options.ts";
import { versus } from "./rounds.ts";
import { type Bound, type Figure, type Row, ratioRow, skippedRow } from "./row.ts";
import { runSide } from "./side-process.ts";
import { withSystem } from "./start-system.ts";

const WINDOW = 256;
const CALLS_PIPELINED = 2_048;
const CALLS_SEQUENTIAL = 64;
/** Longer than any spin, so that both threads sleep when the call begins. */
const PAUSE_MS = 3;

interface Temper {
  readonly title: string;
  readonly count: number;
  readonly pauseMs: number;
  readonly bound: Bound;
}

const TEMPERS: readonly Temper[] = [
  { title: "warm", count: 20_000, pauseMs: 0, bound: { atMost: 1 / 15 } },
  { title: "parked", count: 500, pauseMs: PAUSE_MS, bound: { atMost: 1.15 } },
];

async function timedCalls(options: BenchOptions): Promise<Row[]> {
  const children = {
    echo: actor(echo, { thread: "two" }),
    caller: actor(caller, { thread: "one" }),
  };
  return withSystem(children, async (system) => {
    const port = new PortCalls();
    const ours: Timed = (timing) => {
      system.ref(CallerProtocol, "caller").cast("start", timing);
      return nextLatencies();
    };
    const peer: Timed = (timing) => port.measure(timing);
    const rows: Row[] = [];
    try {
      for (const temper of TEMPERS) {
        options.say(`calls: one at a time, ${temper.title}`);
        rows.push(await timed(temper, options, { ours, peer }));
      }
      return rows;
    } finally {
      await port.close();
    }
  });
}

type Timed = (timing: { count: number; pauseMs: number }) => Promise<Float64Array>;

/** Compares the median calls; the percentiles are those of all rounds together. */
async function timed(
  { title, count, pauseMs, bound }: Temper,
  options: BenchOptions,
  sides: { readonly ours: Timed; readonly peer: Timed },
): Promise<Row> {
  const timing = { count: scaled(count, options), pauseMs };
  const kept = { ours: [] as number[], peer: [] as number[] };
  const side = (which: "ours" | "peer", name: string) => ({
    name,
    unit: "us",
    async measure() {
      const latencies = await sides[which](timing);
      kept[which].push(...latencies);
      return percentilesOf(latencies).p50;
    },
  });
  await sides.ours(timing);
  await sides.peer(timing);
  const both = await versus(side("ours", "esper"), side("peer", "MessagePort RPC"), options.rounds);
  const ours = { ...both.ours, percentiles: percentilesOf(kept.ours) };
  const peer = { ...both.peer, percentiles: percentilesOf(kept.peer) };
  return ratioRow(`call, ${title}, p50 / MessagePort RPC`, ours, peer, bound);
}

async function suiteOf(
  window: number,
  calls: number,
  options: BenchOptions,
): Promise<(prefix: string) => Figure | undefined> {
  options.say(`calls: ${window} in flight`);
  const script = new URL("./calls-side.js", import.meta.url);
  const seconds = options.quick ? 0.2 : 0.6;
  const args = [window, calls, options.rounds, seconds, options.peers ?? "-"];
  const measured = await runSide(script, args, Repetitions);
  return (prefix) => {
    const found = measured.find(({ name }) => name.startsWith(prefix));
    return found && { ...found, unit: "calls/s" };
  };
}

function required(find: (prefix: string) => Figure | undefined, prefix: string): Figure {
  const figure = find(prefix);
  if (figure === undefined) throw new Error(`${prefix} was not measured`);
  return figure;
}

function againstComedy(
  title: string,
  ours: Figure,
  comedy: Figure | undefined,
  peers: string | null,
): Row {
  const claim = `call, ${title} / comedy threaded`;
  const bound = { atLeast: 20 };
  if (comedy !== undefined) return ratioRow(claim, ours, comedy, bound);
  const where = peers === null ? "name its folder with --peers" : `it is not in ${peers}`;
  return skippedRow(claim, ours, bound, `comedy is not installed: ${where}`);
}

async function manyCalls(options: BenchOptions): Promise<Row[]> {
  const piped = await suiteOf(WINDOW, CALLS_PIPELINED, options);
  const single = await suiteOf(1, CALLS_SEQUENTIAL, options);
  const ours = required(piped, "esper typed");
  const body = required(piped, "esper body");
  const alone = required(single, "esper typed");
  const title = `${WINDOW} in flight`;
  return [
    ratioRow(`call, ${title} / comlink`, ours, required(piped, "comlink"), { atLeast: 15 }),
    ratioRow(`call, ${title} / piscina`, ours, required(piped, "piscina"), { atLeast: 15 }),
    ratioRow(`call, ${title} / MessagePort RPC`, ours, required(piped, "MessagePort"), null),
    ratioRow(`call, ${title}, body / MessagePort RPC`, body, required(piped, "MessagePort"), null),
    againstComedy(title, ours, piped("comedy"), options.peers),
    againstComedy("one at a time", alone, single("comedy"), options.peers),
  ];
}

export const calls: RuntimeBench = {
  name: "calls",
  about: "calls between threads, beside MessagePort, comlink, piscina and comedy",
  run: async (options) => [...(await timedCalls(options)), ...(await manyCalls(options))],
};
