import { describe, expect, it } from "vitest";
import type { Observation } from "../../../../../src/actors/tamiyo/field-reports/window.ts";
import {
  type WindowChange,
  Windows,
} from "../../../../../src/actors/tamiyo/field-reports/windows.ts";
import { reportOf } from "../../../../fixtures/field-reports.ts";

const NONE = new Map<string, Uint8Array>();

function seen(step: number, changes: Partial<Observation> = {}): Observation {
  return {
    ...{ runId: "run-1", incarnation: 1, step, lossDelta: -0.1 },
    ...{ hookLatencyMs: null, reason: "observing", critical: false, ...changes },
  };
}

/** Decides at a step; with a command when it is given an id. */
function decide(
  windows: Windows,
  step: number,
  changes: Partial<Observation> & { commandId?: string } = {},
): WindowChange {
  const { commandId = "", ...observation } = changes;
  const report = reportOf({ reportId: `report/${step}`, commandId, issuedAtMs: 1_000 + step });
  const change = windows.decided(report, seen(step, observation));
  windows.adopt(change);
  return change;
}

/** The reports that the decisions at these steps closed. */
function closedBy(windows: Windows, steps: readonly number[], changes: Partial<Observation> = {}) {
  return steps.flatMap((step) => decide(windows, step, changes).closed.map(({ report }) => report));
}

describe("an observation window", () => {
  it("closes after so many further decisions, with what they added up to", () => {
    const windows = new Windows(3, NONE);
    expect(decide(windows, 16, { commandId: "run-1/1/16", lossDelta: 5 }).closed).toEqual([]);
    expect(windows.size).toBe(1);
    expect(closedBy(windows, [32], { lossDelta: -0.5, hookLatencyMs: 10 })).toEqual([]);
    expect(closedBy(windows, [48], { lossDelta: 0.25, hookLatencyMs: 20 })).toEqual([]);
    expect(closedBy(windows, [64], { lossDelta: -0.125, reason: "plateau" })).toEqual([
      {
        version: 1,
        reportId: "fr-synth-run-1/1/16-16+3",
        commandId: "run-1/1/16",
        trainingRunId: "run-1",
        seedId: "seed-1",
        blueprintId: "BP001",
        outcome: "SUCCESS",
        metrics: {
          loss_delta_total: -0.375,
          loss_delta_min: -0.5,
          loss_delta_max: 0.25,
          avg_hook_latency_ms: 15,
        },
        observationWindowEpochs: 3,
        issuedAtMs: 1_064,
        tamiyoPolicyVersion: "plateau-1",
        notes: "plateau",
      },
    ]);
    expect(windows.size).toBe(0);
  });

  it.each([
    ["SUCCESS", [-0.2, 0.1], false],
    ["REGRESSION", [-0.1, 0.2], false],
    ["NEUTRAL", [-0.25, 0.25], false],
    ["REGRESSION", [-0.5, -0.5], true],
    ["REGRESSION", [Number.NaN, -0.5], false],
  ] as const)("is judged %s by %j, critical: %s", (outcome, deltas, critical) => {
    const windows = new Windows(2, NONE);
    decide(windows, 1, { commandId: "c" });
    decide(windows, 2, { lossDelta: deltas[0], critical });
    expect(closedBy(windows, [3], { lossDelta: deltas[1] })).toMatchObject([{ outcome }]);
  });

  it("is not opened where one observation is the whole window", () => {
    const windows = new Windows(1, NONE);
    expect(decide(windows, 1, { commandId: "c" }).notes).toEqual([]);
    expect(windows.size).toBe(0);
  });

  it("counts a step that is repeated once, and none of another run", () => {
    const windows = new Windows(3, NONE);
    decide(windows, 10, { commandId: "c" });
    expect(closedBy(windows, [11, 12, 12, 11, 12])).toEqual([]);
    expect(closedBy(windows, [13], { runId: "run-2" })).toEqual([]);
    expect(closedBy(windows, [13])).toHaveLength(1);
  });

  it("goes on from its notes, in the middle and when it was full", () => {
    const before = new Windows(3, NONE);
    const notes = new Map<string, Uint8Array>();
    const keep = (change: WindowChange) => {
      for (const { key, bytes } of change.notes) if (bytes !== null) notes.set(key, bytes);
    };
    keep(decide(before, 1, { commandId: "c" }));
    keep(decide(before, 2));
    const after = new Windows(3, notes);
    keep(decide(after, 3));
    expect(new Windows(3, notes).overdue(9).closed).toEqual([]);
    const last = decide(after, 4);
    keep(last);
    // The process ended before the closing report was written.
    const [late] = new Windows(3, notes).overdue(9).closed;
    expect(late?.report).toEqual({ ...last.closed[0]?.report, issuedAtMs: 9 });
    expect(late?.note).toEqual({ key: "window/c", bytes: null });
  });

  it("outlives a rewind to after its command, and is aborted by one to before it", () => {
    const windows = new Windows(3, NONE);
    decide(windows, 10, { commandId: "early" });
    decide(windows, 20, { commandId: "late" });
    decide(windows, 30);
    const closed = closedBy(windows, [20], { incarnation: 2 });
    expect(closed).toMatchObject([
      { commandId: "late", outcome: "ABORTED", observationWindowEpochs: 1 },
    ]);
    expect(closed[0]?.notes).toBe("rewound after 1 of 3 observations; observing");
    expect(closedBy(windows, [30], { incarnation: 2 })).toEqual([]);
    expect(closedBy(windows, [40], { incarnation: 2 })).toMatchObject([{ commandId: "early" }]);
  });

  it("is closed by the end of the run with what it saw", () => {
    const windows = new Windows(3, NONE);
    decide(windows, 1, { commandId: "a" });
    decide(windows, 2, { commandId: "b", lossDelta: 0.5 });
    const { closed } = windows.runEnded(77);
    expect(closed.map(({ report }) => report)).toMatchObject([
      { commandId: "a", outcome: "REGRESSION", observationWindowEpochs: 1, issuedAtMs: 77 },
      { commandId: "b", outcome: "ABORTED", observationWindowEpochs: 0 },
    ]);
  });

  it("makes room when there are too many, and says why it ended", () => {
    const windows = new Windows(1_000, NONE);
    for (let step = 0; step < 64; step++) decide(windows, step, { commandId: `c${step}` });
    const { closed } = decide(windows, 64, { commandId: "c64" });
    expect(closed.map(({ report }) => report.commandId)).toEqual(["c0"]);
    expect(closed[0]?.report.notes).toContain("too many windows after 64 of 1000");
    expect(windows.size).toBe(64);
  });

  it("that cannot be read is left out and counted", () => {
    const notes = new Map([
      ["window/a", new TextEncoder().encode("{}")],
      ["window/b", new TextEncoder().encode("not json")],
    ]);
    const windows = new Windows(3, notes);
    expect([windows.size, windows.loadErrors]).toEqual([0, 2]);
  });
});
