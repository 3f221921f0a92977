/** A CSV file to a data set: read, decide the columns, split, fit on training rows, encode. */
import { basename } from "node:path";
import type {
  ColumnEncoding,
  DataReport,
  Dataset,
  DatasetRequest,
  InputEncoding,
  TargetEncoding,
} from "../../../protocols/dataset.ts";
import { classBalance } from "../balance.ts";
import { assertWithinBudget } from "../budget.ts";
import { digestDataset } from "../digest.ts";
import { buildSamples, FLOAT_BYTES } from "../memory.ts";
import { invalidData, quoted } from "../refuse.ts";
import type { LoadOptions } from "../source.ts";
import { checkShare, type Split, splitRows } from "../split.ts";
import { createRowEncoder, encodedWidth, type FilledCounts } from "./encode.ts";
import { fitColumns } from "./fit.ts";
import type { Table } from "./parse.ts";
import { readTable } from "./read-table.ts";
import {
  createTargetReader,
  fitTarget,
  groupsOf,
  readTarget,
  type TargetColumn,
} from "./target.ts";

type CsvRequest = Extract<DatasetRequest, { kind: "csv" }>;

/** Fewer rows with a target than this cannot be divided and judged. */
const MIN_ROWS = 4;

/** @throws {DATA_INVALID} @throws {DATA_TOO_LARGE} @throws {USAGE} for the validation share. */
export async function loadCsv(request: CsvRequest, options: LoadOptions): Promise<Dataset> {
  checkShare(request.validationShare);
  const table = await readTable(request.file, options);
  if (table.header.length === 1) {
    throw invalidData(
      table.path,
      "there is one column only; a target and at least one feature column are needed",
    );
  }
  const target = readTarget(table, request.target);
  if (target.rows.length < MIN_ROWS) {
    throw invalidData(
      table.path,
      `${target.rows.length} rows have a target; at least ${MIN_ROWS} are needed`,
    );
  }
  const split = divide(table, target, request);
  const fitted = fitColumns(table, target.index, target.rows, split.train);
  const targetEncoding = fitTarget(table, target, split.train);
  const parts = encodeParts(table, target, split, {
    columns: fitted.encodings,
    target: targetEncoding,
    budgetBytes: options.budgetBytes,
  });
  const content = {
    task: target.kind === "number" ? "regression" : "classification",
    inputShape: [encodedWidth(fitted.encodings)],
    train: parts.train,
    validation: parts.validation,
    test: null,
    input: { kind: "table", columns: fitted.encodings } satisfies InputEncoding,
    target: targetEncoding,
  } as const;
  return {
    ...content,
    name: basename(request.file).replace(/\.csv$/i, ""),
    report: report(table, target, parts.filled, fitted),
    digest: digestDataset(content),
  };
}

/** Rows of the table, no longer positions among the rows that have a target. */
function divide(table: Table, target: TargetColumn, request: CsvRequest): Split {
  const split = splitRows(groupsOf(table, target), request);
  const rowAt = (position: number) => target.rows[position] ?? 0;
  if (split.validation.length === 0) {
    throw invalidData(
      table.path,
      `target ${quoted(target.name)}: every class has one row, so none is left for validation; ` +
        "add rows or choose another target",
    );
  }
  return { train: split.train.map(rowAt), validation: split.validation.map(rowAt) };
}

interface Encodings {
  readonly columns: readonly ColumnEncoding[];
  readonly target: TargetEncoding;
  readonly budgetBytes: number;
}

// Both parts go through one encoder, so that `filled` counts the whole file.
function encodeParts(table: Table, target: TargetColumn, split: Split, encodings: Encodings) {
  const width = encodedWidth(encodings.columns);
  const bytes = target.rows.length * (width + 1) * FLOAT_BYTES;
  const what = `${target.rows.length} rows with ${width} features each`;
  assertWithinBudget(table.path, what, bytes, encodings.budgetBytes);
  const filled: FilledCounts = new Map();
  const encodeRow = createRowEncoder(table, encodings.columns, filled);
  const readRow = createTargetReader(table, target.index, encodings.target);
  const encode = (rows: readonly number[]) =>
    buildSamples(rows.length, width, (position, x) => {
      const row = rows[position] ?? 0;
      encodeRow(row, x);
      return readRow(row);
    });
  return { train: encode(split.train), validation: encode(split.validation), filled };
}

function report(
  table: Table,
  target: TargetColumn,
  filled: FilledCounts,
  fitted: { readonly encodings: readonly ColumnEncoding[]; readonly notes: readonly string[] },
): DataReport {
  const groups = groupsOf(table, target);
  const balance = target.kind === "classes" ? classBalance(target.classes, groups) : null;
  return {
    source: table.path,
    rows: table.rows.length,
    features: encodedWidth(fitted.encodings),
    dropped: target.missing > 0 ? { [`missing value in ${target.name}`]: target.missing } : {},
    filled: Object.fromEntries(filled),
    classBalance: balance,
    notes: [
      ...fitted.notes,
      ...fillNotes(fitted.encodings, filled),
      ...targetNotes(target, balance),
    ],
  };
}

function fillNotes(columns: readonly ColumnEncoding[], filled: FilledCounts): string[] {
  return columns.flatMap((column) => {
    const count = filled.get(column.name);
    if (count === undefined) return [];
    const how = column.kind === "numeric" ? "the training mean" : 'the category "(missing)"';
    return [`column ${quoted(column.name)}: ${count} missing values became ${how}`];
  });
}

function targetNotes(
  target: TargetColumn,
  balance: Readonly<Record<string, number>> | null,
): string[] {
  if (balance === null) {
    return [
      `target ${quoted(target.name)} is numeric: regression (for classes, write them as text)`,
    ];
  }
  const single = Object.keys(balance).filter((name) => balance[name] === 1);
  return single.map((name) => `class ${quoted(name)} has one row: it is only in training`);
}
