/**
 * The log without actors around it: as many appends in flight in one thread. What it reaches beside
 * a bare loop with the batches that it made is the log's own share of every other figure.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Files, systemFiles, Wal } from "esper-runtime";
import { plainRow, type Row, ratioRow } from "../runtime/row.ts";
import { RECORD_BYTES } from "./appends.actors.ts";
import { frameBytes, writeBare } from "./bare.ts";
import { type DurableBench, type DurableBenchOptions, scaled } from "./options.ts";

const IN_FLIGHT = 256;
const RECORDS = 400_000;
const WARM_UP = 40_000;
const SINGLES = 4_000;
const TIMES_SINGLE = 20;
const SHARE_OF_BARE = 0.7;

interface Counts {
  syncs: number;
}

/** The real files, with their syncs counted. */
function counted(files: Files, counts: Counts): Files {
  return {
    ...files,
    async open(path, mode, permissions) {
      const file = await files.open(path, mode, permissions);
      const sync = (): Promise<void> => {
        counts.syncs += 1;
        return file.sync();
      };
      return { ...file, sync };
    },
  };
}

interface Run {
  /** Records a second, and how many shared a sync. */
  readonly rate: number;
  readonly batch: number;
}

async function fill(wal: Wal, counts: Counts, records: number): Promise<Run> {
  const payload = new Uint8Array(RECORD_BYTES).fill(0x5a);
  let begun = 0;
  const lane = async (): Promise<void> => {
    while (begun < records) await wal.append({ timeMs: ++begun, payload });
  };
  const syncs = counts.syncs;
  const startedMs = performance.now();
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
  const rate = (1_000 * begun) / (performance.now() - startedMs);
  return { rate, batch: begun / (counts.syncs - syncs) };
}

async function measure(wal: Wal, counts: Counts, options: DurableBenchOptions): Promise<Row[]> {
  const { directory, rounds } = options;
  const ours: number[] = [];
  const batched: number[] = [];
  const singles: number[] = [];
  const batches: number[] = [];
  const records = scaled(RECORDS, options);
  await fill(wal, counts, scaled(WARM_UP, options));
  for (let round = 0; round < rounds; round++) {
    const { rate, batch } = await fill(wal, counts, records);
    const size = Math.max(1, Math.round(batch));
    const writes = Math.ceil(records / size);
    const request = { directory, sync: "fdatasync" as const, writes };
    batched.push(size * writeBare({ ...request, bytes: size * frameBytes(RECORD_BYTES) }).rate);
    const one = { directory, sync: "fsync" as const, bytes: frameBytes(RECORD_BYTES) };
    singles.push(writeBare({ ...one, writes: scaled(SINGLES, options) }).rate);
    ours.push(rate);
    batches.push(batch);
  }
  const figure = (name: string, values: readonly number[], unit = "records/s") => ({
    ...{ name, unit, rounds: values },
  });
  const own = figure(`log, ${IN_FLIGHT} in flight`, ours);
  return [
    ratioRow(
      "the log alone / append + fsync one by one",
      own,
      figure("append + fsync one by one", singles),
      { atLeast: TIMES_SINGLE },
    ),
    ratioRow(
      "the log alone / bare write + fdatasync, same batch",
      own,
      figure("write + fdatasync", batched),
      { atLeast: SHARE_OF_BARE },
    ),
    plainRow("records that share a sync", figure("log", batches, "records"), null),
  ];
}

export const logAlone: DurableBench = {
  name: "log",
  about: "appends to the log in one thread, without actors",
  async run(options) {
    options.say("log: without actors");
    const directory = mkdtempSync(join(options.directory, "log-"));
    const counts = { syncs: 0 };
    const wal = await Wal.open({ files: counted(systemFiles, counts), directory });
    try {
      return await measure(wal, counts, options);
    } finally {
      await wal.close();
      rmSync(directory, { recursive: true, force: true });
    }
  },
};
