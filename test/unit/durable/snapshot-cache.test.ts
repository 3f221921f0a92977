import { describe, expect, it } from "vitest";
import { type Checkpoint, encodeCheckpoint } from "../../../src/runtime/durable/checkpoint.ts";
import { SnapshotCache } from "../../../src/runtime/durable/snapshot-cache.ts";

const state = (step: number, numbers = 16): Checkpoint => ({
  meta: { step },
  arrays: { w: new Float32Array(numbers).fill(step) },
});
const SIZE = encodeCheckpoint(state(10)).byteLength;
const filled = (capacity: number, ...steps: number[]): SnapshotCache => {
  const cache = new SnapshotCache(capacity);
  for (const step of steps) cache.put(step, state(step));
  return cache;
};
const stepsOf = (cache: SnapshotCache): number[] => cache.entries.map(({ step }) => step);

describe("the cache of good states", () => {
  it("gives back what was put in, however the original changed since", () => {
    const cache = new SnapshotCache(1_000);
    const original = state(10);
    const { kept } = cache.put(10, original);
    const digest = Buffer.from(encodeCheckpoint(state(10)).subarray(-32)).toString("hex");
    expect(kept).toEqual({ step: 10, digest, bytes: SIZE });
    original.arrays["w"]!.fill(Number.NaN);
    const taken = cache.take(10);
    expect(taken).toEqual(state(10));
    taken.arrays["w"]!.fill(9);
    expect(cache.take(10)).toEqual(state(10));
  });

  it("forgets the least recently used first, and never holds more than it may", () => {
    const cache = filled(3 * SIZE, 10, 20, 30);
    expect(cache.bytes).toBe(3 * SIZE);
    expect(cache.nearest(15)?.step).toBe(10);
    cache.put(40, state(40));
    expect(stepsOf(cache)).toEqual([30, 10, 40]);
    expect(cache.bytes).toBe(3 * SIZE);
    cache.put(40, state(40));
    expect(cache.bytes).toBe(3 * SIZE);
  });

  it("refuses what is larger than itself and keeps what it has", () => {
    const cache = filled(2 * SIZE, 10, 20);
    const { kept, refused } = cache.put(30, state(30, 1_000));
    expect(kept).toBeNull();
    expect(refused).toMatchObject({
      code: "SNAPSHOT_REFUSED",
      details: { step: 30, capacityBytes: 2 * SIZE },
    });
    expect(stepsOf(cache)).toEqual([10, 20]);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    "refuses a state with a weight of %s",
    (weight) => {
      const cache = filled(9 * SIZE, 10);
      const broken = state(20);
      broken.arrays["w"]![15] = weight;
      expect(cache.put(20, broken).refused).toMatchObject({
        code: "SNAPSHOT_REFUSED",
        message: expect.stringContaining("not finite"),
      });
      expect(stepsOf(cache)).toEqual([10]);
    },
  );

  it("finds the newest state up to a step", () => {
    const cache = filled(9 * SIZE, 20, 10, 30);
    expect([9, 10, 29, 30, 99].map((step) => cache.nearest(step)?.step)).toEqual([
      ...[undefined, 10, 20, 30, 30],
    ]);
    expect(new SnapshotCache(9).nearest(5)).toBeNull();
  });

  it("hands out no state whose bytes have changed, and drops it", () => {
    const cache = new SnapshotCache(9 * SIZE);
    // Every allocation of the cache is seen, so that one can be spoilt behind its back.
    const made: Uint8Array[] = [];
    const plain = Uint8Array;
    globalThis.Uint8Array = new Proxy(plain, {
      construct(target, args) {
        const array = Reflect.construct(target, args) as Uint8Array;
        if (args[0] === SIZE) made.push(array);
        return array;
      },
    });
    try {
      cache.put(10, state(10));
    } finally {
      globalThis.Uint8Array = plain;
    }
    expect(made).toHaveLength(1);
    made[0]![SIZE - 40]! ^= 1;
    expect(() => cache.take(10)).toThrowError(
      expect.objectContaining({ code: "CHECKPOINT_DIGEST" }),
    );
    expect(cache.entries).toEqual([]);
    expect(cache.bytes).toBe(0);
    expect(() => cache.take(10)).toThrowError(
      expect.objectContaining({ code: "CHECKPOINT_MISSING" }),
    );
  });

  it("forgets a future that was given up", () => {
    const cache = filled(9 * SIZE, 10, 20, 30);
    cache.dropAfter(10);
    expect(stepsOf(cache)).toEqual([10]);
    expect(cache.bytes).toBe(SIZE);
  });
});
