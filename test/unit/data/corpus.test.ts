import { readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { DatasetRequest } from "../../../src/protocols/dataset.ts";
import { type ErrorCode, EsperError } from "../../../src/protocols/errors.ts";
import { loadDataset } from "../../../src/runtime/data/load.ts";
import { systemFiles } from "../../../src/runtime/durable/files.ts";

const FOLDER = new URL("../../corpus/data/", import.meta.url).pathname;
const SPLIT = { validationShare: 0.25, seed: 1 };
const BUDGET_BYTES = 1_000_000;

function csv(file: string, target = "label"): DatasetRequest {
  return { kind: "csv", file: FOLDER + file, target, ...SPLIT };
}

function idx(images: string, labels = "good-labels.idx"): DatasetRequest {
  return { kind: "idx", images: FOLDER + images, labels: FOLDER + labels, ...SPLIT };
}

function cifar(...files: string[]): DatasetRequest {
  return { kind: "cifar10", files: files.map((file) => FOLDER + file), ...SPLIT };
}

/** What each damaged file must be refused with: code, file named, and what the message says. */
const REFUSED: readonly (readonly [string, DatasetRequest, ErrorCode, RegExp])[] = [
  ["empty.csv", csv("empty.csv"), "DATA_INVALID", /the file is empty/],
  ["blank-lines-only.csv", csv("blank-lines-only.csv"), "DATA_INVALID", /no header and no rows/],
  ["header-only.csv", csv("header-only.csv"), "DATA_INVALID", /a header but no row/],
  [
    "ragged-row.csv",
    csv("ragged-row.csv"),
    "DATA_INVALID",
    /line 22: 4 fields found, 3 expected \("a", "b", "label"\)/,
  ],
  [
    "short-row-after-quoted-newline.csv",
    csv("short-row-after-quoted-newline.csv"),
    "DATA_INVALID",
    /line 4: 2 fields found, 3 expected/,
  ],
  [
    "duplicate-header.csv",
    csv("duplicate-header.csv"),
    "DATA_INVALID",
    /columns 1 and 3 are both named "a"/,
  ],
  ["unnamed-column.csv", csv("unnamed-column.csv"), "DATA_INVALID", /column 1 has no name/],
  ["single-column.csv", csv("single-column.csv"), "DATA_INVALID", /one column only/],
  ["semicolons.csv", csv("semicolons.csv"), "DATA_INVALID", /separated by ";"; allowed: a comma/],
  [
    "text-in-numeric-column.csv",
    csv("text-in-numeric-column.csv"),
    "DATA_INVALID",
    /line 41, column "b": "n\/k" is not a finite number, but 39 of 40/,
  ],
  [
    "infinity-in-numeric-column.csv",
    csv("infinity-in-numeric-column.csv"),
    "DATA_INVALID",
    /line 41, column "b": "Infinity" is not a finite number/,
  ],
  [
    "overflowing-number.csv",
    csv("overflowing-number.csv"),
    "DATA_INVALID",
    /line 41, column "b": "1e999" is not a finite number/,
  ],
  [
    "huge-numbers.csv",
    csv("huge-numbers.csv"),
    "DATA_INVALID",
    /column "a" holds numbers too large/,
  ],
  [
    "single-class.csv",
    csv("single-class.csv"),
    "DATA_INVALID",
    /target "label" is "yes" in all 10 rows/,
  ],
  [
    "constant-numeric-target.csv",
    csv("constant-numeric-target.csv"),
    "DATA_INVALID",
    /target "label" is "4.5" in all 10 rows/,
  ],
  [
    "all-targets-missing.csv",
    csv("all-targets-missing.csv"),
    "DATA_INVALID",
    /target "label": every value is missing/,
  ],
  [
    "every-class-once.csv",
    csv("every-class-once.csv"),
    "DATA_INVALID",
    /every class has one row, so none is left for validation/,
  ],
  ["too-few-rows.csv", csv("too-few-rows.csv"), "DATA_INVALID", /3 rows have a target; at least 4/],
  [
    "constant-features.csv",
    csv("constant-features.csv"),
    "DATA_INVALID",
    /no feature column is left.*"a" left out: it has the same.*"b" left out: every value is miss/,
  ],
  [
    "identifier-column.csv",
    csv("identifier-column.csv"),
    "DATA_INVALID",
    /column "id" has more than 256 different texts/,
  ],
  [
    "missing-target-column.csv",
    csv("missing-target-column.csv"),
    "DATA_INVALID",
    /no column "label"; did you mean lable\?; the columns are "age", "income", "lable"/,
  ],
  ["unclosed-quote.csv", csv("unclosed-quote.csv"), "DATA_INVALID", /line 22: .* never closed/],
  ["text-after-quote.csv", csv("text-after-quote.csv"), "DATA_INVALID", /line 2: text follows/],
  [
    "quote-inside-field.csv",
    csv("quote-inside-field.csv"),
    "DATA_INVALID",
    /line 2: a quote stands inside an unquoted field/,
  ],
  ["utf-16.csv", csv("utf-16.csv"), "DATA_INVALID", /UTF-16; save it as UTF-8/],
  ["not-utf-8.csv", csv("not-utf-8.csv"), "DATA_INVALID", /not valid UTF-8/],
  ["binary.csv", csv("binary.csv"), "DATA_INVALID", /not text: it holds zero bytes/],
  [
    "truncated.idx",
    idx("truncated.idx"),
    "DATA_INVALID",
    /cut short: 69 bytes found, 76 expected for 10 x 3 x 2/,
  ],
  [
    "trailing.idx",
    idx("trailing.idx"),
    "DATA_INVALID",
    /longer than its header says: 78 bytes found, 76 expected/,
  ],
  [
    "short-header.idx",
    idx("short-header.idx"),
    "DATA_INVALID",
    /header is cut short: 9 bytes found, 16 expected/,
  ],
  ["no-magic.idx", idx("no-magic.idx"), "DATA_INVALID", /starts with 01 02 03 04, expected 00 00/],
  ["float-values.idx", idx("float-values.idx"), "DATA_INVALID", /32-bit floats; allowed: unsigned/],
  ["flat-images.idx", idx("flat-images.idx"), "DATA_INVALID", /has 2 dimensions; expected images/],
  ["zero-extent.idx", idx("zero-extent.idx"), "DATA_INVALID", /10 x 0 x 2; none may be 0/],
  ["channels-first.idx", idx("channels-first.idx"), "DATA_INVALID", /the last must be 1 to 4/],
  ["announces-gigabytes.idx", idx("announces-gigabytes.idx"), "DATA_TOO_LARGE", /4294967295 x/],
  [
    "nine-labels.idx",
    idx("good-images.idx", "nine-labels.idx"),
    "DATA_INVALID",
    /9 labels for 10 images/,
  ],
  [
    "one-label.idx",
    idx("good-images.idx", "one-label.idx"),
    "DATA_INVALID",
    /all 10 images have the label "3"/,
  ],
  [
    "labels-with-two-dimensions.idx",
    idx("good-images.idx", "labels-with-two-dimensions.idx"),
    "DATA_INVALID",
    /has 2 dimensions; expected labels: 1/,
  ],
  ["blank-images.idx", idx("blank-images.idx"), "DATA_INVALID", /all pixels .* are the same/],
  ["cut.idx.gz", idx("cut.idx.gz"), "DATA_INVALID", /damaged or cut short/],
  ["damaged.idx.gz", idx("damaged.idx.gz"), "DATA_INVALID", /damaged or cut short/],
  ["bomb.idx.gz", idx("bomb.idx.gz"), "DATA_TOO_LARGE", /unpacks to more than the budget/],
  ["cut-cifar.bin", cifar("cut-cifar.bin"), "DATA_INVALID", /6046 bytes are not a whole number/],
  [
    "label-ten-cifar.bin",
    cifar("good-cifar.bin", "label-ten-cifar.bin"),
    "DATA_INVALID",
    /label-ten-cifar.bin: record 2: label 10 is not allowed/,
  ],
  ["one-class-cifar.bin", cifar("one-class-cifar.bin"), "DATA_INVALID", /the label "deer"/],
];

const ACCEPTED: readonly (readonly [string, DatasetRequest, readonly number[]])[] = [
  ["good-bom-crlf-quoted.csv", csv("good-bom-crlf-quoted.csv", 'the "label"'), [4]],
  ["good-images.idx", idx("good-images.idx"), [3, 2, 1]],
  ["good-labels.idx", idx("good-images.idx"), [3, 2, 1]],
  ["good-images.idx.gz", idx("good-images.idx.gz"), [3, 2, 1]],
  ["good-colour.idx", idx("good-colour.idx"), [1, 2, 3]],
  ["good-cifar.bin", cifar("good-cifar.bin"), [32, 32, 3]],
];

const options = { files: systemFiles, budgetBytes: BUDGET_BYTES };

async function refusal(request: DatasetRequest): Promise<EsperError> {
  const error: unknown = await loadDataset(request, options).catch((thrown: unknown) => thrown);
  if (!EsperError.is(error)) throw new Error(`not refused with a coded error: ${String(error)}`);
  return error;
}

describe("the corpus of data files", () => {
  it("has an expectation for every file and a file for every expectation", () => {
    const expected = [...REFUSED, ...ACCEPTED].map(([file]) => file);
    expect([...expected].sort()).toEqual(readdirSync(FOLDER).sort());
  });

  it.each(REFUSED)("refuses %s", async (_file, request, code, message) => {
    const error = await refusal(request);
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    expect(error.message).toContain(FOLDER);
    expect(error.message.startsWith(String(error.details["path"]))).toBe(true);
  });

  it.each(ACCEPTED)("loads %s", async (_file, request, inputShape) => {
    const data = await loadDataset(request, options);
    expect(data.inputShape).toEqual(inputShape);
    expect(data.train.count).toBeGreaterThan(0);
    expect(data.validation.count).toBeGreaterThan(0);
    expect([...data.train.x, ...data.validation.x].every(Number.isFinite)).toBe(true);
  });
});
