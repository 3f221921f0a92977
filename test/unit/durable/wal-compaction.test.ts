import { describe, expect, it } from "vitest";
import { EsperError } from "../../../src/protocols/errors.ts";
import type { Files } from "../../../src/runtime/durable/files.ts";
import { Wal, type WalRecord } from "../../../src/runtime/durable/wal.ts";
import { readLog, verifyLog } from "../../../src/runtime/durable/wal-verify.ts";
import { createRandom } from "../../../src/runtime/random.ts";
import { MemoryFiles } from "../../fixtures/memory-files.ts";
import {
  all,
  DIRECTORY,
  HeldFiles,
  isRecord,
  LightFiles,
  record,
  segmentAt,
} from "./wal-support.ts";

const SEGMENT_BYTES = 350;
const COUNT = 20;

const openLog = (files: Files, salvage = false): Promise<Wal> =>
  Wal.open({ files, directory: DIRECTORY, segmentBytes: SEGMENT_BYTES, salvage });

/** Twenty records of 40 bytes, four to a segment; the last segment is still written to. */
async function fill<T extends Files>(files: T): Promise<{ files: T; wal: Wal }> {
  const wal = await openLog(files);
  for (let index = 1; index <= COUNT; index++) await wal.append(record(index));
  return { files, wal };
}

const numbers = (found: readonly WalRecord[]): number[] => found.map(({ sequence }) => sequence);
const upTo = (last: number): number[] => Array.from({ length: last }, (_, index) => index + 1);

const NEEDED = (sequence: number): boolean => sequence % 7 === 0 || sequence > 16;
const needed = ({ sequence }: { readonly sequence: number }): boolean => NEEDED(sequence);
const KEPT = upTo(COUNT).filter(NEEDED);

describe("a compaction", () => {
  it("removes what is not needed; numbers stay, also across a restart", async () => {
    const { files, wal } = await fill(new LightFiles());
    const before = wal.status;
    const result = await wal.compact(needed);
    expect(result.removedRecords).toBe(COUNT - KEPT.length);
    expect(result.freedBytes).toBe(before.bytes - wal.status.bytes);
    expect(result.segmentsAfter).toBeLessThan(result.segmentsBefore);
    expect(numbers(await all(wal))).toEqual(KEPT);
    expect(await wal.append(record(COUNT + 1))).toBe(COUNT + 1);
    await wal.close();
    const again = await openLog(files);
    const found = await all(again);
    expect(numbers(found)).toEqual([...KEPT, COUNT + 1]);
    expect(found.every(isRecord)).toBe(true);
    expect(again.status.records).toBe(found.length);
    expect(await verifyLog(files, DIRECTORY)).toMatchObject({ flaws: [], lastSequence: 21 });
  });

  it("asks about each record once and shows it as it is", async () => {
    const { wal } = await fill(new LightFiles());
    const asked: number[] = [];
    await wal.compact((item) => {
      expect(isRecord(item)).toBe(true);
      asked.push(item.sequence);
      return true;
    });
    expect(asked).toEqual(upTo(COUNT - wal.status.records + asked.length));
  });

  it("leaves a segment alone from which nothing goes", async () => {
    const { files, wal } = await fill(new LightFiles());
    const before = files.changes;
    expect(await wal.compact(() => true)).toMatchObject({ removedRecords: 0, freedBytes: 0 });
    expect(files.changes).toBe(before);
  });

  it("makes one segment of small ones, and can be done again", async () => {
    const { files, wal } = await fill(new LightFiles());
    await wal.compact(({ sequence }) => sequence % 4 === 0);
    const small = wal.status.segments;
    await wal.append(record(21));
    await wal.append(record(22));
    expect(await wal.compact(() => true)).toMatchObject({ removedRecords: 0 });
    const again = await wal.compact(({ sequence }) => sequence > 8);
    expect(again.removedRecords).toBe(2);
    expect(wal.status.segments).toBeLessThanOrEqual(small + 1);
    expect((await all(wal)).every(isRecord)).toBe(true);
    await wal.close();
    expect((await verifyLog(files, DIRECTORY)).flaws).toEqual([]);
  });

  it("removes the start of the log when nothing there is needed", async () => {
    const { files, wal } = await fill(new LightFiles());
    await wal.compact(({ sequence }) => sequence > 12);
    expect((await files.list(DIRECTORY))[0]).toBe("0000000000000013.wal");
    expect(numbers(await all(wal))).toEqual(upTo(COUNT).slice(12));
    await wal.close();
    expect(numbers(await all(await openLog(files)))).toEqual(upTo(COUNT).slice(12));
  });

  it("goes on beside appends, reads and prunings, and loses none of them", async () => {
    const { files, wal } = await fill(new LightFiles());
    const reading = all(wal);
    const compacting = wal.compact(needed);
    const appends = Promise.all(upTo(20).map((index) => wal.append(record(COUNT + index))));
    const pruning = wal.prune(1_000 + 8);
    expect(await appends).toEqual(upTo(20).map((index) => COUNT + index));
    await Promise.all([compacting, pruning]);
    const seen = numbers(await reading);
    for (const sequence of KEPT.filter((one) => one > 8)) expect(seen).toContain(sequence);
    const found = await all(wal);
    expect(numbers(found).filter((one) => one > COUNT)).toEqual(upTo(20).map((at) => COUNT + at));
    expect(found.every(isRecord)).toBe(true);
    const beside: number[] = [];
    for await (const { sequence } of readLog(files, DIRECTORY)) beside.push(sequence);
    expect(beside).toEqual(numbers(found));
  });

  it("makes a reader that comes to a replaced segment look again", async () => {
    for (const path of [segmentAt(1), segmentAt(5)]) {
      const files = new HeldFiles();
      const { wal } = await fill(files);
      files.hold(path);
      const reading = all(wal);
      await files.held;
      await wal.compact(({ sequence }) => sequence % 4 === 0);
      files.letGo();
      const found = numbers(await reading);
      expect(found.filter((one) => one % 4 === 0)).toEqual([4, 8, 12, 16, 20]);
      expect(found).toEqual([...new Set(found)].sort((one, other) => one - other));
    }
  });

  it("is not appended to, also when the segment behind it holds nothing", async () => {
    const { files, wal } = await fill(new LightFiles());
    await wal.compact(needed);
    files.put(segmentAt(17), new Uint8Array(0));
    const again = await openLog(files);
    expect(await files.list(DIRECTORY)).not.toContain("0000000000000017.wal");
    expect(await again.append(record(17))).toBe(17);
    expect(await files.list(DIRECTORY)).toContain("0000000000000017.wal");
    await again.close();
    expect(numbers(await all(await openLog(files)))).toEqual([7, 14, 17]);
  });

  it("ends when the log is closed, and leaves it whole", async () => {
    const { files, wal } = await fill(new LightFiles());
    const compacting = wal.compact(needed);
    const closed = wal.close();
    await expect(compacting).rejects.toMatchObject({ code: "ACTOR_STOPPED" });
    await closed;
    await expect(wal.compact(needed)).rejects.toMatchObject({ code: "ACTOR_STOPPED" });
    expect(numbers(await all(await openLog(files)))).toEqual(upTo(COUNT));
  });

  it("stops at damage it meets and keeps the damaged segment as it is", async () => {
    const { files, wal } = await fill(new LightFiles());
    const path = segmentAt(5);
    const bytes = files.bytes(path);
    bytes[130] = (bytes[130] as number) ^ 1;
    files.put(path, bytes);
    await expect(wal.compact(needed)).rejects.toMatchObject({
      code: "WAL_CORRUPT",
      details: { file: path, offset: 96 },
    });
    expect(files.bytes(path)).toEqual(bytes);
  });
});

/** Runs the compaction on a disk whose calls fail from `failing` on, or only that one. */
async function interrupted(failing: number, persistent: boolean) {
  const { files, wal } = await fill(new MemoryFiles());
  const first = files.operations + failing;
  files.fault = (_operation, _path, count) =>
    count === first || (persistent && count > first) ? "EIO" : null;
  const error = await wal.compact(needed).catch((thrown: unknown) => thrown);
  files.fault = () => null;
  return { files, wal, error };
}

/** Every needed record is there, in order, and no wrong one. */
function expectWhole(found: readonly WalRecord[], seen: string): void {
  const there = numbers(found);
  expect(there, seen).toEqual([...there].sort((one, other) => one - other));
  expect(there.filter(NEEDED), seen).toEqual(KEPT);
  expect(found.every(isRecord), seen).toBe(true);
}

/** The disk after a kill, after a power loss, and after some that kept any part of what was new. */
function afterwards(files: MemoryFiles): MemoryFiles[] {
  const random = [1, 2, 3, 4].map((seed) => createRandom(seed, "power loss"));
  const partly = random.map((one) => new MemoryFiles(files.disk.crash({ random: one })));
  return [files.crashed(), files.killed(), ...partly];
}

describe("a compaction that a crash or a failing disk stops", () => {
  it("leaves every segment old or new, whichever call it was", async () => {
    let steps = 0;
    for (let failing = 1; ; failing++) {
      const { files, error } = await interrupted(failing, true);
      for (const disk of afterwards(files)) {
        const wal = await openLog(disk);
        expectWhole(await all(wal), `stopped at call ${failing}`);
        expect(wal.status.salvage).toBeNull();
        expect(await wal.append(record(COUNT + 1))).toBe(COUNT + 1);
        const left = (await disk.list(DIRECTORY)).filter((name) => name.endsWith(".tmp"));
        expect(left).toEqual([]);
        await wal.close();
        expect((await verifyLog(disk, DIRECTORY)).flaws).toEqual([]);
      }
      if (!(error instanceof EsperError)) break;
      steps = failing;
    }
    expect(steps).toBeGreaterThan(20);
  });

  it("makes the new name durable before it takes the old ones away", async () => {
    const { files, wal } = await fill(new MemoryFiles());
    const before = files.trace.length;
    await wal.compact(({ sequence }) => sequence % 4 === 0);
    const calls = files.trace.slice(before).map((line) => line.split(" /")[0]);
    const renamed = calls.indexOf("rename");
    const removed = calls.indexOf("remove", renamed);
    expect(renamed).toBeGreaterThan(calls.indexOf("fsync"));
    expect(calls.slice(renamed + 1, removed)).toEqual(["fsync directory"]);
  });

  it("leaves the open log in order after one failed call, and can be repeated", async () => {
    for (let failing = 1; ; failing++) {
      const { files, wal, error } = await interrupted(failing, false);
      expectWhole(await all(wal), `failed at call ${failing}`);
      expect(await wal.append(record(COUNT + 1))).toBe(COUNT + 1);
      await wal.compact(needed);
      const found = await all(wal);
      expect(numbers(found).filter((one) => one <= 16)).toEqual([7, 14]);
      await wal.close();
      expect(files.openHandles).toBe(0);
      const again = await all(await openLog(files.crashed()));
      expect(numbers(again)).toEqual(numbers(found));
      if (!(error instanceof EsperError)) break;
    }
  });
});
