import { describe, expect, it } from "vitest";
import {
  BUILTIN_DATASETS,
  type BuiltinDataset,
  type Dataset,
  type Samples,
} from "../../../src/protocols/dataset.ts";
import { drawDigits } from "../../../src/runtime/data/builtin/digits.ts";
import { loadDataset } from "../../../src/runtime/data/load.ts";
import { OPTIONS } from "./support.ts";
import { trainedScore } from "./tiny-net.ts";

function load(name: BuiltinDataset, seed = 42): Promise<Dataset> {
  return loadDataset({ kind: "builtin", name, seed }, OPTIONS);
}

/** The points before scaling. */
function rawPoints(data: Dataset, part: Samples): number[][] {
  const columns = data.input.kind === "table" ? data.input.columns : [];
  return Array.from({ length: part.count }, (_, row) =>
    columns.map((column, at) => {
      if (column.kind !== "numeric") throw new Error("a built-in column is not numeric");
      return part.x[row * columns.length + at]! * column.scale + column.mean;
    }),
  );
}

describe("every built-in data set", () => {
  it.each(BUILTIN_DATASETS)("%s is the same for the same seed, on shared memory", async (name) => {
    const [first, again] = [await load(name), await load(name)];
    expect(again.digest).toBe(first.digest);
    expect(first.digest).toMatch(/^[0-9a-f]{64}$/);
    for (const part of [first.train, first.validation, first.test ?? first.train]) {
      expect(part.x.buffer).toBeInstanceOf(SharedArrayBuffer);
      expect(part.x.length).toBe(part.count * first.report.features);
      expect(part.x.every(Number.isFinite)).toBe(true);
    }
  });

  it.each(["rings", "digits"] as const)("%s differs between seeds", async (name) => {
    expect((await load(name, 1)).digest).not.toBe((await load(name, 2)).digest);
  });

  it.each(["rings", "digits"] as const)("%s holds no case in two of its parts", async (name) => {
    const data = await load(name);
    const width = data.report.features;
    const cases = [data.train, data.validation, data.test!].flatMap((part) =>
      Array.from({ length: part.count }, (_, row) =>
        part.x.subarray(row * width, (row + 1) * width).join(),
      ),
    );
    expect(new Set(cases).size).toBe(cases.length);
  });
});

describe("spirals", () => {
  it("are the classic 194 points", async () => {
    const data = await load("spirals");
    expect(data.train.count).toBe(194);
    const points = rawPoints(data, data.train);
    const plus = points.filter((_, row) => data.train.y[row] === 1);
    for (const [step, [x, y]] of plus.entries()) {
      const radius = (6.5 * (104 - step)) / 104;
      expect(x).toBeCloseTo(radius * Math.sin((step * Math.PI) / 16), 5);
      expect(y).toBeCloseTo(radius * Math.cos((step * Math.PI) / 16), 5);
    }
    const minus = points.filter((_, row) => data.train.y[row] === 0);
    expect(minus[5]![0]).toBeCloseTo(-plus[5]![0]!, 5);
  });

  it("hold out points between the training points and never the same twice", async () => {
    const data = await load("spirals");
    expect([data.validation.count, data.test?.count]).toEqual([192, 384]);
    const parts = [data.train, data.validation, data.test!];
    const keys = parts.flatMap((part) =>
      rawPoints(data, part).map((point) => point.map((value) => value.toFixed(4)).join()),
    );
    expect(new Set(keys).size).toBe(194 + 192 + 384);
  });
});

describe("parity", () => {
  it.each([
    ["parity4", 4],
    ["parity", 8],
    ["parity10", 10],
  ] as const)("%s holds every case of its %i bits once", async (name, bits) => {
    const { train, inputShape } = await load(name);
    expect(inputShape).toEqual([bits]);
    expect(train.count).toBe(2 ** bits);
    const cases = new Set<string>();
    for (let row = 0; row < train.count; row++) {
      const values = [...train.x.subarray(row * bits, (row + 1) * bits)];
      cases.add(values.join());
      expect(train.y[row]).toBe(values.filter((value) => value > 0).length % 2);
    }
    expect(cases.size).toBe(2 ** bits);
  });

  it("holds all 256 cases, and one flipped bit changes the answer", async () => {
    const data = await load("parity");
    const points = rawPoints(data, data.train);
    const answers = new Map(points.map((point, row) => [point.join(), data.train.y[row]]));
    expect(answers.size).toBe(256);
    for (const point of points) {
      expect(point.every((value) => Math.abs(value) === 1)).toBe(true);
      const flipped = [-point[0]!, ...point.slice(1)].join();
      expect(answers.get(flipped)).toBe(1 - answers.get(point.join())!);
    }
  });

  it("is seen by the network as exactly -1 and 1", async () => {
    const data = await load("parity");
    expect(new Set(data.train.x)).toEqual(new Set([-1, 1]));
  });

  it("says that validation is training and that there is no test part", async () => {
    const data = await load("parity");
    expect(data.test).toBeNull();
    expect(data.validation.x).toEqual(data.train.x);
    expect(data.report.notes.join()).toContain("validation is the training set");
  });
});

describe("rings", () => {
  it("are balanced, and every class lies around its own radius", async () => {
    const data = await load("rings");
    expect([data.train.count, data.validation.count, data.test?.count]).toEqual([600, 300, 300]);
    expect(data.report.classBalance).toEqual({ inner: 400, middle: 400, outer: 400 });
    const radii = rawPoints(data, data.train).map(([x, y]) => Math.hypot(x!, y!));
    for (const label of [0, 1, 2]) {
      const own = radii.filter((_, row) => data.train.y[row] === label);
      expect(own.reduce((sum, radius) => sum + radius, 0) / own.length).toBeCloseTo(label + 1, 1);
    }
  });

  it("are out of a linear model's reach and within that of a small network", async () => {
    const data = await load("rings");
    expect(trainedScore(data, 0, 40)).toBeLessThan(0.5);
    expect(trainedScore(data, 8, 150)).toBeGreaterThan(0.9);
  });
});

describe("digits", () => {
  it("are balanced 16 x 16 images in three parts", async () => {
    const data = await load("digits");
    expect(data.inputShape).toEqual([16, 16, 1]);
    expect([data.train.count, data.validation.count, data.test?.count]).toEqual([2000, 500, 500]);
    for (const part of [data.train, data.validation, data.test!]) {
      for (let digit = 0; digit < 10; digit++) {
        const own = [...part.y].filter((label) => label === digit);
        expect(own).toHaveLength(part.count / 10);
      }
    }
  });

  it("are ink on paper: mostly light, with a dark stroke, away from the border", () => {
    const { pixels, count } = drawDigits(3, "validation");
    for (let row = 0; row < count; row++) {
      const image = pixels.subarray(row * 256, (row + 1) * 256);
      const dark = image.filter((value) => value > 100).length;
      expect(dark).toBeGreaterThan(8);
      expect(dark).toBeLessThan(120);
    }
    const corners = Array.from({ length: count }, (_, row) => pixels[row * 256]!);
    expect(corners.filter((value) => value > 100).length).toBeLessThan(count / 50);
  });

  it("leave a linear classifier clearly behind a small network", async () => {
    const data = await load("digits");
    const linear = trainedScore(data, 0, 6);
    const network = trainedScore(data, 32, 10);
    expect(linear).toBeGreaterThan(0.5);
    expect(network).toBeGreaterThan(0.82);
    expect(network - linear).toBeGreaterThan(0.08);
  });
});
