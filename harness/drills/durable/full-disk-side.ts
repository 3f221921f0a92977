/**
 * The process whose disk is full again and again: the product's own writer actor on a thread, a
 * caller that appends without a pause, and a listener for its telemetry. Prints what became of
 * every append as one line of JSON.
 *
 *   node full-disk-side.js <directory> <cycles> <seed> <tmpfs | file size limit>
 */
import { readdirSync, statfsSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  type ActorRef,
  ActorSystem,
  actor,
  createRandom,
  EsperError,
  supervisor,
  systemClock,
  systemFiles,
  Wal,
  WalProtocol,
  walWriter,
} from "esper-runtime";
import { nameOf, payloadOf } from "./contents.ts";
import { eventsNamed, listener, NOTED } from "./event-listener.ts";
import type { FullDiskFigures } from "./full-disk.ts";
import { limitFileSize } from "./small-disk.ts";

const [directory = "", cyclesText, seedText, kind] = process.argv.slice(2);
const cycles = Number(cyclesText);
const seed = Number(seedText);
const LIFE = 1;
const RECORD_BYTES = 256;
/** Seed and life, with which every record begins. */
const MARK_BYTES = 8;
const ROOM_BYTES = 24_576;
const AT_ONCE = 8;
/** Appends until the disk must be full, and appends to a full disk. */
const MOST_APPENDS = 4_000;
const MORE_APPENDS = 5;
const EVENT_LIMIT_MS = 5_000;
const DEADLINE_MS = 10_000;
const GRACE_MS = 5_000;

const log = join(directory, "wal");
const filler = join(directory, "filler");
const random = createRandom(seed, "full-disk");

const figures = {
  ...{ cycles: 0, acknowledged: 0, refused: 0, otherCodes: [] as string[] },
  ...{ roomMs: [] as number[], restarts: 0, degraded: 0, recovered: 0 },
  ...{ lost: [] as string[], phantom: [] as string[], failures: [] as string[] },
};
/** Sequences of the records that were acknowledged, by their number. */
const acknowledged = new Map<number, number>();
let offered = 0;

const contentsOf = (index: number): Uint8Array => {
  const bytes = new Uint8Array(RECORD_BYTES);
  bytes.set(payloadOf(seed, { life: LIFE, index }).subarray(0, RECORD_BYTES));
  return bytes;
};

/** The record that the log's bytes hold, wherever in them it stands; null for the log's own. */
function findRecord(
  payload: Uint8Array,
): { readonly index: number; readonly bytes: Buffer } | null {
  const mark = contentsOf(0).subarray(0, MARK_BYTES);
  const at = Buffer.from(payload).indexOf(mark);
  if (at < 0) return null;
  const bytes = Buffer.from(payload.subarray(at, at + RECORD_BYTES));
  return { index: nameOf(bytes)?.index ?? -1, bytes };
}

/** True when it was acknowledged, false when it was refused for want of room. */
async function append(ref: ActorRef<typeof WalProtocol.messages>): Promise<boolean> {
  const index = offered++;
  const entry = { recordId: `r${index}`, timeMs: Date.now(), bytes: contentsOf(index) };
  try {
    const options = { deadlineMs: DEADLINE_MS };
    const { sequences } = await ref.call("append", { records: [entry] }, options);
    acknowledged.set(index, sequences[0] ?? 0);
    figures.acknowledged += 1;
    return true;
  } catch (error) {
    const code = EsperError.is(error) ? error.code : String(error);
    if (code === "WAL_FULL") figures.refused += 1;
    else figures.otherCodes.push(code);
    return false;
  }
}

/** Leaves room for no more than `room` bytes. */
function fill(room: number): void {
  if (kind !== "tmpfs") {
    const newest = readdirSync(log).sort().at(-1) ?? "";
    limitFileSize(statSync(join(log, newest)).size + room);
    return;
  }
  const { bavail, bsize } = statfsSync(directory);
  writeFileSync(filler, new Uint8Array(Math.max(0, bavail * bsize - room)));
}

function makeRoom(): void {
  if (kind === "tmpfs") truncateSync(filler, 0);
  else limitFileSize(null);
}

async function awaitEvents(name: string, count: number): Promise<void> {
  const limitMs = performance.now() + EVENT_LIMIT_MS;
  while (eventsNamed(name) < count) {
    if (performance.now() > limitMs) {
      figures.failures.push(`no ${name} within ${EVENT_LIMIT_MS} ms`);
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function cycle(ref: ActorRef<typeof WalProtocol.messages>): Promise<void> {
  const [degraded, recovered] = [eventsNamed(NOTED.degraded), eventsNamed(NOTED.recovered)];
  fill(random.integer(ROOM_BYTES));
  let full = false;
  const started = offered;
  while (!full && offered - started < MOST_APPENDS) {
    const ends = await Promise.all(Array.from({ length: AT_ONCE }, () => append(ref)));
    full = ends.includes(false);
  }
  if (!full) figures.failures.push(`the disk took ${MOST_APPENDS} records and was not full`);
  for (let more = 0; more < MORE_APPENDS; more++) await append(ref);
  await awaitEvents(NOTED.degraded, degraded + 1);
  makeRoom();
  const roomAtMs = performance.now();
  if (!(await append(ref))) figures.failures.push("an append was refused although there was room");
  figures.roomMs.push(performance.now() - roomAtMs);
  await awaitEvents(NOTED.recovered, recovered + 1);
  figures.cycles += 1;
}

/** The log as the next start of the program finds it, record for record. */
async function compare(): Promise<void> {
  const wal = await Wal.open({ files: systemFiles, directory: log });
  let last = -1;
  for await (const { sequence, payload } of wal.read()) {
    const record = findRecord(payload);
    if (record === null) continue;
    const { index, bytes } = record;
    const promised = acknowledged.get(index);
    if (promised !== sequence || index <= last || !bytes.equals(contentsOf(index))) {
      figures.phantom.push(`record ${index} stands at ${sequence}, acknowledged as ${promised}`);
    }
    acknowledged.delete(index);
    last = index;
  }
  await wal.close();
  for (const [index, sequence] of acknowledged) figures.lost.push(`record ${index} (${sequence})`);
}

const config = () => ({ directory: log, strict: true, retentionHours: 24 });
const system = await ActorSystem.start({
  tree: supervisor({
    children: {
      listener: actor(listener, { thread: "main" }),
      wal: actor(walWriter, { thread: "durable", config }),
    },
  }),
  ...{ clock: systemClock, log: () => {}, telemetry: { actor: "listener" } },
});
try {
  const ref = system.ref(WalProtocol, "wal");
  for (let turn = 0; turn < cycles; turn++) await cycle(ref);
  figures.restarts = system.restarts;
} finally {
  makeRoom();
  await system.stop({ graceMs: GRACE_MS });
}
figures.degraded = eventsNamed(NOTED.degraded);
figures.recovered = eventsNamed(NOTED.recovered);
await compare();
const result: FullDiskFigures = figures;
console.log(JSON.stringify(result));
process.exit(0);
