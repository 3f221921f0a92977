import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { EsperError } from "../../../src/protocols/errors.ts";
import { Wal, type WalRecord } from "../../../src/runtime/durable/wal.ts";
import { MemoryFiles } from "../../fixtures/memory-files.ts";

const directory = "/run/wal";
const FIRST = `${directory}/0000000000000001.wal`;

const payloadOf = (index: number, bytes = 40): Uint8Array =>
  Uint8Array.from({ length: bytes }, (_, at) => (index * 31 + at * 7 + 1) % 256);

const record = (index: number, bytes?: number) => ({
  timeMs: 1_000 + index,
  payload: payloadOf(index, bytes),
});

async function all(wal: Wal): Promise<WalRecord[]> {
  const found: WalRecord[] = [];
  for await (const item of wal.read()) found.push(item);
  return found;
}

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

const expectPrefix = (found: readonly WalRecord[]): void => {
  for (const [index, item] of found.entries()) {
    expect(item.sequence).toBe(index + 1);
    expect(item.timeMs).toBe(1_001 + index);
    expect(item.payload).toEqual(payloadOf(index + 1, item.payload.byteLength));
  }
};

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

  it("reads the format of earlier versions for ever", async () => {
    const golden = new URL("../../golden/wal-v1.json", import.meta.url);
    const { base64 } = JSON.parse(readFileSync(golden, "utf8")) as { base64: string };
    const { wal } = await reopen(Buffer.from(base64, "base64"));
    const found = await all(wal);
    expect(found.map(({ timeMs }) => timeMs)).toEqual([1_001, 1_002, 1_003]);
    expect(found.map(({ payload }) => [...payload])).toEqual([
      [1, 2],
      [2, 3],
      [3, 4],
    ]);
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

describe("a torn tail", () => {
  it("recovers the longest whole prefix from every byte prefix, and goes on", async () => {
    const count = 12;
    const bytes = (await build(count, false)).bytes(FIRST);
    const frame = bytes.byteLength / count;
    for (let size = 0; size <= bytes.byteLength; size++) {
      const { files, wal } = await reopen(bytes.slice(0, size));
      const whole = Math.floor(size / frame);
      expect(wal.status.recovered).toBe(whole);
      expect(wal.status.tornBytes).toBe(size - whole * frame);
      expect(await wal.append(record(whole + 1))).toBe(whole + 1);
      const found = await all(await Wal.open({ files: files.crashed(), directory }));
      expect(found).toHaveLength(whole + 1);
      expectPrefix(found);
    }
  });

  it("takes any subset of unwritten sectors of the last batch for torn", async () => {
    const files = await build(3, false, 100);
    const wal = await Wal.open({ files, directory });
    const acked = files.bytes(FIRST).byteLength;
    await Promise.all([4, 5, 6].map((index) => wal.append(record(index, 700))));
    const whole = files.bytes(FIRST);
    const firstSector = Math.floor(acked / 512);
    const sectors = Math.ceil(whole.byteLength / 512) - firstSector;
    for (let subset = 0; subset < 2 ** sectors; subset++) {
      const bytes = whole.slice();
      for (let sector = 0; sector < sectors; sector++) {
        if ((subset >> sector) & 1) continue;
        const from = Math.max(acked, (firstSector + sector) * 512);
        bytes.fill(0, from, (firstSector + sector + 1) * 512);
      }
      const { wal: again } = await reopen(bytes);
      const found = await all(again);
      expect(found.length).toBeGreaterThanOrEqual(3);
      expectPrefix(found);
    }
  });
});

describe("damage", () => {
  it("never yields a wrong payload for any flipped bit; strict names file and offset", async () => {
    const count = 4;
    const bytes = (await build(count, true, 24)).bytes(FIRST);
    for (let bit = 0; bit < bytes.byteLength * 8; bit++) {
      const flipped = bytes.slice();
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      const frame = Math.floor((bit >> 3) / 76);
      const error = await reopen(flipped).then(
        () => null,
        (thrown: unknown) => thrown,
      );
      expect(error).toBeInstanceOf(EsperError);
      expect(error).toMatchObject({
        code: "WAL_CORRUPT",
        details: { file: FIRST, offset: frame * 76, recoverableRecords: frame },
      });
      const { files, wal } = await reopen(flipped, true);
      const found = await all(wal);
      expect(found).toHaveLength(frame);
      expectPrefix(found);
      expect(wal.status.salvage?.keptRecords).toBe(frame);
      expect(files.bytes(`${FIRST}.broken`)).toEqual(flipped.slice(frame * 76));
    }
  });

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
