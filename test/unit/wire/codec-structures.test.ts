/** The list of record shapes that threads share: no race, death or flood of shapes harms it. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BodyCodec } from "../../../src/runtime/wire/body-codec.ts";
import {
  STRUCTURES_LIMIT,
  StructureTable,
  structureMemory,
} from "../../../src/runtime/wire/structures.ts";
import { refusal, sendBody, testRefs, twoThreads } from "./codec-support.ts";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

const tables = (memory: SharedArrayBuffer, count: number): StructureTable[] =>
  Array.from({ length: count }, () => new StructureTable(memory));

const pair = (memory: SharedArrayBuffer): readonly [StructureTable, StructureTable] => [
  new StructureTable(memory),
  new StructureTable(memory),
];

describe("the shared shapes", () => {
  it("are the same list in every thread, in whatever order threads append", () => {
    const step = fc.tuple(fc.nat(3), fc.array(fc.string({ maxLength: 9 }), { maxLength: 5 }));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const threads = tables(structureMemory(), 4);
        let appended = 0;
        for (const [thread, keys] of steps) {
          const table = threads[thread]!;
          // A thread that has not looked for a while is told so instead of taking a number twice.
          const behind = table.size !== appended;
          const saved = table.append(table.size, [keys, [...keys, "more"]]);
          expect(saved).toBe(!behind);
          if (!saved) expect(table.append(table.size, [keys, [...keys, "more"]])).toBe(true);
          appended += 2;
        }
        const lists = threads.map((table) => table.load());
        expect(lists.every((list) => list.length === appended)).toBe(true);
        expect(new Set(lists.map((list) => JSON.stringify(list))).size).toBe(1);
      }),
      { numRuns: 100 },
    );
  });

  it("take an append from exactly one of two threads that race for a number", () => {
    const [one, other] = pair(structureMemory());
    one.load();
    other.load();
    expect(one.append(0, [["a"]])).toBe(true);
    expect(other.append(0, [["b"]])).toBe(false);
    expect(other.append(1, [["b"]])).toBe(true);
    expect(one.load()).toEqual([["a"], ["b"]]);
  });

  it("survive a thread that dies in the middle of an append", () => {
    const memory = structureMemory(1_024);
    const [one, other] = pair(memory);
    one.append(0, [["a"]]);
    // What such a thread leaves: space taken, half an entry in it, and no link to it.
    const words = new Int32Array(memory);
    const at = Atomics.add(words, 1, 64);
    words.fill(-1, at >> 2, (at >> 2) + 5);
    expect(other.append(1, [])).toBe(false);
    expect(other.append(1, [["b", "c"]])).toBe(true);
    expect(one.load()).toEqual([["a"], ["b", "c"]]);
  });

  it("keep keys of any characters", () => {
    const [one, other] = pair(structureMemory());
    const keys = ["", "\ud800", "α\u0000β", "x".repeat(64)];
    one.append(0, [keys, []]);
    expect(other.load()).toEqual([keys, []]);
  });

  it("end where their memory or their number ends", () => {
    const small = new StructureTable(structureMemory(1_024));
    let count = 0;
    while (small.append(count, [[`key${count}`]])) count += 1;
    expect(count).toBeGreaterThan(10);
    expect(small.usedBytes).toBeLessThanOrEqual(1_024);
    expect(small.admits(["another"])).toBe(false);
    const large = new StructureTable(structureMemory());
    const all = Array.from({ length: STRUCTURES_LIMIT }, (_, index) => [`key${index}`]);
    expect(large.append(0, [...all, ["one too many"]])).toBe(false);
    expect(large.append(0, all)).toBe(true);
    expect(large.append(STRUCTURES_LIMIT, [["one too many"]])).toBe(false);
  });

  it("are refused when their memory is damaged, whatever lies in it", () => {
    const words = fc.array(fc.tuple(fc.nat(40), fc.integer()), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(words, (list) => {
        const memory = structureMemory(1_024);
        const [one, other] = pair(memory);
        one.append(0, [["a"], ["b", "c"]]);
        const raw = new Int32Array(memory);
        for (const [at, value] of list) raw[at === 1 ? 0 : at] = value;
        try {
          expect(other.load().length).toBeLessThanOrEqual(STRUCTURES_LIMIT);
        } catch (error) {
          refusal("FRAME_MALFORMED", () => {
            throw error;
          });
        }
      }),
      { numRuns: 500 },
    );
  });

  it.each([0, 1_023, 1_028, 2 ** 25, 1_024.5])("lie in memory of a sane size, not %d", (bytes) => {
    refusal("CONFIG_INVALID", () => structureMemory(bytes));
  });
});

const HOT = { name: "loss", value: 0.5, unit: "ms" };

/** One byte for the shape, and its values. */
const HOT_BYTES = 1 + "?loss?ms".length + 9;

/** Bytes of the hot payload after it was sent often enough to be known as such. */
function hotBytes(codec: BodyCodec, sightings: number): number {
  for (let time = 0; time < sightings; time += 1) codec.encode(HOT);
  const { start, end } = codec.encode(HOT);
  return end - start;
}

/** An object that is used as a dictionary: its keys are data. */
const dictionary = (index: number): Record<string, number> => ({
  [`seed-${index}`]: index,
  [`seed-${index * 7 + 1}`]: -index,
});

describe("a flood of dictionaries with ever new keys", () => {
  it("does not fill the list, so that real shapes are still shared", () => {
    const memory = structureMemory();
    const codec = new BodyCodec(new StructureTable(memory), testRefs);
    const watching = new StructureTable(memory);
    for (let index = 0; index < 4_000; index += 1) codec.encode(dictionary(index));
    expect(watching.load()).toEqual([]);
    expect(hotBytes(codec, 3)).toBe(HOT_BYTES);
  });

  it("leaves room even when each is sent to several receivers", () => {
    const memory = structureMemory();
    const codec = new BodyCodec(new StructureTable(memory), testRefs);
    for (let index = 0; index < 1_500; index += 1) {
      for (let receiver = 0; receiver < 8; receiver += 1) codec.encode(dictionary(index));
    }
    expect(new StructureTable(memory).load().length).toBeLessThanOrEqual(STRUCTURES_LIMIT / 2);
    // One byte more than above: late shapes have longer numbers.
    expect(hotBytes(codec, 40)).toBe(HOT_BYTES + 1);
  });

  it("still arrives, and so does all else, once the list is full", () => {
    const memory = structureMemory(1_024);
    const threads = twoThreads(memory);
    for (let index = 0; index < 1_000; index += 1) {
      const sent = { dictionary: dictionary(index >> 2), rows: [HOT, HOT] };
      expect(sendBody(threads, sent)).toEqual(sent);
    }
    expect(new StructureTable(memory).usedBytes).toBeLessThanOrEqual(1_024);
  });

  it("costs no memory that stays", () => {
    const codec = new BodyCodec(new StructureTable(structureMemory()), testRefs);
    const flood = (from: number, count: number): void => {
      for (let index = from; index < from + count; index += 1) codec.encode(dictionary(index));
    };
    flood(0, 10_000);
    collectGarbage();
    const before = process.memoryUsage().heapUsed;
    flood(10_000, 20_000);
    collectGarbage();
    // Kept for ever, 20,000 new shapes would take more than 10 MB.
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(4 * 1_024 * 1_024);
  });
});

describe("two threads that meet new shapes at the same time", () => {
  it("always understand each other", () => {
    const threads = twoThreads();
    const back = { from: threads.to, to: threads.from };
    const shape = fc.dictionary(fc.constantFrom("a", "b", "c", "d", "e"), fc.integer());
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), shape), { maxLength: 30 }), (messages) => {
        for (const [isBack, value] of messages) {
          expect(sendBody(isBack ? back : threads, { value, list: [value] })).toEqual({
            value: { ...value },
            list: [{ ...value }],
          });
        }
      }),
      { numRuns: 200 },
    );
  });
});
