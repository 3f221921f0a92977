/** Logs of every format version, as they were once written: read for ever. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Wal } from "../../../src/runtime/durable/wal.ts";
import { verifyLog } from "../../../src/runtime/durable/wal-verify.ts";
import { all, DIRECTORY, LightFiles, payloadOf, segmentAt } from "./wal-support.ts";

interface Golden {
  readonly format: number;
  readonly name?: string;
  readonly base64?: string;
  readonly files?: Readonly<Record<string, string>>;
}

function golden(version: number): LightFiles {
  const url = new URL(`../../golden/wal-v${version}.json`, import.meta.url);
  const { name, base64, files = {} } = JSON.parse(readFileSync(url, "utf8")) as Golden;
  const disk = new LightFiles();
  const named = name === undefined || base64 === undefined ? files : { [name]: base64 };
  for (const [file, text] of Object.entries(named)) {
    disk.put(join(DIRECTORY, file), Buffer.from(text, "base64"));
  }
  return disk;
}

const twoBytes = (sequence: number) => ({
  sequence,
  timeMs: 1_000 + sequence,
  payload: Uint8Array.of(sequence, sequence + 1),
});

describe("a log of an earlier version", () => {
  it("of version 1 is read", async () => {
    const files = golden(1);
    const report = await verifyLog(files, DIRECTORY);
    expect(report).toMatchObject({ formatVersions: [1], records: 3, lastSequence: 3, flaws: [] });
    const wal = await Wal.open({ files, directory: DIRECTORY });
    expect(await all(wal)).toEqual([1, 2, 3].map(twoBytes));
  });

  it("of version 1 goes on in the version of today, and is compacted to it", async () => {
    const files = golden(1);
    const options = { files, directory: DIRECTORY, segmentBytes: 100 };
    const wal = await Wal.open(options);
    await wal.append({ timeMs: 1_004, payload: payloadOf(4) });
    await wal.append({ timeMs: 1_005, payload: payloadOf(5) });
    expect((await verifyLog(files, DIRECTORY)).formatVersions).toEqual([1, 2]);
    const result = await wal.compact(({ sequence }) => sequence !== 2);
    expect(result).toMatchObject({ removedRecords: 1 });
    await wal.close();
    const report = await verifyLog(files, DIRECTORY);
    expect(report).toMatchObject({ formatVersions: [2], records: 4, flaws: [] });
    const found = await all(await Wal.open(options));
    expect(found.map(({ sequence }) => sequence)).toEqual([1, 3, 4, 5]);
    expect(found.slice(0, 2)).toEqual([1, 3].map(twoBytes));
  });

  it("of version 2 is read, with what a compaction took out", async () => {
    const files = golden(2);
    const report = await verifyLog(files, DIRECTORY);
    expect(report).toMatchObject({ formatVersions: [2], logId: "dd56de4137951d9c", flaws: [] });
    expect(report.segments.map(({ file, records }) => [file, records])).toEqual([
      [segmentAt(1), 1],
      [segmentAt(4), 2],
      [segmentAt(7), 3],
    ]);
    const wal = await Wal.open({ files, directory: DIRECTORY });
    expect(await all(wal)).toEqual([1, 4, 5, 7, 8, 9].map(twoBytes));
    expect(await wal.append({ timeMs: 1_010, payload: payloadOf(10) })).toBe(10);
  });
});
