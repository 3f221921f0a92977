import { describe, expect, it } from "vitest";
import { Wal } from "../../../src/runtime/durable/wal.ts";
import { FileWindow, WindowMemory } from "../../../src/runtime/durable/wal-window.ts";
import { createRandom } from "../../../src/runtime/random.ts";
import { DIRECTORY, FIRST, LightFiles, payloadOf, record } from "./wal-support.ts";

const SIZE = 5_000_003;
const LARGEST = 1_048_576;

function numbered(): Uint8Array {
  const bytes = new Uint8Array(SIZE);
  for (let at = 0; at < SIZE; at++) bytes[at] = (at * 7) ^ (at >> 9);
  return bytes;
}

describe("a window on a file", () => {
  it("shows the file's bytes wherever it is moved, in a few MiB of memory", async () => {
    const whole = numbered();
    const memory = new WindowMemory();
    const window = await FileWindow.open(LightFiles.of(whole), FIRST, { memory });
    const random = createRandom(3, "window");
    let offset = 0;
    for (let step = 0; step < 400; step++) {
      const isBack = random.integer(20) === 0;
      offset = isBack ? random.integer(SIZE) : Math.min(SIZE, offset + random.integer(60_000));
      const length = random.integer(10) === 0 ? random.integer(LARGEST) : random.integer(2_000);
      await window.ensure(offset, length);
      const until = Math.min(SIZE, offset + length);
      expect(window.base).toBeLessThanOrEqual(offset);
      expect(window.reach).toBeGreaterThanOrEqual(until);
      const shown = window.bytes.subarray(offset - window.base, until - window.base);
      expect(Buffer.compare(shown, whole.subarray(offset, until))).toBe(0);
    }
    await window.close();
    expect(memory.bytes.byteLength).toBeLessThan(2_200_000);
  });

  it("ends where the file ends when that became shorter", async () => {
    const files = LightFiles.of(numbered());
    const window = await FileWindow.open(files, FIRST);
    const file = await files.open(FIRST, "write");
    await file.truncate(3_000_000);
    await window.ensure(2_900_000, 500_000);
    expect(window.size).toBe(3_000_000);
    expect(window.reach).toBe(3_000_000);
    await window.close();
  });
});

describe("records that do not fit into one read", () => {
  it("are read, verified and recovered like any other", async () => {
    const files = new LightFiles();
    const sizes = [10, LARGEST, 524_200, 3, 700_000, 524_232, 524_288, LARGEST - 1, 0, 40];
    const wal = await Wal.open({ files, directory: DIRECTORY, segmentBytes: 1 << 30 });
    for (const [index, bytes] of sizes.entries()) await wal.append(record(index + 1, bytes));
    const again = await Wal.open({ files, directory: DIRECTORY });
    const found: number[] = [];
    for await (const item of again.read()) {
      const wanted = payloadOf(item.sequence, sizes[item.sequence - 1]);
      expect(Buffer.compare(item.payload, wanted)).toBe(0);
      found.push(item.payload.byteLength);
    }
    expect(found).toEqual(sizes);
  });
});
