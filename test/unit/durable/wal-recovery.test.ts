import { describe, expect, it } from "vitest";
import { EsperError } from "../../../src/protocols/errors.ts";
import { Wal } from "../../../src/runtime/durable/wal.ts";
import { MemoryFiles } from "../../fixtures/memory-files.ts";

const directory = "/run/wal";
const payloadOf = (index: number): Uint8Array => Uint8Array.of(index, index * 3, 7);

async function recovered(files: MemoryFiles, salvage = false): Promise<number> {
  const wal = await Wal.open({ files, directory, segmentBytes: 150, salvage });
  let count = 0;
  for await (const { sequence, payload } of wal.read()) {
    count++;
    expect(sequence).toBe(count);
    expect(payload).toEqual(payloadOf(count));
  }
  return count;
}

/** Three segments; the last one ends with half a frame. */
async function tornLog(): Promise<MemoryFiles> {
  const files = new MemoryFiles();
  const wal = await Wal.open({ files, directory, segmentBytes: 150 });
  for (let index = 1; index <= 8; index++) {
    await wal.append({ timeMs: index, payload: payloadOf(index) });
  }
  const last = (await files.list(directory)).at(-1);
  const path = `${directory}/${last}`;
  files.putBytes(path, Uint8Array.from([...files.bytes(path), 0x45, 0x57, 0x41, 0x4c, 1]));
  return files;
}

async function damagedLog(): Promise<MemoryFiles> {
  const files = await tornLog();
  const [first] = await files.list(directory);
  const path = `${directory}/${first}`;
  const bytes = files.bytes(path).slice();
  bytes[60] = (bytes[60] as number) ^ 4;
  files.putBytes(path, bytes);
  return files;
}

describe("opening after a crash", () => {
  it("survives a crash after any of its own steps: the records are the same", async () => {
    const whole = await tornLog();
    for (let crashAt = 1; ; crashAt++) {
      const files = whole.killed();
      files.fault = (_operation, _path, count) => (count >= crashAt ? "EIO" : null);
      const error = await Wal.open({ files, directory, segmentBytes: 150 }).catch(
        (thrown: unknown) => thrown,
      );
      const done = !(error instanceof EsperError);
      files.fault = () => null;
      expect(await recovered(files.crashed()), `crash at ${crashAt}`).toBe(8);
      expect(await recovered(files.killed()), `kill at ${crashAt}`).toBe(8);
      if (done) break;
    }
  });

  it("survives a crash after any step of a salvage without losing the valid prefix", async () => {
    const whole = await damagedLog();
    const expected = await recovered(whole.killed(), true);
    expect(expected).toBe(1);
    for (let crashAt = 1; ; crashAt++) {
      const files = whole.killed();
      files.fault = (_operation, _path, count) => (count >= crashAt ? "EIO" : null);
      const options = { files, directory, segmentBytes: 150, salvage: true };
      const error = await Wal.open(options).catch((thrown: unknown) => thrown);
      const done = !(error instanceof EsperError);
      files.fault = () => null;
      expect(await recovered(files.crashed(), true), `crash at ${crashAt}`).toBe(expected);
      if (done) break;
    }
  });

  it("says in the error how to go on, and a strict open changes nothing", async () => {
    const files = await damagedLog();
    const before = new Map(files.entries);
    const error = await Wal.open({ files, directory }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "WAL_CORRUPT" });
    expect(String(error)).toMatch(/1 records before it are intact.*reopen with salvage/s);
    expect(new Map(files.entries)).toEqual(before);
  });

  it("refuses segments that overlap, unless a compaction left them", async () => {
    const files = await tornLog();
    const [first, second] = await files.list(directory);
    const stray = `${directory}/0000000000000002.wal`;
    files.putBytes(stray, files.bytes(`${directory}/${second}`));
    const before = files.bytes(`${directory}/${first}`);
    await expect(Wal.open({ files, directory })).rejects.toMatchObject({
      code: "WAL_CORRUPT",
      details: { file: stray, offset: 0, expected: "record 4", found: "record 2" },
    });
    expect(files.bytes(`${directory}/${first}`)).toEqual(before);
    expect(await files.list(directory)).toContain("0000000000000002.wal");
  });

  it("drops a segment that was begun and never written", async () => {
    const files = await tornLog();
    files.putBytes(`${directory}/0000000000000009.wal`, new Uint8Array(0));
    expect(await recovered(files)).toBe(8);
  });
});
