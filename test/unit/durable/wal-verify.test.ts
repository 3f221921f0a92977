import { describe, expect, it } from "vitest";
import { Wal } from "../../../src/runtime/durable/wal.ts";
import { readLog, verifyLog, type WalRecord } from "../../../src/runtime/durable/wal-verify.ts";
import { MemoryFiles } from "../../fixtures/memory-files.ts";
import {
  DIRECTORY,
  expectPrefix,
  HeldFiles,
  LightFiles,
  record,
  segmentAt,
} from "./wal-support.ts";

/** Three segments of four records each of 40 bytes, closed. */
async function threeSegments(): Promise<LightFiles> {
  const files = new LightFiles();
  const wal = await Wal.open({ files, directory: DIRECTORY, segmentBytes: 350 });
  for (let index = 1; index <= 12; index++) await wal.append(record(index));
  await wal.close();
  return files;
}

async function gather(records: AsyncIterable<WalRecord>): Promise<WalRecord[]> {
  const found: WalRecord[] = [];
  for await (const item of records) found.push(item);
  return found;
}

function flip(files: LightFiles, path: string, at: number): void {
  const bytes = files.bytes(path);
  bytes[at] = (bytes[at] as number) ^ 1;
  files.put(path, bytes);
}

describe("verifying a log", () => {
  it("tells what an intact one holds, and changes nothing", async () => {
    const files = await threeSegments();
    const before = files.changes;
    const report = await verifyLog(files, DIRECTORY);
    expect(report).toMatchObject({
      directory: DIRECTORY,
      formatVersions: [2],
      records: 12,
      bytes: 12 * 96 + 56,
      lastSequence: 12,
      flaws: [],
    });
    expect(report.logId).toMatch(/^[0-9a-f]{16}$/);
    expect(report.segments[1]).toEqual({
      file: segmentAt(5),
      firstSequence: 5,
      records: 4,
      bytes: 384,
      oldestTimeMs: 1_005,
      newestTimeMs: 1_008,
    });
    expect(files.changes).toBe(before);
    const found = await gather(readLog(files, DIRECTORY));
    expect(found).toHaveLength(12);
    expectPrefix(found);
    expect((await gather(readLog(files, DIRECTORY, 10))).map(({ sequence }) => sequence)).toEqual([
      10, 11, 12,
    ]);
  });

  it("names every flaw with file, offset, expected and found, and looks on behind it", async () => {
    const files = await threeSegments();
    flip(files, segmentAt(1), 96 + 60);
    flip(files, segmentAt(9), 2);
    const { flaws, segments, records } = await verifyLog(files, DIRECTORY);
    expect(flaws).toMatchObject(
      [
        { file: segmentAt(1), offset: 96, kind: "damaged", expected: /^payload checksum 0x/ },
        { file: segmentAt(5), offset: 0, kind: "gap", expected: "record 2", found: "record 5" },
        { file: segmentAt(9), offset: 0, kind: "damaged", expected: "bytes 4557414c" },
      ].map((flaw) => ({ ...flaw, expected: expect.stringMatching(flaw.expected) })),
    );
    expect(segments.map((segment) => segment.records)).toEqual([1, 4, 0]);
    expect(records).toBe(5);
    const found = await gather(readLog(files, DIRECTORY));
    expect(found).toHaveLength(1);
    expectPrefix(found);
  });

  it("tells a missing segment, a foreign one, a later version and what is no file", async () => {
    const files = await threeSegments();
    files.put(segmentAt(5), (await threeSegments()).bytes(segmentAt(5)));
    files.files.delete(segmentAt(9));
    const foreign = (await verifyLog(files, DIRECTORY)).flaws;
    expect(foreign).toMatchObject([{ file: segmentAt(5), offset: 0, kind: "foreign" }]);
    expect(foreign[0]?.expected).toMatch(/^log [0-9a-f]{16}$/);

    const gone = await threeSegments();
    await gone.remove(segmentAt(5));
    expect((await verifyLog(gone, DIRECTORY)).flaws).toMatchObject([
      { file: segmentAt(9), offset: 0, kind: "gap", expected: "record 5", found: "record 9" },
    ]);

    const linked = new MemoryFiles();
    await linked.makeDirectory(DIRECTORY);
    await linked.symlink("/etc/hosts", segmentAt(1));
    expect((await verifyLog(linked, DIRECTORY)).flaws).toMatchObject([
      { file: segmentAt(1), kind: "not-a-file", expected: "a file", found: "a symbolic link" },
    ]);
  });

  it("tells a torn end as torn, with what was there", async () => {
    const files = await threeSegments();
    const path = segmentAt(9);
    files.put(path, files.bytes(path).slice(0, 3 * 96 + 70));
    const { flaws, records } = await verifyLog(files, DIRECTORY);
    const found = { expected: "96 bytes", found: "70 bytes" };
    expect(flaws).toMatchObject([{ file: path, offset: 288, kind: "torn", ...found }]);
    expect(records).toBe(11);
  });

  it("agrees with what an opening would do, beside a segment begun and never written", async () => {
    const files = await threeSegments();
    const path = segmentAt(9);
    files.put(path, files.bytes(path).slice(0, 3 * 96 + 70));
    files.put(segmentAt(12), new Uint8Array(0));
    expect((await verifyLog(files, DIRECTORY)).flaws).toMatchObject([{ kind: "torn" }]);
    const wal = await Wal.open({ files, directory: DIRECTORY });
    expect(wal.status).toMatchObject({ recovered: 11, tornBytes: 70 });
    expect((await verifyLog(files, DIRECTORY)).flaws).toEqual([]);
  });

  it("refuses a directory that cannot be read", async () => {
    const files = new MemoryFiles();
    await expect(verifyLog(files, "/nowhere")).rejects.toMatchObject({ code: "STORAGE_FAILED" });
  });
});

describe("a log in use", () => {
  it("is looked at again when a segment goes before it was opened", async () => {
    for (const look of ["verify", "read"] as const) {
      const files = new HeldFiles();
      const wal = await Wal.open({ files, directory: DIRECTORY, segmentBytes: 350 });
      for (let index = 1; index <= 12; index++) await wal.append(record(index));
      files.hold(segmentAt(5));
      const looking =
        look === "read"
          ? gather(readLog(files, DIRECTORY, 5)).then((found) => found.length)
          : verifyLog(files, DIRECTORY).then(({ records, flaws }) => records + flaws.length);
      await files.held;
      await wal.prune(1_009);
      files.letGo();
      expect(await looking).toBe(4);
    }
  });

  it("is verified and read while it is appended to, pruned and compacted", async () => {
    const files = new LightFiles();
    const wal = await Wal.open({ files, directory: DIRECTORY, segmentBytes: 350 });
    let isWriting = true;
    const writing = (async () => {
      for (let index = 1; index <= 400; index++) {
        await wal.append(record(index));
        if (index % 40 === 0) await wal.compact(({ sequence }) => sequence % 3 !== 0);
        if (index % 90 === 0) await wal.prune(1_000 + index - 60);
      }
      isWriting = false;
    })();
    let looks = 0;
    while (isWriting) {
      const { flaws } = await verifyLog(files, DIRECTORY);
      expect(flaws.filter(({ kind }) => kind !== "torn")).toEqual([]);
      let last = 0;
      for await (const { sequence } of readLog(files, DIRECTORY)) {
        expect(sequence).toBeGreaterThan(last);
        last = sequence;
      }
      looks++;
    }
    await writing;
    expect(looks).toBeGreaterThan(5);
    const before = await gather(readLog(files, DIRECTORY));
    expect(before.at(-1)?.sequence).toBe(400);
  });
});
