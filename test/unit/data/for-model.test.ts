import { describe, expect, it } from "vitest";
import type { Dataset } from "../../../src/protocols/dataset.ts";
import { drawDigits } from "../../../src/runtime/data/builtin/digits.ts";
import { loadForModel, type ModelLoadOptions } from "../../../src/runtime/data/for-model.ts";
import { loadDataset } from "../../../src/runtime/data/load.ts";
import { idxBytes, loadText, OPTIONS, refusalOf, writeTemporary } from "./support.ts";

const EVALUATE: ModelLoadOptions = { ...OPTIONS, purpose: "evaluate" };
const PREDICT: ModelLoadOptions = { ...OPTIONS, purpose: "predict" };

const TRAINING = [
  "n,colour,y",
  ...Array.from(
    { length: 40 },
    (_, row) => `${row},${row % 3 ? "blue" : "red"},${row % 2 ? "yes" : "no"}`,
  ),
].join("\n");

/** The encoding of column n, which must be the stored one. */
function numeric(model: Dataset) {
  const [column] = model.input.kind === "table" ? model.input.columns : [];
  if (column?.kind !== "numeric") throw new Error("the first column is not numeric");
  return column;
}

async function loadTable(text: string, model: Dataset, options: ModelLoadOptions) {
  const file = await writeTemporary("new.csv", text);
  return loadForModel({ files: [file], labels: null }, model, options);
}

describe("a table for a finished model", () => {
  it("is encoded by the stored mean, scale and categories, whatever its own are", async () => {
    const model = await loadText(TRAINING);
    const data = await loadTable(
      "y,colour,extra,n\nyes,red,q,1000\nno,blue,q,1001\n",
      model,
      EVALUATE,
    );
    const { mean, scale } = numeric(model);
    expect(data.samples.count).toBe(2);
    expect(data.samples.x[0]).toBeCloseTo((1000 - mean) / scale, 3);
    expect([...data.samples.x.subarray(1, 3)]).toEqual([0, 1]);
    expect(data.samples.x[3]).toBeCloseTo((1001 - mean) / scale, 3);
    expect([...data.samples.x.subarray(4, 6)]).toEqual([1, 0]);
    expect([...(data.samples.y ?? [])]).toEqual([1, 0]);
  });

  it("read from the training file itself gives the training values again", async () => {
    const model = await loadText(TRAINING);
    const data = await loadTable(TRAINING, model, EVALUATE);
    const rowsOf = (x: Float32Array) =>
      Array.from({ length: x.length / 3 }, (_, row) => x.subarray(3 * row, 3 * row + 3).join());
    const trained = [...rowsOf(model.train.x), ...rowsOf(model.validation.x)];
    expect(rowsOf(data.samples.x).sort()).toEqual(trained.sort());
  });

  it("needs no target to predict, keeps every row, and hands the cells on", async () => {
    const model = await loadText(TRAINING);
    const data = await loadTable("n,colour\n5,red\n,blue\n", model, PREDICT);
    expect(data.samples.y).toBeNull();
    expect(data.samples.count).toBe(2);
    expect(data.filled).toEqual({ n: 1 });
    expect(data.raw).toEqual({
      header: ["n", "colour"],
      rows: [
        ["5", "red"],
        ["", "blue"],
      ],
    });
  });

  it("leaves out rows without an answer when evaluated, and not when predicted", async () => {
    const model = await loadText(TRAINING);
    const text = "n,colour,y\n1,red,yes\n2,red,\n3,blue,no\n";
    const evaluated = await loadTable(text, model, EVALUATE);
    expect(evaluated.rows).toBe(3);
    expect(evaluated.dropped).toEqual({ "missing value in y": 1 });
    expect(evaluated.raw?.rows.map(([n]) => n)).toEqual(["1", "3"]);
    expect((await loadTable(text, model, PREDICT)).samples.count).toBe(3);
  });

  it("may be a single column when only predictions are wanted", async () => {
    const text = ["a,y", ...Array.from({ length: 20 }, (_, row) => `${row},${5 * row}`)];
    const data = await loadTable("a\n3\n4\n", await loadText(text.join("\n")), PREDICT);
    expect(data.samples.count).toBe(2);
  });

  it("scales a numeric answer by the stored mean and scale", async () => {
    const text = ["a,y", ...Array.from({ length: 20 }, (_, row) => `${row},${5 * row}`)];
    const model = await loadText(text.join("\n"));
    if (model.target.kind !== "number") throw new Error("the target is not a number");
    const data = await loadTable("a,y\n1,500\n", model, EVALUATE);
    expect(data.samples.y?.[0]).toBeCloseTo((500 - model.target.mean) / model.target.scale, 4);
  });

  it.each([
    [
      "a feature column is absent",
      "n,color,y\n1,red,yes\n",
      /no column "colour"; did you mean color/,
    ],
    ["the target column is absent", "n,colour\n1,red\n", /no column "y"/],
    ["a category is new", "n,colour,y\n1,red,yes\n2,green,no\n", /line 3.*"green" was not among/],
    ["a missing category is new", "n,colour,y\n1,NA,yes\n", /line 2, column "colour"/],
    ["a number is text", "n,colour,y\none,red,yes\n", /line 2, column "n": "one" is not a finite/],
    ["a number is beyond a float", "n,colour,y\n1e200,red,yes\n", /line 2.*too far from the train/],
    ["a class is unknown", "n,colour,y\n1,red,perhaps\n", /line 2.*"perhaps" is not a class/],
    ["no row has an answer", "n,colour,y\n1,red,\n", /every value is missing/],
  ])("is refused when %s", async (_case, text, message) => {
    const model = await loadText(TRAINING);
    const error = await refusalOf(loadTable(text, model, EVALUATE));
    expect(error.code).toBe("DATA_INVALID");
    expect(error.message).toMatch(message);
  });

  it("takes a new category as missing when the model knows missing ones", async () => {
    const model = await loadText(`${TRAINING}\n7,NA,yes\n8,,no`);
    const data = await loadTable("n,colour,y\n1,green,yes\n", model, EVALUATE);
    expect([...data.samples.x.subarray(1)]).toEqual([0, 0, 1]);
  });

  it("suits a built-in data set by its column names", async () => {
    const model = await loadDataset({ kind: "builtin", name: "spirals", seed: 1 }, OPTIONS);
    const data = await loadTable("x,y\n0,6.5\n", model, PREDICT);
    expect(data.samples.x[0]).toBeCloseTo(model.train.x[0]!, 5);
    expect(data.samples.x[1]).toBeCloseTo(model.train.x[1]!, 5);
  });
});

describe("images for a finished model", () => {
  async function digitFiles() {
    const { pixels, labels, count } = drawDigits(42, "test");
    const images = await writeTemporary("images", idxBytes([count, 16, 16], pixels));
    return { images, labels: await writeTemporary("labels", idxBytes([count], labels)), count };
  }

  it("are scaled by the stored mean and scale and answered by class name", async () => {
    const model = await loadDataset({ kind: "builtin", name: "digits", seed: 42 }, OPTIONS);
    const { images, labels } = await digitFiles();
    const data = await loadForModel({ files: [images], labels }, model, EVALUATE);
    expect(data.samples.x).toEqual(model.test?.x);
    expect(data.samples.y).toEqual(model.test?.y);
    expect(data.raw).toBeNull();
  });

  it("need no labels to predict, but do to evaluate", async () => {
    const model = await loadDataset({ kind: "builtin", name: "digits", seed: 42 }, OPTIONS);
    const { images, count } = await digitFiles();
    const given = { files: [images], labels: null };
    const predicted = await loadForModel(given, model, PREDICT);
    expect([predicted.samples.count, predicted.samples.y]).toEqual([count, null]);
    const error = await refusalOf(loadForModel(given, model, EVALUATE));
    expect(error.message).toContain("hold no labels");
  });

  it("are refused when their shape is not the model's", async () => {
    const model = await loadDataset({ kind: "builtin", name: "digits", seed: 42 }, OPTIONS);
    const images = await writeTemporary("images", idxBytes([2, 4, 4], Array(32).fill(7)));
    const error = await refusalOf(loadForModel({ files: [images], labels: null }, model, PREDICT));
    expect(error.code).toBe("DATA_INVALID");
    expect(error.message).toContain("the images are 4 x 4 x 1, the model takes 16 x 16 x 1");
  });

  it("are refused when a label is no class of the model", async () => {
    const model = await loadDataset({ kind: "builtin", name: "digits", seed: 42 }, OPTIONS);
    const images = await writeTemporary("images", idxBytes([2, 16, 16], Array(512).fill(7)));
    const labels = await writeTemporary("labels", idxBytes([2], [3, 11]));
    const error = await refusalOf(loadForModel({ files: [images], labels }, model, EVALUATE));
    expect(error.message).toContain('image 2: "11" is not a class of this model');
  });

  it("in CIFAR-10 files are read by their extension", async () => {
    const record = Uint8Array.from([...Array(3073).keys()].map((at) => (at === 0 ? 1 : at % 251)));
    const other = Uint8Array.from(record.map((value, at) => (at === 0 ? 0 : 255 - value)));
    const bytes = Uint8Array.from([...record, ...other, ...record, ...other]);
    const file = await writeTemporary("batch.bin", bytes);
    const request = { kind: "cifar10", files: [file], validationShare: 0.5, seed: 1 } as const;
    const model = await loadDataset(request, OPTIONS);
    const data = await loadForModel({ files: [file, file], labels: null }, model, EVALUATE);
    expect([...(data.samples.y ?? [])]).toEqual([1, 0, 1, 0, 1, 0, 1, 0]);
    const where = model.train.y.indexOf(1);
    expect(data.samples.x.subarray(0, 3072)).toEqual(
      model.train.x.subarray(where * 3072, (where + 1) * 3072),
    );
  });
});

describe("files that do not belong together", () => {
  it("are a usage error: a table is one file", async () => {
    const model = await loadText(TRAINING);
    const error = await refusalOf(
      loadForModel({ files: ["a", "b"], labels: null }, model, PREDICT),
    );
    expect(error.code).toBe("USAGE");
    const none = await refusalOf(loadForModel({ files: [], labels: null }, model, PREDICT));
    expect(none.code).toBe("USAGE");
  });
});
