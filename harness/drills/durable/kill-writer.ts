/**
 * A writer that appends to a log until it is killed: several lanes at once, bursts of any size,
 * small segments, with pruning and compaction in between. It tells its parent everything (told.ts)
 * and loads nothing but the log.
 *
 *   node kill-writer.js <directory> <seed> <life> <first time> [appends, then it ends]
 */
import type { Wal } from "esper-runtime";
import { keeps, nameOf, payloadOf } from "./contents.ts";
import { loadLog } from "./light-log.ts";
import { tell } from "./told.ts";

const LANES = 4;
const BURST = 12;
const SEGMENT_BYTES = 16_384;
/** Older records may be pruned. */
const KEPT_RECORDS = 600;
const TIDY_EVERY = 64;
/** One life of so many begins with it, so that kills meet it early too. */
const TIDY_FIRST = 3;
const PAUSE_MS = 2;

const [directory = "", seedText, lifeText, firstTimeText, appendsText] = process.argv.slice(2);
const seed = Number(seedText);
const life = Number(lifeText);
const firstTimeMs = Number(firstTimeText);
const appends = Number(appendsText ?? Number.POSITIVE_INFINITY);

/** Bursts and pauses need no seed: when the kill comes differs from run to run anyway. */
let turn = life;
const draw = (bound: number): number => {
  turn = (Math.imul(turn, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((turn / 2 ** 32) * bound);
};

let offered = 0;
let acknowledged = 0;
let lastSequence = 0;

let tidying: Promise<void> | null = null;

async function append(wal: Wal): Promise<void> {
  const index = offered++;
  const timeMs = firstTimeMs + index;
  tell("offer", index, timeMs);
  const sequence = await wal.append({ timeMs, payload: payloadOf(seed, { life, index }) });
  tell("acknowledged", index, sequence);
  lastSequence = Math.max(lastSequence, sequence);
  acknowledged += 1;
  if (acknowledged % TIDY_EVERY === 0) tidySoon(wal);
}

function tidySoon(wal: Wal): void {
  tidying ??= tidy(wal).finally(() => {
    tidying = null;
  });
}

async function lane(wal: Wal): Promise<void> {
  while (offered < appends) {
    await Promise.all(Array.from({ length: 1 + draw(BURST) }, () => append(wal)));
    if (draw(8) === 0) await new Promise((resolve) => setTimeout(resolve, draw(PAUSE_MS + 1)));
  }
}

/** Prunes and compacts while the lanes go on. */
async function tidy(wal: Wal): Promise<void> {
  const beforeMs = firstTimeMs + acknowledged - KEPT_RECORDS;
  tell("prune", 0, beforeMs);
  tell("pruned", 0, await wal.prune(beforeMs));
  tell("compact", 0, lastSequence);
  const { removedRecords } = await wal.compact(({ payload }) => {
    const name = nameOf(payload);
    return name === null || keeps(name);
  });
  tell("compacted", 0, removedRecords);
}

const { Wal: Log, systemFiles } = await loadLog();
const wal = await Log.open({ files: systemFiles, directory, segmentBytes: SEGMENT_BYTES });
lastSequence = wal.status.lastSequence;
tell("ready", 0, lastSequence);
if (life % TIDY_FIRST === 0) tidySoon(wal);
await Promise.all(Array.from({ length: LANES }, () => lane(wal)));
await tidying;
await wal.close();
