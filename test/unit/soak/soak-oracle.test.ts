/** The judge of the soak must see every kind of lie, and cry over nothing else. */
import { describe, expect, it } from "vitest";
import { type FoundRecord, SoakOracle } from "../../../src/runtime/soak/soak-oracle.ts";
import { idOf, soakRecord } from "../../../src/runtime/soak/soak-record.ts";

const SEED = 11;

/** Records with these ids under consecutive numbers. */
function found(ids: readonly number[], from = 1): FoundRecord[] {
  return ids.map((id, index) => ({ sequence: from + index, ...soakRecord(SEED, id) }));
}

/** Offered ten, confirmed the first six. */
function oracle(): SoakOracle {
  const made = new SoakOracle(SEED);
  made.offer(10);
  for (let id = 1; id <= 6; id++) made.acknowledge(id, id);
  return made;
}

describe("a log that keeps its promises", () => {
  it.each([
    ["what was confirmed", [1, 2, 3, 4, 5, 6]],
    ["and what was under way", [1, 2, 3, 4, 5, 6, 7, 8]],
  ])("holds %s", (_what, ids) => {
    const judge = oracle();
    judge.check(found(ids));
    expect([judge.findings, judge.kept.broken, judge.true.broken]).toEqual([[], 0, 0]);
    expect(judge.kept.checked).toBe(6);
  });

  it("may have pruned from the front what it was told to", () => {
    const judge = oracle();
    judge.mayForget(4);
    judge.check(found([3, 4, 5, 6], 3));
    expect(judge.findings).toEqual([]);
  });

  it("may lack what was given up knowingly", () => {
    const judge = oracle();
    expect(judge.giveUp(5)).toBe(2);
    judge.check(found([1, 2, 3, 4]));
    expect(judge.findings).toEqual([]);
    judge.check(found([1, 2, 3, 4, 7]));
    expect(judge.findings).toEqual([]);
  });
});

describe("a log that lies is found out", () => {
  const changed = (index: number, change: (record: FoundRecord) => FoundRecord): FoundRecord[] =>
    found([1, 2, 3, 4, 5, 6]).map((record, at) => (at === index ? change(record) : record));

  it.each<[string, FoundRecord[], "kept" | "true"]>([
    ["a confirmed record is gone from the end", found([1, 2, 3, 4, 5]), "kept"],
    ["a confirmed record is gone from the middle", found([1, 2, 4, 5, 6]), "kept"],
    ["all are gone", [], "kept"],
    ["a record was never offered", found([1, 2, 3, 4, 5, 6, 11]), "true"],
    ["a record stands there twice", found([1, 2, 3, 4, 5, 6, 6]), "true"],
    ["two have changed places", found([1, 3, 2, 4, 5, 6]), "true"],
    ["a number was left out", [...found([1, 2]), ...found([3, 4, 5, 6], 4)], "true"],
    ["the numbers have moved", found([1, 2, 3, 4, 5, 6], 2), "true"],
    ["a time has changed", changed(2, (record) => ({ ...record, timeMs: 5 })), "true"],
    [
      "a byte has changed",
      changed(2, (record) => {
        const payload = record.payload.slice();
        payload[20] = (payload[20] ?? 0) ^ 1;
        return { ...record, payload };
      }),
      "true",
    ],
    [
      "a record was cut short",
      changed(5, (record) => ({ ...record, payload: record.payload.slice(0, -1) })),
      "true",
    ],
  ])("%s", (_what, records, promise) => {
    const judge = oracle();
    judge.check(records);
    expect(judge[promise].broken).toBeGreaterThan(0);
    expect(judge.findings.length).toBeGreaterThan(0);
  });

  it("what was seen once must stay, confirmed or not", () => {
    const judge = oracle();
    judge.check(found([1, 2, 3, 4, 5, 6, 7]));
    judge.check(found([1, 2, 3, 4, 5, 6]));
    expect(judge.kept.broken).toBe(1);
    expect(judge.findings).toEqual(["id 7 was acknowledged and is gone"]);
  });

  it("pruning more than it was told to is losing", () => {
    const judge = oracle();
    judge.mayForget(3);
    judge.check(found([4, 5, 6], 4));
    expect(judge.kept.broken).toBe(1);
  });
});

it("a record follows from seed and id alone, and says its id", () => {
  for (const id of [1, 96, 97, 5_000]) {
    expect(soakRecord(SEED, id)).toEqual(soakRecord(SEED, id));
    expect(idOf(soakRecord(SEED, id).payload)).toBe(id);
    expect(soakRecord(SEED + 1, id).payload).not.toEqual(soakRecord(SEED, id).payload);
  }
  expect(soakRecord(SEED, 97).payload.byteLength).toBeGreaterThan(700);
});
