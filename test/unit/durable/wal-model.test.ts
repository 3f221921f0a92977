/**
 * The log beside an array that does the same: any order of appends, restarts, unfinished writes,
 * prunings and compactions leaves both with the same records.
 */
import { basename } from "node:path";
import fc from "fast-check";
import { expect, it } from "vitest";
import { Wal } from "../../../src/runtime/durable/wal.ts";
import { verifyLog } from "../../../src/runtime/durable/wal-verify.ts";
import { all, DIRECTORY, isRecord, LightFiles, record } from "./wal-support.ts";

const RUNS = 2_000;
const STEPS = 100;
const PATIENCE_MS = 240_000;

interface Pair {
  readonly files: LightFiles;
  wal: Wal;
  /** The numbers of the records that the log must hold. */
  model: number[];
  next: number;
}

type Step = (pair: Pair, value: number) => Promise<void>;

async function open(files: LightFiles): Promise<Wal> {
  return Wal.open({ files, directory: DIRECTORY, segmentBytes: 600 });
}

async function held(pair: Pair, from = 1): Promise<number[]> {
  const found = await all(pair.wal, from);
  for (const item of found) if (!isRecord(item)) expect.fail(`record ${item.sequence} is wrong`);
  return found.map(({ sequence }) => sequence);
}

function lastSegment(files: LightFiles): string {
  return [...files.files.keys()]
    .filter((path) => path.endsWith(".wal"))
    .sort()
    .at(-1) as string;
}

const STEPS_BY_NAME: Readonly<Record<string, Step>> = {
  append: async (pair, value) => {
    const indices = Array.from({ length: 1 + (value % 8) }, (_, at) => pair.next + at);
    const sizes = indices.map((index) => (index * value) % 200);
    const all = indices.map((index, at) => pair.wal.append(record(index, sizes[at])));
    expect(await Promise.all(all)).toEqual(indices);
    pair.model.push(...indices);
    pair.next += indices.length;
  },
  "close and open": async (pair) => {
    await pair.wal.close();
    pair.wal = await open(pair.files);
  },
  "kill and open": async (pair) => {
    pair.wal = await open(pair.files);
  },
  "kill in a write and open": async (pair, value) => {
    const path = lastSegment(pair.files);
    const torn = new Uint8Array(value % 1_500);
    pair.files.put(path, Buffer.concat([pair.files.bytes(path), torn]));
    pair.wal = await open(pair.files);
    expect(pair.wal.status.tornBytes).toBe(torn.byteLength);
  },
  prune: async (pair, value) => {
    const before = pair.next - (value % 30);
    await pair.wal.prune(1_000 + before);
    const left = await held(pair);
    const removed = pair.model.slice(0, pair.model.length - left.length);
    expect(left).toEqual(pair.model.slice(removed.length));
    expect(removed.every((sequence) => sequence < before)).toBe(true);
    pair.model = left;
  },
  compact: async (pair, value) => {
    const keep = (sequence: number): boolean => sequence % (2 + (value % 5)) !== 0;
    await pair.wal.compact(({ sequence }) => keep(sequence));
    const writtenTo = Number.parseInt(basename(lastSegment(pair.files)), 10);
    pair.model = pair.model.filter((sequence) => sequence >= writtenTo || keep(sequence));
    expect(await held(pair)).toEqual(pair.model);
  },
  read: async (pair, value) => {
    const from = Math.max(1, pair.next - (value % 60));
    expect(await held(pair, from)).toEqual(pair.model.filter((sequence) => sequence >= from));
  },
  verify: async ({ files, model }) => {
    const report = await verifyLog(files, DIRECTORY);
    expect(report.flaws).toEqual([]);
    expect(report.records).toBe(model.length);
  },
};

it(
  "holds what an array would, after any steps",
  async () => {
    const names = fc.constantFrom(...Object.keys(STEPS_BY_NAME), "append", "append");
    const steps = fc.array(fc.tuple(names, fc.nat(5_000)), { maxLength: STEPS, size: "max" });
    let taken = 0;
    const property = fc.asyncProperty(steps, async (chosen) => {
      const files = new LightFiles();
      const pair: Pair = { files, wal: await open(files), model: [], next: 1 };
      for (const [name, value] of chosen) await STEPS_BY_NAME[name]?.(pair, value);
      taken += chosen.length;
      expect(await held(pair)).toEqual(pair.model);
      expect(pair.wal.status.records).toBe(pair.model.length);
      expect(pair.wal.status.lastSequence).toBe(pair.next - 1);
    });
    await fc.assert(property, { numRuns: RUNS, seed: 4 });
    expect(taken).toBeGreaterThan(RUNS * 20);
  },
  PATIENCE_MS,
);
