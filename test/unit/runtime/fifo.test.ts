import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Fifo } from "../../../src/runtime/fifo.ts";

interface Pair {
  fifo: Fifo<number>;
  model: number[];
}

/** Each does the same to a queue and to an array, and compares what they answer. */
const OPERATIONS: readonly ((pair: Pair, index: number, value: number) => void)[] = [
  ({ fifo, model }, index, value) => {
    for (let count = 0; count <= index; count++) {
      fifo.push(value + count);
      model.push(value + count);
    }
  },
  ({ fifo, model }, _, value) => {
    fifo.unshift(value);
    model.unshift(value);
  },
  ({ fifo, model }) => expect(fifo.pop()).toBe(model.pop()),
  ({ fifo, model }, index) => expect(fifo.removeAt(index)).toBe(model.splice(index, 1)[0]),
  ({ fifo, model }, index, value) => {
    expect(fifo.set(index, value)).toBe(model[index]);
    if (index < model.length) model[index] = value;
  },
  ({ fifo, model }, index) => {
    const wanted = model[index] ?? -1;
    const known = model.indexOf(wanted);
    expect(fifo.remove(wanted)).toBe(known >= 0);
    if (known >= 0) model.splice(known, 1);
  },
  (pair, _, value) => {
    const other = new Fifo<number>();
    other.push(value);
    pair.fifo.swap(other);
    expect(pair.fifo.shift()).toBe(value);
    expect(pair.fifo.size).toBe(0);
    pair.fifo = other;
  },
  ({ fifo, model }, index) => {
    for (let count = 0; count <= index; count++) expect(fifo.shift()).toBe(model.shift());
  },
];

describe("a fifo", () => {
  it("does what an array does, under any operations", () => {
    const step = fc.tuple(fc.constantFrom(...OPERATIONS), fc.nat(40));
    const steps = fc.array(step, { maxLength: 120, size: "max" });
    const property = fc.property(steps, (all) => {
      const pair: Pair = { fifo: new Fifo(), model: [] };
      all.forEach(([operate, index], step) => {
        operate(pair, index, step * 100);
        expect(pair.fifo.size).toBe(pair.model.length);
        expect(pair.fifo.at(index)).toBe(pair.model[index]);
      });
      const rest = Array.from({ length: pair.fifo.size }, () => pair.fifo.shift());
      expect(rest).toEqual(pair.model);
    });
    fc.assert(property, { numRuns: 150 });
  });

  it("keeps order over many takes from a long queue, and after it was drained", () => {
    const fifo = new Fifo<number>();
    for (const round of [0, 10_000]) {
      for (let value = 0; value < 5_000; value++) fifo.push(round + value);
      for (let value = 0; value < 5_000; value++) expect(fifo.shift()).toBe(round + value);
      expect(fifo.shift()).toBeUndefined();
    }
  });

  it("answers undefined outside its bounds, and changes nothing there", () => {
    const fifo = new Fifo<string>();
    expect([fifo.at(0), fifo.pop(), fifo.removeAt(0), fifo.set(0, "x")]).toEqual(
      Array(4).fill(undefined),
    );
    fifo.push("a");
    expect([fifo.at(-1), fifo.at(1), fifo.set(1, "x"), fifo.size]).toEqual([
      ...[undefined, undefined, undefined, 1],
    ]);
  });

  it("does not keep what it gave out", () => {
    const ends = [
      (fifo: Fifo<object>) => fifo.shift(),
      (fifo: Fifo<object>) => fifo.pop(),
      (fifo: Fifo<object>) => fifo.removeAt(0),
    ];
    const fifos = ends.map(() => new Fifo<object>());
    const given = fifos.map((fifo, index) => {
      const item = { large: new Uint8Array(1_000) };
      fifo.push(item);
      ends[index]?.(fifo);
      return new WeakRef(item);
    });
    return collectGarbage(() => {
      expect(given.map((item) => item.deref())).toEqual(Array(3).fill(undefined));
      expect(fifos.map(({ size }) => size)).toEqual([0, 0, 0]);
    });
  });
});

/** A weak reference stays alive until the task that made it ends. */
async function collectGarbage(then: () => void): Promise<void> {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  await new Promise((resolve) => setImmediate(resolve));
  collect();
  then();
}
