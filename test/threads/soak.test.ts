/** The soaks, short: each as the process it is, with every promise kept and everything counted. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import type { CellResult } from "../../harness/soak/flood-cell.ts";
import { CELLS, type Cell, cellName } from "../../harness/soak/flood-shape.ts";
import { floodVerdicts } from "../../harness/soak/flood-verdicts.ts";
import { memoryVerdicts, slopesOf } from "../../harness/soak/memory.ts";

const HARNESS = fileURLToPath(new URL("../../dist/harness.js", import.meta.url));
const LIMIT_MS = 120_000;

interface Soak {
  readonly figures: Record<string, unknown>;
  readonly verdicts: readonly { promise: string; measured: string; kept: boolean }[];
}

function soak(...args: string[]): Soak {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [HARNESS, "soak", ...args, "--json"],
    { encoding: "utf8", timeout: LIMIT_MS },
  );
  expect(status, stdout + stderr).toBe(0);
  const found = JSON.parse(stdout) as Soak;
  expect(found.verdicts.filter(({ kept }) => !kept)).toEqual([]);
  return found;
}

const promises = ({ verdicts }: Soak): string => verdicts.map(({ promise }) => promise).join("\n");

describe("the cancellation soak", () => {
  it(
    "keeps its promises on both kinds of pool and in actors of other threads",
    () => {
      const found = soak("cancellation", "--rounds", "4", "--jobs", "64");
      const sides = found.figures["sides"] as Record<string, Record<string, unknown>>;
      expect(Object.keys(sides)).toEqual([
        "pool, one job a worker",
        "pool, shared workers",
        "calls of actors",
      ]);
      for (const { jobs, ends } of Object.values(sides)) {
        const { value, CANCELLED, DEADLINE_EXCEEDED } = ends as Record<string, number>;
        expect(jobs).toBe(4 * 64);
        expect(Math.min(value ?? 0, CANCELLED ?? 0, DEADLINE_EXCEEDED ?? 0)).toBeGreaterThan(0);
      }
      expect(sides["pool, one job a worker"]?.["stubborn"]).toBeGreaterThanOrEqual(4);
      expect(sides["calls of actors"]?.["stubborn"]).toBe(1);
      expect(sides["calls of actors"]?.["noticed_us"]).toMatchObject({ count: expect.any(Number) });
      expect(promises(found)).toContain("threads, handles, listeners and token slots are back");
    },
    LIMIT_MS,
  );
});

describe("the back-pressure soak", () => {
  it(
    "keeps its promises in every mailbox that is sent ten times what it can take",
    () => {
      const found = soak("back-pressure", "--cell-seconds", "0.3", "--only", "10x");
      const cells = found.figures["cells"] as readonly CellResult[];
      expect(cells).toHaveLength(12);
      for (const { cell, handled, deadLetters, sendUs } of cells) {
        expect(handled.control + handled.bulk, cell).toBeGreaterThan(0);
        if (cell.startsWith("wait")) expect(sendUs?.count, cell).toBeGreaterThan(0);
        // A flood that nothing was refused of would have been none.
        else expect(deadLetters, cell).toBeGreaterThan(0);
      }
      expect(promises(found)).toContain("sent = handled + dead letters, exactly");
    },
    LIMIT_MS,
  );
});

const quiet = { count: 1, min: 1, p50: 1, p90: 1, p95: 1, p99: 1, p999: 1, max: 1 };

function resultOf(cell: Cell, changes: Partial<CellResult> = {}): CellResult {
  return {
    cell: cellName(cell),
    sent: { emergency: 5, control: 20, bulk: 75 },
    handled: { emergency: 5, control: 20, bulk: 75 },
    ...{ refused: 0, deadLetters: 0, unaccounted: 0, damaged: 0, disordered: 0, missing: 0 },
    ...{ mostDepth: 1, mostQueued: 1, rssGrowthMib: 1, emergencyUs: quiet, sendUs: quiet },
    ...changes,
  };
}

describe("a broken promise of the back-pressure soak is named with its cell", () => {
  const [cell] = CELLS as readonly [Cell];

  it.each<[string, Partial<CellResult>]>([
    ["sent = handled", { unaccounted: 1 }],
    ["sent = handled", { unaccounted: -1 }],
    ["nothing is lost", { missing: 1 }],
    ["nothing is lost", { deadLetters: 1 }],
    ["bytes arrive", { damaged: 1 }],
    ["stay in order", { disordered: 1 }],
    ["depth never above", { mostDepth: 10_000 }],
    ["in the mailbox itself", { mostQueued: cell.size.capacity + 1 }],
    ["memory bounded", { rssGrowthMib: 1_000 }],
    ["every lane progresses", { handled: { emergency: 5, control: 5_000, bulk: 40 } }],
    ["every lane progresses", { handled: { emergency: 0, control: 20, bulk: 75 } }],
    ["an emergency waits", { emergencyUs: { ...quiet, p99: 100_001 } }],
  ])("%s: %j", (promise, changes) => {
    const verdicts = floodVerdicts([resultOf(cell), resultOf(cell, changes)], CELLS, 5);
    const broken = verdicts.filter(({ kept }) => !kept);
    expect(broken).toHaveLength(1);
    expect(broken[0]?.promise).toContain(promise);
    expect(broken[0]?.measured).toContain(cellName(cell));
  });

  it("and none is, where all are kept", () => {
    const verdicts = floodVerdicts(
      CELLS.map((one) => resultOf(one)),
      CELLS,
      5,
    );
    expect(verdicts.every(({ kept }) => kept)).toBe(true);
    expect(verdicts).toHaveLength(10);
  });
});

describe("the slope of memory", () => {
  /** Two kinds of work in turns, one of which needs 100 MiB more; both grow alike. */
  const points = (minutes: number, mibPerMinute: number) =>
    Array.from({ length: 60 }, (_, index) => {
      const atMinutes = (minutes * (index + 1)) / 60;
      const mib = 100 * (index % 2) + mibPerMinute * atMinutes;
      const group = index % 2 === 0 ? "small" : "large";
      return { minutes: atMinutes, group, rssMib: mib, heapMib: 10 };
    });

  it.each([
    [6, 2, false],
    [6, 0.5, true],
    [6, -3, true],
    [2, 50, true],
  ])("of %d minutes that grow by %d MiB/min is kept: %s", (minutes, perMinute, kept) => {
    const slopes = slopesOf(points(minutes, perMinute));
    expect(slopes.rssMibPerMinute).toBeCloseTo(perMinute, 6);
    expect(slopes.heapMibPerMinute).toBeCloseTo(0, 6);
    expect(memoryVerdicts(slopes).map((verdict) => verdict.kept)).toEqual([kept, true]);
  });

  it("forgets the first half, in which a process fills its caches", () => {
    const grown = points(6, 0).map((point) => ({
      ...point,
      rssMib: point.rssMib + 50 * Math.min(point.minutes, 2.9),
    }));
    expect(slopesOf(grown).rssMibPerMinute).toBeCloseTo(0, 6);
  });
});
