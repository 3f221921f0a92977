/**
 * A claim does the same work however many entries there are. Counted, not timed: how often each
 * block of the ledger's and the log's code runs, and what is walked through in one built-in call.
 */
import { type Profiler, Session } from "node:inspector/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { encodeClaim } from "../../../../src/actors/ledger/claim-record.ts";
import { NonceLedger } from "../../../../src/actors/ledger/nonce-ledger.ts";
import { runLogId } from "../../../../src/runtime/durable/log-owner.ts";
import { Wal } from "../../../../src/runtime/durable/wal.ts";
import { TestClock } from "../../../fixtures/context.ts";
import { LightFiles } from "../../durable/wal-support.ts";

const TTL_MS = 65_000;
const RUN = "run-1";
const FEW = 100;
const MANY = 100_000;
const AT_ONCE = 1_000;
const COUNTED = /\/src\/(?:actors\/ledger|runtime\/durable)\//;
const id = (counter: number): string => `${RUN}/1/${counter}`;

let session: Session;
beforeEach(async () => {
  session = new Session();
  session.connect();
  await session.post("Profiler.enable");
});
afterEach(() => session.disconnect());

type Walk = (
  this: { readonly length?: number; readonly size?: number },
  ...args: never[]
) => unknown;
const WALKS: readonly (readonly [prototype: object, names: readonly PropertyKey[]])[] = [
  [Set.prototype, ["forEach", "keys", "values", "entries", Symbol.iterator]],
  [Map.prototype, ["forEach", "keys", "values", "entries", Symbol.iterator]],
  [
    Array.prototype,
    [
      ...["indexOf", "includes", "find", "findIndex", "findLast", "filter", "map", "forEach"],
      ...["some", "every", "reduce", "shift", "unshift", "splice", "slice", "sort", "concat"],
      Symbol.iterator,
    ],
  ],
];

/** Counts the elements that built-in calls may walk through while `work` runs. */
async function walkedBy(work: () => Promise<unknown>): Promise<number> {
  let walked = 0;
  const undo: (() => void)[] = [];
  for (const [prototype, names] of WALKS) {
    for (const name of names) {
      const found = Object.getOwnPropertyDescriptor(prototype, name) as PropertyDescriptor;
      const original = found.value as Walk;
      const value: Walk = function (this, ...args) {
        walked += this.length ?? this.size ?? 0;
        return original.apply(this, args);
      };
      undo.push(() => Object.defineProperty(prototype, name, found));
      Object.defineProperty(prototype, name, { ...found, value });
    }
  }
  try {
    await work();
  } finally {
    for (const restore of undo) restore();
  }
  return walked;
}

const runsOf = ({ functions }: Profiler.ScriptCoverage): number =>
  functions.reduce((sum, { ranges }) => sum + ranges.reduce((all, { count }) => all + count, 0), 0);

/** How often blocks of the counted files run while `work` runs. */
async function blocksRunBy(work: () => Promise<unknown>): Promise<number> {
  await session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  try {
    // What ran before is told, and forgotten, by the first asking.
    await session.post("Profiler.takePreciseCoverage");
    await work();
    const { result } = await session.post("Profiler.takePreciseCoverage");
    const counted = result.filter(({ url }) => COUNTED.test(url));
    return counted.reduce((sum, script) => sum + runsOf(script), 0);
  } finally {
    await session.post("Profiler.stopPreciseCoverage");
  }
}

/** The entries come from the log, so that filling takes no claims. */
async function filled(entries: number, clock: TestClock): Promise<NonceLedger> {
  const [files, directory] = [new LightFiles(), "/run/ledger"];
  const wal = await Wal.open({ files, directory, logId: runLogId(RUN, "ledger") });
  const [timeMs, floorMs] = [clock.wallMs, 0];
  for (let from = 0; from < entries; from += AT_ONCE) {
    const counters = Array.from(
      { length: Math.min(AT_ONCE, entries - from) },
      (_, at) => from + at,
    );
    const payloads = counters.map((counter) =>
      encodeClaim({ commandId: id(counter), issuedAtMs: timeMs, floorMs, attempt: "a" }),
    );
    await Promise.all(payloads.map((payload) => wal.append({ timeMs, payload })));
  }
  await wal.close();
  const ledger = await NonceLedger.open({
    ...{ files, directory, runId: RUN, salvage: false, clock },
    ...{ capacity: 200_000, freshnessMs: 60_000, ttlMs: TTL_MS, tell: () => undefined },
  });
  expect(ledger.size).toBe(entries);
  return ledger;
}

interface Work {
  readonly blocks: number;
  readonly walked: number;
}

/** The work of one claim, the second of its kind, in a ledger with so many entries. */
async function workOf(
  entries: number,
  later: { readonly waitMs: number; readonly verdict: string; readonly counter: number },
): Promise<Work> {
  const clock = new TestClock();
  const ledger = await filled(entries, clock);
  clock.wallMs += later.waitMs;
  let next = later.counter;
  const claim = async (): Promise<void> => {
    const commandId = id(next++);
    const verdict = await ledger.claim({ commandId, issuedAtMs: clock.wallMs, attempt: "b" });
    expect(verdict).toBe(later.verdict);
  };
  await claim();
  const work = { blocks: await blocksRunBy(claim), walked: await walkedBy(claim) };
  await ledger.close();
  return work;
}

describe("the work of a claim", () => {
  it.each([
    ["that is fresh", { waitMs: 1, verdict: "fresh", counter: 1_000_000 }],
    ["that is replayed", { waitMs: 1, verdict: "replayed", counter: 7 }],
    ["when all entries have expired at once", { waitMs: TTL_MS, verdict: "fresh", counter: 1e6 }],
  ])("%s is the same with 100 entries and with 100,000", async (_what, later) => {
    const few = await workOf(FEW, later);
    const many = await workOf(MANY, later);
    expect(few.blocks).toBeGreaterThan(5);
    // Of few entries, expired ones come to less than one whole slice.
    expect(many.blocks).toBeLessThan(2 * few.blocks + 100);
    expect(many.walked).toBeLessThan(2 * few.walked + 100);
  });
});
