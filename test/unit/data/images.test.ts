import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { readCifar } from "../../../src/runtime/data/images/cifar10.ts";
import { loadDataset } from "../../../src/runtime/data/load.ts";
import { idxBytes, OPTIONS, refusalOf, writeTemporary } from "./support.ts";

const COUNT = 20;
/** Image i holds the bytes 6 i to 6 i + 5, so a value tells where it came from. */
const PIXELS = Array.from({ length: COUNT * 6 }, (_, at) => at);
const LABELS = Array.from({ length: COUNT }, (_, row) => (row % 2 === 0 ? 9 : 4));
const SPLIT = { validationShare: 0.3, seed: 5 };

async function loadIdx(images: Uint8Array, labels = idxBytes([COUNT], LABELS)) {
  return loadDataset(
    {
      kind: "idx",
      images: await writeTemporary("images", images),
      labels: await writeTemporary("labels", labels),
      ...SPLIT,
    },
    OPTIONS,
  );
}

describe("IDX images", () => {
  it("keep pixels in order, one channel, and each image with its label", async () => {
    const data = await loadIdx(idxBytes([COUNT, 2, 3], PIXELS));
    expect(data.inputShape).toEqual([2, 3, 1]);
    expect(data.target).toEqual({ kind: "classes", name: "label", classes: ["4", "9"] });
    if (data.input.kind !== "grid") throw new Error("the input is not a grid");
    const { mean, scale } = data.input;
    const seen: number[] = [];
    for (const part of [data.train, data.validation]) {
      for (let row = 0; row < part.count; row++) {
        const image = [...part.x.subarray(row * 6, row * 6 + 6)].map((value) =>
          Math.round(value * scale + mean),
        );
        const index = image[0]! / 6;
        expect(image).toEqual(PIXELS.slice(index * 6, index * 6 + 6));
        expect(part.y[row]).toBe(index % 2 === 0 ? 1 : 0);
        seen.push(index);
      }
    }
    expect(seen.sort((left, right) => left - right)).toEqual([...Array(COUNT).keys()]);
  });

  it("are scaled by the training pixels alone", async () => {
    const { train } = await loadIdx(idxBytes([COUNT, 2, 3], PIXELS));
    const mean = train.x.reduce((sum, value) => sum + value, 0) / train.x.length;
    const square = train.x.reduce((sum, value) => sum + value * value, 0) / train.x.length;
    expect(mean).toBeCloseTo(0, 5);
    expect(square).toBeCloseTo(1, 5);
  });

  it("give the same data packed with gzip as plain", async () => {
    const plain = idxBytes([COUNT, 2, 3], PIXELS);
    const [first, second] = [await loadIdx(plain), await loadIdx(gzipSync(plain))];
    expect(second.digest).toBe(first.digest);
  });

  it("are refused before reading when they unfold beyond the budget", async () => {
    const images = await writeTemporary("images", idxBytes([COUNT, 2, 3], PIXELS));
    const labels = await writeTemporary("labels", idxBytes([COUNT], LABELS));
    const read = async (path: string) => {
      if (path === images) throw new Error("the pixels were read");
      return OPTIONS.files.read(path);
    };
    const error = await refusalOf(
      loadDataset(
        { kind: "idx", images, labels, ...SPLIT },
        { files: { ...OPTIONS.files, read }, budgetBytes: 500 },
      ),
    );
    expect(error.code).toBe("DATA_TOO_LARGE");
    expect(error.message).toContain("20 images of 2 x 3 as 32-bit floats");
  });
});

function cifarRecord(label: number, red: number, green: number, blue: number): number[] {
  return [label, ...[red, green, blue].flatMap((value) => Array<number>(1_024).fill(value))];
}

describe("CIFAR-10 files", () => {
  it("have their colour planes rearranged so that channels come last", async () => {
    const record = cifarRecord(3, 10, 20, 30);
    record[1 + 33] = 99; // Red of the second row, second column.
    const path = await writeTemporary("a.bin", Uint8Array.from(record));
    const images = await readCifar([path], OPTIONS);
    expect(images.shape).toEqual([32, 32, 3]);
    expect([...images.pixels.subarray(0, 3)]).toEqual([10, 20, 30]);
    expect([...images.pixels.subarray(33 * 3, 33 * 3 + 3)]).toEqual([99, 20, 30]);
    expect([...images.labels]).toEqual([3]);
  });

  it("are read one after the other and keep the names of their classes", async () => {
    const first = await writeTemporary(
      "a.bin",
      Uint8Array.from([...cifarRecord(0, 1, 2, 3), ...cifarRecord(9, 4, 5, 6)]),
    );
    const second = await writeTemporary(
      "b.bin",
      Uint8Array.from([...cifarRecord(9, 7, 8, 9), ...cifarRecord(0, 1, 1, 1)]),
    );
    const data = await loadDataset({ kind: "cifar10", files: [first, second], ...SPLIT }, OPTIONS);
    expect(data.train.count + data.validation.count).toBe(4);
    expect(data.report.classBalance).toMatchObject({ airplane: 2, truck: 2, bird: 0 });
    expect(data.report.notes).toContain('class "bird" has no image');
  });

  it("are a usage error when none is named", async () => {
    const request = { kind: "cifar10", files: [], ...SPLIT } as const;
    expect((await refusalOf(loadDataset(request, OPTIONS))).code).toBe("USAGE");
  });

  it("are refused when one changes its length while it is read", async () => {
    const record = cifarRecord(1, 1, 2, 3);
    const path = await writeTemporary("a.bin", Uint8Array.from(record));
    for (const records of [0, 2]) {
      const read = async () => Uint8Array.from(Array(records).fill(record).flat());
      const options = { ...OPTIONS, files: { ...OPTIONS.files, read } };
      const error = await refusalOf(readCifar([path], options));
      expect(error.code).toBe("DATA_INVALID");
      expect(error.message).toContain("changed its length while it was read");
    }
  });

  it("are refused when all of them together are beyond the budget", async () => {
    const files = await Promise.all(
      ["a.bin", "b.bin"].map((name) =>
        writeTemporary(name, Uint8Array.from(cifarRecord(1, 1, 2, 3))),
      ),
    );
    const options = { ...OPTIONS, budgetBytes: 20_000 };
    const error = await refusalOf(loadDataset({ kind: "cifar10", files, ...SPLIT }, options));
    expect(error.code).toBe("DATA_TOO_LARGE");
    expect(error.message).toContain("2 images of 32 x 32 x 3");
  });
});
