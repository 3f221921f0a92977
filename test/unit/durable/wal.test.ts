import { describe, expect, it } from "vitest";
import { EsperError } from "../../../src/protocols/errors.ts";
import { Wal } from "../../../src/runtime/durable/wal.ts";
import { MemoryFiles } from "../../fixtures/memory-files.ts";
import {
  all,
  DIRECTORY as directory,
  expectPrefix,
  FIRST,
  payloadOf,
  record,
} from "./wal-support.ts";

/** Bytes of a closed or unclosed log with `count` records, each in a batch of its own. */
async function build(count: number, close: boolean, bytes?: number): Promise<MemoryFiles> {
  const files = new MemoryFiles();
  const wal = await Wal.open({ files, directory });
  for (let index = 1; index <= count; index++) await wal.append(record(index, bytes));
  if (close) await wal.close();
  return files;
}

async function reopen(bytes: Uint8Array, salvage = false) {
  const files = new MemoryFiles();
  files.putBytes(FIRST, bytes);
  const wal = await Wal.open({ files, directory, salvage });
  return { files, wal };
}

describe("an intact log", () => {
  it("gives back every record after a close and after a crash of the machine", async () => {
    for (const close of [true, false]) {
      const files = (await build(5, close)).crashed();
      const wal = await Wal.open({ files, directory });
      const found = await all(wal);
      expect(found).toHaveLength(5);
      expectPrefix(found);
      expect(wal.status).toMatchObject({ recovered: 5, tornBytes: 0, lastSequence: 5 });
    }
  });

  it("continues the sequence and reads from a given record", async () => {
    const files = (await build(3, false)).crashed();
    const wal = await Wal.open({ files, directory });
    expect(await wal.append(record(4))).toBe(4);
    const found: number[] = [];
    for await (const { sequence } of wal.read(3)) found.push(sequence);
    expect(found).toEqual([3, 4]);
  });

  it("writes the bytes as they were when append was called, also of a Buffer", async () => {
    const wal = await Wal.open({ files: new MemoryFiles(), directory });
    const buffer = Buffer.from(payloadOf(1));
    const appended = wal.append({ timeMs: 1_001, payload: buffer });
    buffer.fill(0);
    await appended;
    expectPrefix(await all(wal));
  });

  it("refuses a record without a time and one that is too large", async () => {
    const wal = await Wal.open({ files: new MemoryFiles(), directory });
    for (const timeMs of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      await expect(wal.append({ timeMs, payload: payloadOf(1) })).rejects.toMatchObject({
        code: "RECORD_WITHOUT_TIME",
      });
    }
    const payload = new Uint8Array(1_048_577);
    await expect(wal.append({ timeMs: 1, payload })).rejects.toMatchObject({
      code: "FRAME_TOO_LARGE",
    });
    expect(wal.status.records).toBe(0);
  });
});

describe("group commit", () => {
  it("shares one fsync between appends that wait together, in order", async () => {
    const files = new MemoryFiles();
    const wal = await Wal.open({ files, directory });
    const before = files.trace.filter((line) => line === `fsync ${FIRST}`).length;
    const sequences = await Promise.all(
      Array.from({ length: 100 }, (_, index) => wal.append(record(index + 1))),
    );
    expect(sequences).toEqual(Array.from({ length: 100 }, (_, index) => index + 1));
    expect(files.trace.filter((line) => line === `fsync ${FIRST}`).length - before).toBe(1);
    expect(await all(await Wal.open({ files: files.crashed(), directory }))).toHaveLength(100);
  });

  it("acknowledges nothing before the fsync", async () => {
    const files = new MemoryFiles();
    const wal = await Wal.open({ files, directory });
    let acknowledged = false;
    files.fault = (operation) => {
      if (operation === "fsync") expect(acknowledged).toBe(false);
      return null;
    };
    await wal.append(record(1)).then(() => {
      acknowledged = true;
    });
    expect(files.trace.at(-1)).toBe(`fsync ${FIRST}`);
  });

  it("bounds what may wait", async () => {
    const wal = await Wal.open({ files: new MemoryFiles(), directory, pendingRecords: 2 });
    const waiting = [wal.append(record(1)), wal.append(record(2))];
    await expect(wal.append(record(3))).rejects.toMatchObject({ code: "MAILBOX_FULL" });
    expect(await Promise.all(waiting)).toEqual([1, 2]);
  });
});

describe("segments", () => {
  it("rolls, reads across segments, and prunes whole old ones only", async () => {
    const files = new MemoryFiles();
    const wal = await Wal.open({ files, directory, segmentBytes: 300 });
    for (let index = 1; index <= 20; index++) await wal.append(record(index));
    expect((await files.list(directory)).length).toBeGreaterThan(3);
    expectPrefix(await all(wal));
    expect(await wal.prune(1_010)).toBeGreaterThan(0);
    const left = await all(wal);
    expect(left[0]?.timeMs).toBeLessThanOrEqual(1_010);
    expect(left.at(-1)?.sequence).toBe(20);
    const again = await Wal.open({ files: files.crashed(), directory, segmentBytes: 300 });
    expect(await all(again)).toEqual(left);
    expect(await again.append(record(21))).toBe(21);
    expect(await again.prune(Number.MAX_SAFE_INTEGER)).toBeGreaterThan(0);
    expect((await all(again)).at(-1)?.sequence).toBe(21);
  });

  it("refuses a log from whose middle a segment is gone", async () => {
    const files = new MemoryFiles();
    const wal = await Wal.open({ files, directory, segmentBytes: 300 });
    for (let index = 1; index <= 12; index++) await wal.append(record(index));
    await wal.close();
    const names = await files.list(directory);
    await files.remove(`${directory}/${names[1]}`);
    await expect(Wal.open({ files, directory })).rejects.toMatchObject({ code: "WAL_CORRUPT" });
    const salvaged = await Wal.open({ files, directory, salvage: true });
    const found = await all(salvaged);
    expect(found.length).toBeGreaterThan(0);
    expectPrefix(found);
    expect(await salvaged.append(record(found.length + 1))).toBe(found.length + 1);
    expectPrefix(await all(await Wal.open({ files: files.killed(), directory })));
  });
});

describe("damage", () => {
  it("names damage before a good record even when a whole sector is zero", async () => {
    const bytes = (await build(6, false, 1_000)).bytes(FIRST).slice();
    bytes.fill(0, 1_024, 1_536);
    await expect(reopen(bytes)).rejects.toMatchObject({
      code: "WAL_CORRUPT",
      details: { recoverableRecords: 0 },
    });
  });

  it("refuses swapped, repeated and foreign records", async () => {
    const bytes = (await build(4, false)).bytes(FIRST);
    const other = (await build(4, false)).bytes(FIRST);
    const size = bytes.byteLength / 4;
    const part = (source: Uint8Array, index: number) =>
      source.slice(index * size, (index + 1) * size);
    const logs = [
      [0, 2, 1, 3].map((index) => part(bytes, index)),
      [0, 1, 1, 2, 3].map((index) => part(bytes, index)),
      [part(bytes, 0), part(other, 1), part(bytes, 2), part(bytes, 3)],
    ];
    for (const log of logs) {
      const mixed = Uint8Array.from(log.flatMap((frame) => [...frame]));
      await expect(reopen(mixed)).rejects.toMatchObject({ code: "WAL_CORRUPT" });
      const { wal } = await reopen(mixed, true);
      expectPrefix(await all(wal));
    }
  });

  it("keeps every salvage under a name of its own", async () => {
    const bytes = (await build(3, true)).bytes(FIRST).slice();
    bytes[200] = (bytes[200] as number) ^ 1;
    const files = new MemoryFiles();
    files.putBytes(FIRST, bytes);
    files.putBytes(`${FIRST}.broken`, Uint8Array.of(1, 2, 3));
    const wal = await Wal.open({ files, directory, salvage: true });
    expect(wal.status.salvage?.movedTo).toEqual([`${FIRST}.broken.2`]);
    expect(files.bytes(`${FIRST}.broken`)).toEqual(Uint8Array.of(1, 2, 3));
  });
});

describe("a failing disk", () => {
  it("is poisoned by one failed fsync, and a restart recovers what was acked", async () => {
    const files = await build(2, false);
    const wal = await Wal.open({ files, directory });
    await wal.append(record(3));
    files.fault = (operation) => (operation === "fsync" ? "EIO" : null);
    await expect(wal.append(record(4))).rejects.toMatchObject({ code: "WAL_POISONED" });
    files.fault = () => null;
    const syncs = files.trace.filter((line) => line.startsWith("fsync /")).length;
    await expect(wal.append(record(4))).rejects.toMatchObject({ code: "WAL_POISONED" });
    expect(files.trace.filter((line) => line.startsWith("fsync /")).length).toBe(syncs);
    await wal.close();
    const again = await Wal.open({ files: files.killed(), directory });
    const found = await all(again);
    expect(found.length).toBeGreaterThanOrEqual(3);
    expectPrefix(found);
  });

  it("makes bytes of a failed fsync durable before it builds on them", async () => {
    const files = await build(1, false);
    const wal = await Wal.open({ files, directory });
    files.fault = (operation) => (operation === "fsync" ? "EIO" : null);
    await expect(wal.append(record(2))).rejects.toMatchObject({ code: "WAL_POISONED" });
    files.fault = () => null;
    // Same page cache: the second record is visible although the disk never got it.
    const again = await Wal.open({ files, directory });
    expect(again.status.recovered).toBe(2);
    await again.append(record(3));
    const found = await all(await Wal.open({ files: files.crashed(), directory }));
    expect(found).toHaveLength(3);
    expectPrefix(found);
  });

  it("makes all of a batch durable of which only a failed fsync told", async () => {
    const files = await build(1, false);
    const wal = await Wal.open({ files, directory });
    files.fault = (operation) => (operation === "fsync" ? "EIO" : null);
    const lost = await Promise.allSettled([2, 3, 4].map((index) => wal.append(record(index, 700))));
    expect(lost.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
    files.fault = () => null;
    const again = await Wal.open({ files, directory });
    expect(again.status.recovered).toBe(4);
    const found = await all(await Wal.open({ files: files.crashed(), directory }));
    expect(found).toHaveLength(4);
    expectPrefix(found);
  });

  it("makes the closing mark of a failed fsync durable before it builds on it", async () => {
    const files = await build(2, false);
    const wal = await Wal.open({ files, directory });
    await wal.append(record(3));
    files.fault = (operation) => (operation === "fsync" ? "EIO" : null);
    await expect(wal.close()).rejects.toMatchObject({ code: "WAL_POISONED" });
    files.fault = () => null;
    const again = await Wal.open({ files, directory });
    expect(await again.append(record(4))).toBe(4);
    const found = await all(await Wal.open({ files: files.crashed(), directory }));
    expect(found).toHaveLength(4);
    expectPrefix(found);
  });

  it("takes a refused record off the disk for good before it says so", async () => {
    const files = await build(2, false);
    const wal = await Wal.open({ files, directory });
    files.fault = (operation) => (operation === "write" ? "ENOSPC" : null);
    const before = files.trace.length;
    const calls = () => files.trace.slice(before).map((line) => line.split(" ")[0]);
    let seen: readonly (string | undefined)[] = [];
    await wal.append(record(3)).catch(() => {
      seen = calls();
    });
    expect(seen.slice(-2)).toEqual(["truncate", "fsync"]);
  });

  it("answers a full disk with WAL_FULL and recovers when there is space", async () => {
    for (const code of ["ENOSPC", "EDQUOT"]) {
      const files = await build(2, false);
      const wal = await Wal.open({ files, directory });
      const size = files.bytes(FIRST).byteLength;
      files.fault = (operation) => (operation === "write" ? code : null);
      await expect(wal.append(record(3))).rejects.toMatchObject({ code: "WAL_FULL" });
      expect(files.bytes(FIRST).byteLength).toBe(size);
      files.fault = () => null;
      expect(await wal.append(record(3))).toBe(3);
      const found = await all(await Wal.open({ files: files.crashed(), directory }));
      expect(found).toHaveLength(3);
      expectPrefix(found);
    }
  });

  it("keeps every promise when operation i fails, for every i, once and for ever", async () => {
    for (const code of ["EIO", "ENOSPC", "EMFILE"]) {
      for (const persistent of [false, true]) {
        let failing = 1;
        while (await survives(code, persistent, failing)) failing++;
        expect(failing).toBeGreaterThan(20);
      }
    }
  });
});

/** Checks one run of the workload; false when it ended before the operation that was to fail. */
async function survives(code: string, persistent: boolean, failing: number): Promise<boolean> {
  const files = new MemoryFiles();
  files.fault = (_operation, _path, count) =>
    count === failing || (persistent && count > failing) ? code : null;
  const acked = await workload(files);
  const reached = files.operations >= failing;
  files.fault = () => null;
  const seen = `${code} at ${failing}`;
  expect(files.openHandles, seen).toBe(0);
  for (const disk of [files.crashed(), files.killed()]) {
    const found = await all(await Wal.open({ files: disk, directory, segmentBytes: 200 }));
    expect(found.length, seen).toBeGreaterThanOrEqual(acked);
    expectPrefix(found);
  }
  return reached;
}

/** Opens, appends seven records one by one, closes. Returns the highest acknowledged sequence. */
async function workload(files: MemoryFiles): Promise<number> {
  let acked = 0;
  const ignoreCoded = (error: unknown): void => {
    if (!(error instanceof EsperError)) throw error;
  };
  const wal = await Wal.open({ files, directory, segmentBytes: 200 }).catch(ignoreCoded);
  if (wal === undefined) return 0;
  for (let index = 1; index <= 7; index++) {
    // The record after a refused one takes its place, so payloads follow the sequence.
    const next = wal.status.lastSequence + 1;
    const sequence = await wal.append(record(next)).catch(ignoreCoded);
    if (sequence !== undefined) acked = sequence;
  }
  await wal.close().catch(ignoreCoded);
  return acked;
}
