/**
 * Every damage of some kind, not a sample of it: each prefix of a log, each flipped bit, each
 * subset of the sectors of the last write. What comes back is always a prefix of what was written.
 */
import { describe, expect, it } from "vitest";
import { EsperError } from "../../../src/protocols/errors.ts";
import { Wal } from "../../../src/runtime/durable/wal.ts";
import {
  all,
  DIRECTORY,
  expectPrefix,
  FIRST,
  isRecord,
  LightFiles,
  lightLog,
  record,
  salvaged,
  tryOpen,
} from "./wal-support.ts";

const SECTOR = 512;
const HEADER = 56;
const PATIENCE_MS = 240_000;

/** Where each frame of records of these sizes begins, and at last where the log ends. */
function boundaries(sizes: readonly number[]): number[] {
  const at = [0];
  for (const bytes of sizes) at.push((at.at(-1) ?? 0) + HEADER + bytes);
  return at;
}

/** How many frames end at or before `size`. */
function wholeFrames(ends: readonly number[], size: number): number {
  let count = 0;
  while (count + 1 < ends.length && (ends[count + 1] as number) <= size) count++;
  return count;
}

/** Checks what is found when the log of these frames is cut off at `size`. */
async function checkCut(whole: Uint8Array, ends: readonly number[], size: number): Promise<void> {
  const files = LightFiles.of(whole.slice(0, size));
  const wal = await Wal.open({ files, directory: DIRECTORY });
  const kept = wholeFrames(ends, size);
  const { recovered, tornBytes } = wal.status;
  if (recovered !== kept || tornBytes !== size - (ends[kept] as number)) {
    expect.fail(`cut at ${size}: ${recovered} records, ${tornBytes} bytes torn`);
  }
  expectPrefix(await all(wal));
  if ((await wal.append(record(kept + 1, 30))) !== kept + 1) expect.fail(`cut at ${size}: append`);
  const again = await Wal.open({ files, directory: DIRECTORY });
  const found = await all(again, kept);
  if (again.status.recovered !== kept + 1 || found.at(-1)?.sequence !== kept + 1) {
    expect.fail(`cut at ${size}: opened again`);
  }
  for (const item of found) if (!isRecord(item)) expect.fail(`cut at ${size}: wrong payload`);
}

/** Checks that one flipped bit is named, changes nothing, and costs a salvage only the rest. */
async function checkFlip(whole: Uint8Array, ends: readonly number[], bit: number): Promise<void> {
  const at = bit >> 3;
  const flipped = whole.slice();
  flipped[at] = (flipped[at] as number) ^ (1 << (bit & 7));
  const frame = wholeFrames(ends, at);
  const files = LightFiles.of(flipped);
  const error = await tryOpen({ files });
  if (!(error instanceof EsperError)) expect.fail(`bit ${bit} went unnoticed`);
  const { file, offset, recoverableRecords } = error.details;
  if (file !== FIRST || offset !== ends[frame] || recoverableRecords !== frame) {
    expect.fail(`bit ${bit}: ${error.message}`);
  }
  if (files.changes > 0) expect.fail(`bit ${bit}: a refused log was changed`);
  const found = await all(await salvaged(files));
  if (found.length !== frame) expect.fail(`bit ${bit}: ${found.length} records kept`);
  expectPrefix(found);
}

describe("every damage of one kind", () => {
  it(
    "gives back the longest whole prefix of 64 records for every byte of a cut",
    async () => {
      const sizes = Array.from({ length: 64 }, (_, index) => 540 + ((index * 37) % 97));
      const ends = boundaries(sizes);
      const whole = (await lightLog(sizes, false)).bytes(FIRST);
      expect(whole.byteLength).toBe(ends.at(-1));
      expect(whole.byteLength).toBeGreaterThan(40_000);
      for (let size = 0; size <= whole.byteLength; size++) await checkCut(whole, ends, size);
    },
    PATIENCE_MS,
  );

  it(
    "never gives a wrong payload for any flipped bit of 16 KiB, and names the frame",
    async () => {
      const sizes = Array.from({ length: 32 }, (_, index) => 401 + ((index * 29) % 113));
      const ends = boundaries(sizes);
      const whole = (await lightLog(sizes, true)).bytes(FIRST);
      const bits = whole.byteLength * 8;
      expect(bits).toBeGreaterThanOrEqual(131_072);
      for (let bit = 0; bit < bits; bit++) await checkFlip(whole, ends, bit);
    },
    PATIENCE_MS,
  );

  it(
    "takes any sectors of the last write for unwritten, however long the file is",
    async () => {
      const files = await lightLog([100, 200, 300], false);
      const wal = await Wal.open({ files, directory: DIRECTORY });
      const acked = files.bytes(FIRST).byteLength;
      const last = [800, 1_000, 1_200, 1_300].map((bytes, at) => wal.append(record(4 + at, bytes)));
      await Promise.all(last);
      const whole = files.bytes(FIRST);
      const sectors = Math.ceil(whole.byteLength / SECTOR) - Math.floor(acked / SECTOR);
      expect(sectors).toBe(10);
      let most = 0;
      for (let subset = 0; subset < 2 ** sectors; subset++) {
        for (const isLong of [true, false]) {
          const torn = tornTo(whole, acked, subset, isLong);
          const again = await Wal.open({ files: LightFiles.of(torn), directory: DIRECTORY });
          const found = await all(again);
          if (found.length < 3) expect.fail(`sectors ${subset}: an acknowledged record is lost`);
          expectPrefix(found);
          most = Math.max(most, found.length);
          const next = found.length + 1;
          if ((await again.append(record(next, 64))) !== next) expect.fail(`sectors ${subset}`);
        }
      }
      expect(most).toBe(7);
    },
    PATIENCE_MS,
  );
});

/** The bytes when only the sectors of `subset` behind `acked` got to the disk. */
function tornTo(whole: Uint8Array, acked: number, subset: number, isLong: boolean): Uint8Array {
  const bytes = whole.slice();
  const first = Math.floor(acked / SECTOR);
  let end = acked;
  for (let sector = first; sector * SECTOR < whole.byteLength; sector++) {
    const until = Math.min(whole.byteLength, (sector + 1) * SECTOR);
    if ((subset >> (sector - first)) & 1) end = until;
    else bytes.fill(0, Math.max(acked, sector * SECTOR), until);
  }
  return isLong ? bytes : bytes.slice(0, end);
}
