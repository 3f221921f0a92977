import { describe, expect, it } from "vitest";
import {
  type ActorRow,
  SHOWN_POOLS,
  StatsTable,
  statsMemory,
  TOP_SPAWNED,
} from "../../../src/runtime/thread/stats.ts";

const oldestOf = (slot: number, lane: number): number | null =>
  lane === 0 ? null : 100 * slot + lane;

function fillRow(table: StatsTable, slot: number): void {
  for (let lane = 0; lane < 4; lane++) {
    table.writeLane(slot, lane, 10 * slot + lane, oldestOf(slot, lane));
  }
  table.writeActive(slot, slot, slot === 2 ? null : 0, 1_000 * slot);
}

/** What `fillRow` has written. */
function rowOf(slot: number): ActorRow {
  return {
    depths: [0, 1, 2, 3].map((lane) => 10 * slot + lane),
    oldestAtMs: [0, 1, 2, 3].map((lane) => oldestOf(slot, lane)),
    stashed: slot,
    activeKind: slot === 2 ? null : 0,
    activeSinceMs: 1_000 * slot,
  };
}

describe("the table in which a thread shows its actors", () => {
  it("says nothing before the thread has published", () => {
    const table = new StatsTable(statsMemory(2));
    expect(table.publishedAtMs).toBe(0);
    expect(table.readActor(1)).toMatchObject({
      ...{ depths: [0, 0, 0, 0], oldestAtMs: [null, null, null, null], activeKind: null },
    });
    expect(table.readMemory()).toBeNull();
    expect(table.readTop()).toEqual([]);
    expect(table.readPools()).toEqual([]);
  });

  it("keeps every row apart from every other", () => {
    const memory = statsMemory(3);
    const table = new StatsTable(memory);
    const slots = [1, 2, 3];
    for (const slot of slots) fillRow(table, slot);
    const heap = { heapUsedBytes: 1, heapLimitBytes: 2, externalBytes: 3, arrayBuffersBytes: 4 };
    table.writeMemory(heap);
    table.writeTop([{ name: "child#1", depth: 7, oldestAtMs: 5 }]);
    table.writePools([{ name: "jobs.js", figures: [7, 1, 2, 3, 0, 1, 0] }]);
    table.published(5_000, 12);
    const seen = new StatsTable(memory);
    expect(slots.map((slot) => seen.readActor(slot))).toEqual(slots.map(rowOf));
    expect(seen.readMemory()).toEqual(heap);
    expect(seen.readTop()).toEqual([{ name: "child#1", depth: 7, oldestAtMs: 5 }]);
    expect(seen.readPools()).toEqual([{ name: "jobs.js", figures: [7, 1, 2, 3, 0, 1, 0] }]);
    expect([seen.publishedAtMs, seen.spawned]).toEqual([5_000, 12]);
  });

  it("shows as many names as there is room for, and forgets those before", () => {
    const table = new StatsTable(statsMemory(1));
    const rows = Array.from({ length: 20 }, (_, index) => index);
    table.writeTop(rows.map((index) => ({ name: `a#${index}`, depth: 1, oldestAtMs: null })));
    table.writePools(rows.map((index) => ({ name: `p${index}`, figures: [1, 0, 0, 1, 0, 0, 0] })));
    expect(table.readTop()).toHaveLength(TOP_SPAWNED);
    expect(table.readPools()).toHaveLength(SHOWN_POOLS);
    table.writeTop([]);
    table.writePools([]);
    expect([...table.readTop(), ...table.readPools()]).toEqual([]);
  });

  it("cuts a long name between two characters", () => {
    const table = new StatsTable(statsMemory(1));
    table.writeTop([{ name: `x${"ä".repeat(60)}`, depth: 1, oldestAtMs: null }]);
    expect(table.readTop()[0]!.name).toBe(`x${"ä".repeat(31)}`);
  });
});
