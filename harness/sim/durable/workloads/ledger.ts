/**
 * A nonce ledger with claims at once, twice and again, whose clock goes on and back, while expired
 * claims leave its log. What was answered "fresh" must never be fresh again.
 */
import { NonceLedger } from "esper-runtime/testkit";
import { BrokenPromise, type Told } from "../told.ts";
import { coded, HandClock, type Life, numberOf, type Workload } from "../workload.ts";

const RUN = "run-1";
const TTL_MS = 65_000;
/** Few, so that it is full at times, and small segments, so that they are removed. */
const BOUNDS = { capacity: 5, freshnessMs: 60_000, ttlMs: TTL_MS, segmentBytes: 200 } as const;
const START_MS = 1_735_732_800_000;
/** The latest time that the clock ever showed. */
const LATEST = "latest";

const ISSUED = (item: string): string => `issue time of ${item}`;

interface Desk {
  readonly ledger: NonceLedger;
  readonly clock: HandClock;
  readonly life: Life;
}

const open = (files: Life["files"], clock: HandClock): Promise<NonceLedger> =>
  NonceLedger.open({
    ...{ files, clock, ...BOUNDS, directory: "/run/ledger", runId: RUN },
    ...{ salvage: false, tell: () => undefined },
  });

const issuedOf = (told: Told, item: string): number => told.recall(ISSUED(item)) ?? START_MS;

/** What the ledger answers to one who claims the id of the item; null when it refuses to say. */
function claim(ledger: NonceLedger, told: Told, item: string, attempt: string) {
  const commandId = `${RUN}/1/${numberOf(item)}`;
  return coded(ledger.claim({ commandId, issuedAtMs: issuedOf(told, item), attempt }));
}

/** A new id, claimed by two at once: at most one may have it. */
async function use({ ledger, clock, life: { told, random } }: Desk): Promise<void> {
  const item = told.offer();
  told.remember(ISSUED(item), clock.wallMs - random.integer(TTL_MS) + 4_000);
  const rivals = random.integer(3) === 0 ? ["first", "second"] : ["first"];
  const fresh = (verdict: unknown) => verdict === "fresh";
  // In the turn of the answer: what crashes later finds it told.
  const answers = rivals.map(async (attempt) => {
    const verdict = await claim(ledger, told, item, attempt);
    if (fresh(verdict)) told.acknowledge(item);
    return verdict;
  });
  const verdicts = await Promise.all(answers);
  if (verdicts.filter(fresh).length > 1) throw new BrokenPromise(`${item} was fresh twice`);
  if (verdicts.some((verdict) => verdict !== null)) return;
  const again = await claim(ledger, told, item, "third");
  if (fresh(again)) told.acknowledge(item);
  if (again === "replayed") throw new BrokenPromise(`${item} is used up, and nobody has it`);
}

async function useMany(desk: Desk, atMs: number, count: number): Promise<void> {
  const { clock, life } = desk;
  clock.wallMs = atMs;
  life.told.remember(LATEST, Math.max(atMs, life.told.recall(LATEST) ?? 0));
  await Promise.all(Array.from({ length: count }, () => use(desk)));
}

/** The items that are not fresh when their clock shows their issue time again. */
async function usedUp(ledger: NonceLedger, clock: HandClock, told: Told): Promise<string[]> {
  const used: string[] = [];
  for (const item of told.owed) {
    clock.wallMs = issuedOf(told, item);
    const verdict = await claim(ledger, told, item, "again");
    // A ledger that only had no room for it does not know it either.
    if (verdict !== "fresh" && verdict !== null) used.push(item);
  }
  return used;
}

async function work(desk: Desk): Promise<void> {
  const { clock, ledger, life } = desk;
  const { told } = life;
  const startMs = clock.wallMs;
  await useMany(desk, startMs, 3);
  await useMany(desk, startMs + 3_000, 2);
  const laterMs = Math.max(startMs, told.recall(LATEST) ?? 0) + 2 * TTL_MS;
  for (const passedMs of [0, 3_000, TTL_MS + 6_000]) {
    await useMany(desk, laterMs + passedMs, 3);
  }
  const used = await usedUp(ledger, clock, told);
  const unused = told.owed.find((item) => !used.includes(item));
  if (unused !== undefined) throw new BrokenPromise(`${unused} is fresh again in the same life`);
}

/** Issue times to which the clock is set back, the earliest first. */
const timesOf = (told: Told): number[] =>
  told.owed.map((item) => issuedOf(told, item)).sort((one, other) => one - other);

export const ledger: Workload = {
  name: "ledger",
  keeps: "all",
  async run(life) {
    const { files, told, random } = life;
    const latestMs = told.recall(LATEST) ?? START_MS;
    const times = [latestMs, latestMs + TTL_MS / 2, ...timesOf(told)];
    const clock = new HandClock(times[random.integer(times.length)] ?? latestMs);
    const opened = await coded(open(files, clock));
    if (opened === null) return;
    await work({ ledger: opened, clock, life });
    await coded(opened.close());
  },
  async recover({ files, told }) {
    const latestMs = told.recall(LATEST) ?? START_MS;
    const [earliestMs = latestMs] = timesOf(told);
    let used: readonly string[] = told.owed;
    // What the clock showed when the claims were read decides which of them were let go.
    for (const openedAtMs of [earliestMs, latestMs]) {
      const clock = new HandClock(openedAtMs);
      const opened = await open(files, clock);
      const found = await usedUp(opened, clock, told);
      used = used.filter((item) => found.includes(item));
      await opened.close();
    }
    return used;
  },
};
