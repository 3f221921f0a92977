/**
 * An outbox in a log of small segments: lanes that refuse, give up and drop, records without a
 * lane, notes, a receiver that fails often, and compaction beside all of that.
 */
import { Wal } from "esper-runtime";
import { Outbox } from "esper-runtime/testkit";
import { BrokenPromise } from "../told.ts";
import { coded, HandClock, type Life, numberOf, payloadOf, type Workload } from "../workload.ts";
import { ACKNOWLEDGED, ATTEMPTS, DIED, NEWEST, REASONS, SEQUENCE } from "./outbox-facts.ts";
import { findAll, laneOf, requireSame, subjectOf } from "./outbox-oracle.ts";

const LOG = { directory: "/run/wal", segmentBytes: 2_500, pendingRecords: 3 } as const;
const OPTIONS = {
  lanes: {
    control: { recordsMax: 4 },
    bulk: { recordsMax: 3, whenFull: "drop-oldest", retriesMax: 0 },
  },
  // More are not needed by one who asks again at once; the rest may leave the log.
  retention: { keepRecords: 2 },
} as const;
const START_MS = 1_735_732_800_000;
/** Longer than any pause and any time to answer. */
const STEP_MS = 120_000;
const BURST = 4;

interface Desk {
  readonly wal: Wal;
  readonly outbox: Outbox;
  readonly clock: HandClock;
  readonly life: Life;
}

/** What is put for an item, always the same. */
function letterOf(item: string) {
  const lane = laneOf(item);
  const notes = lane === null ? [] : [{ key: lane, bytes: new TextEncoder().encode(item) }];
  const timeMs = START_MS + numberOf(item);
  return { id: item, lane, subject: subjectOf(item), payload: payloadOf(item), timeMs, notes };
}

async function put({ wal, outbox, life: { told } }: Desk): Promise<void> {
  const item = told.offer();
  const sequence = await coded(outbox.put(letterOf(item)));
  if (sequence === null) {
    if (!wal.status.poisoned) told.refuse(item);
    return;
  }
  told.acknowledge(item);
  told.remember(SEQUENCE(item), sequence);
  const newest = NEWEST(laneOf(item));
  told.remember(newest, Math.max(told.recall(newest) ?? 0, numberOf(item)));
}

const burst = async (desk: Desk): Promise<void> => {
  await Promise.all(Array.from({ length: BURST }, () => put(desk)));
};

/** Asking again for what is known already is answered with what is known. */
async function putAgain({ outbox, life: { told } }: Desk, item: string): Promise<void> {
  const expected = told.recall(SEQUENCE(item));
  const sequence = await coded(outbox.put(letterOf(item)));
  if (expected === null || sequence === expected) return;
  throw new BrokenPromise(`${item} is record ${sequence}, and was record ${expected} before`);
}

async function acknowledge(desk: Desk, items: readonly string[]): Promise<void> {
  const { outbox, life } = desk;
  for (const item of items) {
    life.told.release(item);
    life.told.remember(ACKNOWLEDGED(item), 1);
  }
  // One that is being given up meanwhile is not counted.
  if ((await coded(outbox.acknowledge(items))) !== items.length) return;
  for (const item of items) life.told.remember(ACKNOWLEDGED(item), 2);
  const [last] = items.slice(-1);
  if (last !== undefined) await putAgain(desk, last);
}

async function fail({ outbox, life: { told } }: Desk, id: string, never: boolean): Promise<void> {
  const reason = never ? REASONS.never : REASONS.busy;
  if (never) told.remember(DIED(id), 1);
  told.remember(ATTEMPTS(id), (told.recall(ATTEMPTS(id)) ?? 0) + 1);
  const failed = await coded(outbox.fail(id, reason.why, { never }));
  if (failed?.outcome === "dead") told.remember(DIED(id), reason.fact);
}

/** The receiver takes some, and answers for all of them at once. */
async function receive(desk: Desk): Promise<void> {
  const { outbox, clock, life } = desk;
  const { random, told } = life;
  clock.wallMs += STEP_MS;
  const taken = outbox.next(1 + random.integer(9));
  for (const entry of taken) requireSame(entry, told);
  const answers = taken.map(({ id }) => ({ id, how: random.integer(6) }));
  const good = answers.filter(({ how }) => how > 2).map(({ id }) => id);
  // It got those that were given up after all.
  if (random.integer(2) === 0) good.push(...outbox.deadLetters(5).map(({ id }) => id));
  const failures = answers.filter(({ how }) => how < 2);
  await Promise.all([
    acknowledge(desk, good),
    ...failures.map(({ id, how }) => fail(desk, id, how === 1)),
  ]);
}

async function work(desk: Desk): Promise<void> {
  const { outbox, life } = desk;
  const { told, random } = life;
  const { owed } = told;
  const known = owed[random.integer(Math.max(1, owed.length))];
  if (known !== undefined) await putAgain(desk, known);
  await Promise.all([burst(desk), ...(random.integer(4) === 1 ? [coded(outbox.compact())] : [])]);
  await Promise.all([receive(desk), burst(desk)]);
  await coded(outbox.tidy());
  // The compaction finds records on their way, and others come after it has begun.
  const before = random.integer(2) === 0 ? [burst(desk)] : [];
  await Promise.all([...before, coded(outbox.compact()), receive(desk)]);
  await receive(desk);
}

async function withOutbox<T>(
  life: Pick<Life, "files">,
  clock: HandClock,
  use: (wal: Wal, outbox: Outbox) => Promise<T>,
): Promise<T> {
  const wal = await Wal.open({ files: life.files, clock, ...LOG });
  try {
    return await use(wal, await Outbox.open(wal, { clock, ...OPTIONS }));
  } finally {
    await wal.close();
  }
}

export const outbox: Workload = {
  name: "outbox",
  keeps: "all",
  async run(life) {
    const clock = new HandClock(START_MS);
    const use = (wal: Wal, box: Outbox) => work({ wal, outbox: box, clock, life });
    await coded(withOutbox(life, clock, use));
  },
  recover(life) {
    // Whatever waits for its next attempt is handed out.
    const clock = new HandClock(START_MS + 1_000 * STEP_MS);
    return withOutbox(life, clock, (wal, box) => findAll(wal, box, life.told));
  },
};
