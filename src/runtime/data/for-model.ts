/**
 * Reads rows for a finished model by the encoding stored with it: nothing is measured or fitted
 * again. "evaluate" needs the answers and leaves out rows without one; "predict" keeps every row
 * and does not look at answers.
 */
import { extname } from "node:path";
import type { ColumnEncoding, Dataset, InputEncoding, Samples } from "../../protocols/dataset.ts";
import { EsperError } from "../../protocols/errors.ts";
import { assertWithinBudget } from "./budget.ts";
import { createRowEncoder, encodedWidth, type FilledCounts, findColumn } from "./csv/encode.ts";
import type { Table } from "./csv/parse.ts";
import { readTable } from "./csv/read-table.ts";
import { createTargetReader, rowsWithTarget } from "./csv/target.ts";
import { CIFAR_CLASSES, readCifar } from "./images/cifar10.ts";
import { readIdxImages } from "./images/idx.ts";
import { readLabelledIdx } from "./images/load-images.ts";
import { encodeImages, type Images, type LabelledImages } from "./images/pixels.ts";
import { buildSamples, FLOAT_BYTES } from "./memory.ts";
import { invalidData, listed, quoted } from "./refuse.ts";
import type { LoadOptions } from "./source.ts";

/** What travels with a model and says how its data is read. */
export type ModelDataSpec = Pick<Dataset, "name" | "task" | "inputShape" | "input" | "target">;

/** The files to read; `labels` is the label file of IDX images. */
export interface ModelFiles {
  readonly files: readonly string[];
  readonly labels: string | null;
}

/** Where to read from, and whether the answers are needed. */
export interface ModelLoadOptions extends LoadOptions {
  readonly purpose: "evaluate" | "predict";
}

/** Samples whose answers are null when only predictions are wanted. */
export type ModelSamples = Omit<Samples, "y"> & { readonly y: Float32Array | null };

/** Rows ready for the model, and what became of those that are not. */
export interface ModelData {
  readonly samples: ModelSamples;
  /** Rows in the files, with the dropped ones. */
  readonly rows: number;
  /** Rows left out and why. */
  readonly dropped: Readonly<Record<string, number>>;
  /** Missing cells filled in, by column. */
  readonly filled: Readonly<Record<string, number>>;
  /** The table as it was read, one row per sample, for output; null for images. */
  readonly raw: {
    readonly header: readonly string[];
    readonly rows: readonly (readonly string[])[];
  } | null;
}

type TableInput = Extract<InputEncoding, { kind: "table" }>;
type GridInput = Extract<InputEncoding, { kind: "grid" }>;

/**
 * Loads the files for this model.
 * @throws {DATA_INVALID} when they do not fit it. @throws {DATA_TOO_LARGE}
 */
export async function loadForModel(
  given: ModelFiles,
  model: ModelDataSpec,
  options: ModelLoadOptions,
): Promise<ModelData> {
  const [file] = given.files;
  if (file === undefined) throw new EsperError("USAGE", "no data file is given; name one");
  if (model.input.kind === "grid") return loadImagesFor(given, model, model.input, options);
  if (given.files.length > 1) {
    throw new EsperError("USAGE", `${given.files.length} files are given; a table is one file`, {
      files: given.files,
    });
  }
  return loadTableFor(file, model, model.input, options);
}

async function loadTableFor(
  file: string,
  model: ModelDataSpec,
  input: TableInput,
  options: ModelLoadOptions,
): Promise<ModelData> {
  const table = await readTable(file, options);
  const chosen = chooseRows(table, model, options.purpose);
  const width = checkWidth(table, model, input.columns);
  const bytes = chosen.rows.length * (width + 1) * FLOAT_BYTES;
  const what = `${chosen.rows.length} rows with ${width} features each`;
  assertWithinBudget(file, what, bytes, options.budgetBytes);
  const filled: FilledCounts = new Map();
  const encodeRow = createRowEncoder(table, input.columns, filled);
  const samples = buildSamples(chosen.rows.length, width, (position, x) => {
    const row = chosen.rows[position] ?? 0;
    encodeRow(row, x);
    return chosen.readTarget?.(row) ?? 0;
  });
  return {
    samples: chosen.readTarget === null ? { ...samples, y: null } : samples,
    rows: table.rows.length,
    dropped:
      chosen.missing > 0 ? { [`missing value in ${model.target.name}`]: chosen.missing } : {},
    filled: Object.fromEntries(filled),
    raw: { header: table.header, rows: chosen.rows.map((row) => table.rows[row] ?? []) },
  };
}

interface ChosenRows {
  readonly rows: readonly number[];
  readonly missing: number;
  readonly readTarget: ((row: number) => number) | null;
}

function chooseRows(
  table: Table,
  model: ModelDataSpec,
  purpose: ModelLoadOptions["purpose"],
): ChosenRows {
  if (purpose === "predict") return { rows: [...table.rows.keys()], missing: 0, readTarget: null };
  const index = findColumn(table, model.target.name);
  const { rows, missing } = rowsWithTarget(table, index);
  if (rows.length === 0) {
    throw invalidData(
      table.path,
      `target ${quoted(model.target.name)}: every value is missing, so nothing can be evaluated`,
    );
  }
  return { rows, missing, readTarget: createTargetReader(table, index, model.target) };
}

function checkWidth(
  table: Table,
  model: ModelDataSpec,
  columns: readonly ColumnEncoding[],
): number {
  const width = encodedWidth(columns);
  if (model.inputShape.length === 1 && model.inputShape[0] === width) return width;
  throw invalidData(
    table.path,
    `the model takes inputs of shape ${model.inputShape.join(" x ")}, its columns make ${width} ` +
      "features; the model's stored encoding does not belong to it",
  );
}

async function loadImagesFor(
  given: ModelFiles,
  model: ModelDataSpec,
  input: GridInput,
  options: ModelLoadOptions,
): Promise<ModelData> {
  const { images, names } = await readImages(given, options);
  if (images.shape.join() !== model.inputShape.join()) {
    throw invalidData(
      images.path,
      `the images are ${images.shape.join(" x ")}, the model takes ${model.inputShape.join(" x ")}`,
      { found: images.shape, expected: model.inputShape },
    );
  }
  const classOf = names === null ? null : createClassReader(images.path, model, names);
  const rows = [...Array(images.count).keys()];
  const samples = encodeImages(images, rows, input, (row) => classOf?.(row) ?? 0);
  return {
    samples: classOf === null ? { ...samples, y: null } : samples,
    rows: images.count,
    dropped: {},
    filled: {},
    raw: null,
  };
}

/** The images, and what gives each image's class by name: null when only predictions are wanted. */
interface NamedImages {
  readonly images: Images;
  readonly names: ((row: number) => string) | null;
}

async function readImages(given: ModelFiles, options: ModelLoadOptions): Promise<NamedImages> {
  const [file = ""] = given.files;
  const predicting = options.purpose === "predict";
  if (extname(file).toLowerCase() === ".bin") {
    const images = await readCifar(given.files, options);
    return { images, names: predicting ? null : namesOf(images, CIFAR_CLASSES) };
  }
  if (given.files.length > 1) {
    throw new EsperError("USAGE", "several files are understood only for CIFAR-10 (.bin)", {
      files: given.files,
    });
  }
  if (predicting) return { images: await readIdxImages(file, options), names: null };
  if (given.labels === null) {
    throw invalidData(file, "IDX images hold no labels; name their IDX file of labels too");
  }
  const images = await readLabelledIdx(file, given.labels, options);
  return { images, names: namesOf(images, null) };
}

/** Class names from label bytes: by the list, or the number itself. */
function namesOf(images: LabelledImages, names: readonly string[] | null) {
  return (row: number): string => {
    const label = images.labels[row] ?? 0;
    return names?.[label] ?? String(label);
  };
}

function createClassReader(
  path: string,
  model: ModelDataSpec,
  nameOf: (row: number) => string,
): (row: number) => number {
  const classes = model.target.kind === "classes" ? model.target.classes : [];
  const places = new Map(classes.map((name, at) => [name, at]));
  return (row) => {
    const name = nameOf(row);
    const place = places.get(name);
    if (place !== undefined) return place;
    throw invalidData(
      path,
      `image ${row + 1}: ${quoted(name)} is not a class of this model; its classes are ` +
        listed(classes),
      { record: row + 1, label: name },
    );
  };
}
