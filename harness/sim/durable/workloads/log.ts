/** A write-ahead log with several writers at once, small segments, compaction and retention. */
import { Wal } from "esper-runtime";
import type { Told } from "../told.ts";
import {
  coded,
  HandClock,
  itemOf,
  type Life,
  numberOf,
  payloadOf,
  type Workload,
} from "../workload.ts";

const WRITERS = 3;
const APPENDS_MAX = 4;
/** Fewer may wait than there are writers. With a clock that stands a seed is always the same. */
const LOG = { directory: "/run/wal", segmentBytes: 600, pendingRecords: 2 } as const;

const timeOf = (item: string): number => 1_000 * numberOf(item);

/** Items that were offered before this one may go; a segment goes as a whole or stays. */
async function retain(wal: Wal, told: Told): Promise<void> {
  const { owed } = told;
  const oldest = owed[Math.floor(owed.length / 2)];
  if (oldest === undefined) return;
  for (const item of owed) if (timeOf(item) < timeOf(oldest)) told.release(item);
  await coded(wal.prune(timeOf(oldest)));
}

/** Two of three items may go, wherever they stand: what is left of several segments fits in one. */
async function compact(wal: Wal, told: Told): Promise<void> {
  const doomed = new Set(told.owed.filter((_, at) => at % 3 !== 0));
  for (const item of doomed) told.release(item);
  await coded(wal.compact(({ payload }) => !doomed.has(itemOf(payload))));
}

async function write(wal: Wal, { told, random }: Life): Promise<void> {
  for (let left = 1 + random.integer(APPENDS_MAX); left > 0; left--) {
    const item = told.offer();
    const record = { timeMs: timeOf(item), payload: payloadOf(item) };
    const waits = random.integer(4) > 0;
    const appended = waits ? wal.appendWhenRoom(record) : wal.append(record);
    // In the turn of the append: a writer waits for one answer before it asks again.
    const sequence = await coded(appended);
    if (sequence !== null) told.acknowledge(item);
    else if (!wal.status.poisoned) told.refuse(item);
  }
}

export const log: Workload = {
  name: "log",
  keeps: "all",
  async run(life) {
    const wal = await coded(Wal.open({ files: life.files, clock: new HandClock(0), ...LOG }));
    if (wal === null) return;
    const writers = Array.from({ length: WRITERS }, () => write(wal, life));
    if (life.random.integer(2) === 0) writers.push(retain(wal, life.told));
    if (life.random.integer(2) === 0) writers.push(compact(wal, life.told));
    await Promise.all(writers);
    await write(wal, life);
    await compact(wal, life.told);
    await write(wal, life);
    await retain(wal, life.told);
    await coded(wal.close());
  },
  async recover({ files }) {
    const wal = await Wal.open({ files, clock: new HandClock(0), ...LOG });
    const found: string[] = [];
    try {
      for await (const { payload } of wal.read()) found.push(itemOf(payload));
    } finally {
      await wal.close();
    }
    return found;
  },
};
