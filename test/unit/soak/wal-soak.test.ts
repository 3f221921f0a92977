/** The soak with writers in this process: honest ones pass, each kind of liar is caught. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../../../src/runtime/clock.ts";
import { systemFiles as files } from "../../../src/runtime/durable/files.ts";
import { Wal } from "../../../src/runtime/durable/wal.ts";
import { soakRecord, timeOf } from "../../../src/runtime/soak/soak-record.ts";
import { runWalSoak } from "../../../src/runtime/soak/wal-soak.ts";
import type { StartWriter } from "../../../src/runtime/soak/writer-process.ts";
import { CancellationToken } from "../../../src/runtime/token.ts";

let directory = "";
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "esper-soak-test-"));
});
afterEach(() => rm(directory, { recursive: true }));

/** What a writer does with a record before it confirms it. */
type Manner = (wal: Wal, seed: number, id: number) => Promise<number>;

const honest: Manner = (wal, seed, id) => wal.append(soakRecord(seed, id));

/** A writer in this process; killing it closes its log. */
function writerOf(manner: Manner): StartWriter {
  return async (path, seed, heard) => {
    const wal = await Wal.open({ files, directory: path, segmentBytes: 65_536 });
    let dead = false;
    const work: Promise<unknown>[] = [];
    const write = async (id: number): Promise<void> => {
      const sequence = await manner(wal, seed, id);
      if (!dead) heard({ kind: "kept", acks: [[id, sequence]] });
    };
    return {
      offer(from, count) {
        for (let id = from; id < from + count; id++) work.push(write(id));
      },
      prune: (before) => void work.push(wal.prune(timeOf(before))),
      async kill() {
        dead = true;
        await Promise.allSettled(work);
        await wal.close();
      },
    };
  };
}

const soak = (manner: Manner, seed: number, kills: number) =>
  runWalSoak({
    ...{ files, clock: systemClock, directory, seed, kills, seconds: 25 },
    ...{ startWriter: writerOf(manner), stop: new CancellationToken() },
  });

describe("a soak", () => {
  it("finds nothing to say against an honest log, torn and flipped as it may be", async () => {
    const report = await soak(honest, 3, 8);
    expect(report.findings).toEqual([]);
    expect(report).toMatchObject({ ok: true, interrupted: false, seed: 3, kills: 8 });
    expect(report.acknowledged).toBeGreaterThan(500);
    expect(report.torn).toBeGreaterThan(0);
    expect(report.flips).toBeGreaterThan(0);
    for (const { checked, broken } of report.promises) {
      expect(checked).toBeGreaterThan(0);
      expect(broken).toBe(0);
    }
  });

  it("ends at once when it is told to stop", async () => {
    const stop = new CancellationToken();
    stop.cancel();
    const report = await runWalSoak({
      ...{ files, clock: systemClock, directory, seed: 1, kills: null, seconds: 25 },
      ...{ startWriter: writerOf(honest), stop },
    });
    expect(report).toMatchObject({ ok: true, interrupted: true, kills: 0 });
  });

  it.each<[string, Manner]>([
    [
      "confirms what it did not write",
      async (wal, seed, id) => (id % 50 === 7 ? id : wal.append(soakRecord(seed, id))),
    ],
    [
      "writes something else",
      (wal, seed, id) => wal.append(soakRecord(id % 50 === 7 ? seed + 1 : seed, id)),
    ],
    [
      "writes twice",
      async (wal, seed, id) => {
        if (id % 50 === 7) await wal.append(soakRecord(seed, id));
        return wal.append(soakRecord(seed, id));
      },
    ],
    ["confirms a wrong number", async (wal, seed, id) => (await honest(wal, seed, id)) + 1],
  ])("catches a writer that %s", async (_what, manner) => {
    const report = await soak(manner, 5, 4);
    expect(report.ok).toBe(false);
    expect(report.findings.length).toBeGreaterThan(0);
  });
});
