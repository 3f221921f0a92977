/**
 * Appends of four actors on threads of their own, through the log's writer, beside bare loops that
 * write and sync the same bytes; and how long one append takes at half of that rate.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type ActorSystem, actor, WalProtocol, walWriter } from "esper-runtime";
import { quantile } from "../../lib/statistics.ts";
import { nextLatencies, nextReport, type Report } from "../runtime/collector.actors.ts";
import { percentilesOf } from "../runtime/histogram.ts";
import { interleave, type Side } from "../runtime/rounds.ts";
import { type Figure, middle, plainRow, type Row, ratioRow } from "../runtime/row.ts";
import { withSystem } from "../runtime/start-system.ts";
import { appendProducer, ProducerProtocol, RECORD_BYTES } from "./appends.actors.ts";
import { type BareFigures, frameBytes, type Sync, writeBare } from "./bare.ts";
import { type DurableBench, type DurableBenchOptions, scaled } from "./options.ts";

const PRODUCERS = ["one", "two", "three", "four"] as const;
const IN_FLIGHT = 64;
const RECORDS = 48_000;
const WARM_UP = 8_000;
const SINGLES = 4_000;
const BATCHES = 1_500;
const STEADY_SECONDS = 4;
const TIMES_SINGLE = 20;
const SHARE_OF_BARE = 0.7;
const TIMES_LATENCY = 3;
const STATUS_MS = 10_000;

/** Records a second from the first begin to the last end. */
function rateOf(reports: readonly Report[]): number {
  const of = (name: string): number[] => reports.map((report) => report[name] ?? Number.NaN);
  const tookMs = Math.max(...of("endedAtMs")) - Math.min(...of("startedAtMs"));
  return (1_000 * of("operations").reduce((sum, value) => sum + value, 0)) / tookMs;
}

async function burst(system: ActorSystem, count: number): Promise<number> {
  for (const name of PRODUCERS) {
    const order = { count: Math.ceil(count / PRODUCERS.length), inFlight: IN_FLIGHT };
    system.ref(ProducerProtocol, name).cast("burst", order);
  }
  const reports: Report[] = [];
  for (const _ of PRODUCERS) reports.push(await nextReport());
  return rateOf(reports);
}

const one = (): number => 1;

/** What the log has written so far. */
async function counts(system: ActorSystem): Promise<{ records: number; flushes: number }> {
  const { records, flushes } = await system
    .ref(WalProtocol, "wal")
    .call("status", null, { deadlineMs: STATUS_MS });
  return { records, flushes };
}

interface Steady {
  readonly latencies: Float64Array;
  readonly rate: number;
}

async function steady(system: ActorSystem, rate: number, seconds: number): Promise<Steady> {
  for (const name of PRODUCERS) {
    const order = { rate: rate / PRODUCERS.length, seconds };
    system.ref(ProducerProtocol, name).cast("steady", order);
  }
  const latencies: number[] = [];
  const reports: Report[] = [];
  for (const _ of PRODUCERS) {
    // One that failed says so in its report, and sends no latencies.
    reports.push(await nextReport());
    for (const latency of await nextLatencies()) latencies.push(latency);
  }
  return { latencies: Float64Array.from(latencies), rate: rateOf(reports) };
}

/** A bare loop as a side, with so many records in each write; keeps the latencies of its rounds. */
function bareSide(
  name: string,
  sync: Sync,
  batch: () => number,
  writes: number,
  options: DurableBenchOptions,
): Side & { readonly p99Us: number[] } {
  const p99Us: number[] = [];
  return {
    ...{ name, unit: "records/s", p99Us },
    async measure() {
      const records = batch();
      const bytes = records * frameBytes(RECORD_BYTES);
      const request = { directory: options.directory, sync, bytes };
      const { rate, percentiles }: BareFigures = writeBare({
        ...request,
        writes: scaled(writes, options),
      });
      p99Us.push(percentiles.p99);
      return rate * records;
    },
  };
}

const latencyFigure = (name: string, rounds: readonly number[]): Figure => ({
  ...{ name, unit: "us", rounds },
});

/** The append's p99 at half the rate, in turns with the p99 of a bare write with its sync. */
async function latencyRow(
  system: ActorSystem,
  rate: number,
  options: DurableBenchOptions,
): Promise<Row> {
  options.say("appends: at half the rate");
  const seconds = scaled(STEADY_SECONDS, options);
  const single = bareSide("write + fdatasync", "fdatasync", one, SINGLES, options);
  const ours: number[] = [];
  const reached: number[] = [];
  const all: number[] = [];
  for (let round = 0; round < options.rounds; round++) {
    await single.measure();
    const { latencies, rate: found } = await steady(system, rate / 2, seconds);
    ours.push(quantile([...latencies], 0.99));
    reached.push(found);
    for (const latency of latencies) all.push(latency);
  }
  const figure = { ...latencyFigure("esper p99", ours), percentiles: percentilesOf(all) };
  const peer = latencyFigure("write + fdatasync p99", single.p99Us);
  const note = `at ${Math.round(quantile(reached, 0.5))} records/s`;
  const claim = "append p99 at half the rate / bare write + fdatasync p99";
  return ratioRow(claim, figure, peer, { atMost: TIMES_LATENCY }, note);
}

async function rateRows(
  system: ActorSystem,
  options: DurableBenchOptions,
): Promise<{ readonly rows: readonly Row[]; readonly rate: number }> {
  options.say("appends: as fast as the answers come");
  const count = scaled(RECORDS, options);
  await burst(system, scaled(WARM_UP, options));
  const batches: number[] = [];
  const ours: Side = {
    ...{ name: `esper, ${PRODUCERS.length} actors x ${IN_FLIGHT}`, unit: "records/s" },
    async measure() {
      const before = await counts(system);
      const rate = await burst(system, count);
      const after = await counts(system);
      const batch = (after.records - before.records) / (after.flushes - before.flushes);
      batches.push(Math.max(1, Math.round(batch)));
      return rate;
    },
  };
  const single = bareSide("append + fsync one by one", "fsync", one, SINGLES, options);
  const latest = (): number => batches.at(-1) ?? 1;
  const whole = bareSide("write + fdatasync", "fdatasync", latest, BATCHES, options);
  const [own, singles, wholes] = await interleave([ours, single, whole], options.rounds);
  if (own === undefined || singles === undefined || wholes === undefined) {
    throw new Error("a side was not measured");
  }
  const rows = [
    ratioRow("appends of 256 B / append + fsync one by one", own, singles, {
      atLeast: TIMES_SINGLE,
    }),
    ratioRow(
      "appends of 256 B / bare write + fdatasync, same batch",
      own,
      wholes,
      { atLeast: SHARE_OF_BARE },
      `batches of ${batches.join(", ")} records, as the log wrote them`,
    ),
  ];
  return { rows, rate: middle(own) };
}

export const appends: DurableBench = {
  name: "appends",
  about: "four actors through the log's writer, beside bare write and sync loops",
  async run(options) {
    const directory = mkdtempSync(join(options.directory, "appends-"));
    const config = () => ({ directory, strict: true, retentionHours: 24 });
    const producers = PRODUCERS.map((name) => [name, actor(appendProducer, { thread: name })]);
    const children = {
      wal: actor(walWriter, { thread: "durable", config }),
      ...Object.fromEntries(producers),
    };
    try {
      return await withSystem(children, async (system) => {
        const { rows, rate } = await rateRows(system, options);
        const latency = await latencyRow(system, rate, options);
        const note = "half of it is the rate of the row above";
        const own = plainRow(
          "appends of 256 B, on the device",
          { name: "esper", unit: "records/s", rounds: [rate] },
          null,
          rate,
          note,
        );
        return [...rows, latency, own];
      });
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  },
};
