/** Data sets as every part of the product sees them: dense float rows on shared memory. */

export type Task = "classification" | "regression";

/** `x` is [count, ...inputShape] row-major; `y` holds a class index or a scaled target per row. */
export interface Samples {
  readonly count: number;
  readonly x: Float32Array;
  readonly y: Float32Array;
}

/** How one column of the user's table becomes input features. Travels with the model. */
export type ColumnEncoding =
  | {
      readonly kind: "numeric";
      readonly name: string;
      readonly mean: number;
      readonly scale: number;
    }
  | { readonly kind: "categorical"; readonly name: string; readonly values: readonly string[] };

/** How raw input becomes `x`. "grid": every value of an image is (value - mean) / scale. */
export type InputEncoding =
  | { readonly kind: "table"; readonly columns: readonly ColumnEncoding[] }
  | { readonly kind: "grid"; readonly mean: number; readonly scale: number };

/** How the target is read back from the network's output. */
export type TargetEncoding =
  | { readonly kind: "classes"; readonly name: string; readonly classes: readonly string[] }
  | {
      readonly kind: "number";
      readonly name: string;
      readonly mean: number;
      readonly scale: number;
    };

/** What a person is told about the data before training starts. */
export interface DataReport {
  readonly source: string;
  readonly rows: number;
  readonly features: number;
  /** Rows left out and why, e.g. `{ "missing value in age": 3 }`. */
  readonly dropped: Readonly<Record<string, number>>;
  /** Values filled in per column, e.g. `{ "age": 12 }`. */
  readonly filled: Readonly<Record<string, number>>;
  readonly classBalance: Readonly<Record<string, number>> | null;
  readonly notes: readonly string[];
}

/** Rows that are ready for training, split in three parts. */
export interface Dataset {
  readonly name: string;
  readonly task: Task;
  readonly inputShape: readonly number[];
  readonly train: Samples;
  readonly validation: Samples;
  /** Points no gate and no decision ever sees; null when the source has no third part. */
  readonly test: Samples | null;
  readonly input: InputEncoding;
  readonly target: TargetEncoding;
  readonly report: DataReport;
  /** SHA-256 over shapes and values: a resumed run refuses other data. */
  readonly digest: string;
}

/** What the user asked for; stored in the manifest so that a run can be resumed. */
export type DatasetRequest =
  | { readonly kind: "builtin"; readonly name: BuiltinDataset; readonly seed: number }
  | {
      readonly kind: "csv";
      readonly file: string;
      readonly target: string;
      readonly validationShare: number;
      readonly seed: number;
    }
  | {
      readonly kind: "idx";
      readonly images: string;
      readonly labels: string;
      readonly validationShare: number;
      readonly seed: number;
    }
  | {
      readonly kind: "cifar10";
      readonly files: readonly string[];
      readonly validationShare: number;
      readonly seed: number;
    };

/** `parity` has eight bits; the number in the other names is their number of bits. */
export const BUILTIN_DATASETS = [
  "spirals",
  "parity",
  "rings",
  "digits",
  "parity4",
  "parity5",
  "parity6",
  "parity7",
  "parity9",
  "parity10",
] as const;
/** The name of a data set that comes with the product. */
export type BuiltinDataset = (typeof BUILTIN_DATASETS)[number];
