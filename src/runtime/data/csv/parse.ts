/**
 * CSV text to a table of strings, by RFC 4180: comma, quoted fields, header in the first line. A
 * byte order mark and either line ending are taken; inside a quoted field a line ending is read as
 * a single newline. Every row keeps the number of the line it starts on. Never guesses.
 */
import { CsvError, parse } from "csv-parse/sync";
import { invalidData, listed, quoted } from "../refuse.ts";

/** Cells as they stand in the file; nothing is trimmed or read as a number yet. */
export interface Table {
  readonly path: string;
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** The line on which each row starts, counted from 1. */
  readonly lines: readonly number[];
}

/** A longer record is an unclosed quote, not data. */
const MAX_RECORD_CHARACTERS = 4_194_304;

/** @throws {DATA_INVALID} with the line for anything that is not a CSV table with a header. */
export function parseCsv(path: string, bytes: Uint8Array): Table {
  const records: string[][] = [];
  const lines: number[] = [];
  let endLine = 0;
  try {
    parse(decodeText(path, bytes), {
      bom: true,
      record_delimiter: "\n",
      relax_column_count: true,
      skip_empty_lines: true,
      max_record_size: MAX_RECORD_CHARACTERS,
      on_record(record: string[], info) {
        endLine = info.lines;
        records.push(record);
        lines.push(endLine - newlinesIn(record));
        return null;
      },
    });
  } catch (cause) {
    throw explainParseError(path, cause, endLine + 1);
  }
  const header = checkHeader(path, records.shift());
  lines.shift();
  return checkRows({ path, header, rows: records, lines });
}

function decodeText(path: string, bytes: Uint8Array): string {
  if ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)) {
    throw invalidData(path, "the text is UTF-16; save it as UTF-8");
  }
  if (bytes.subarray(0, 4_096).includes(0)) {
    throw invalidData(path, "this is not text: it holds zero bytes; a CSV file in UTF-8 is needed");
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes).replace(/\r\n?/g, "\n");
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw invalidData(path, "the text is not valid UTF-8; save it as UTF-8");
  }
}

function newlinesIn(record: readonly string[]): number {
  let count = 0;
  for (const field of record) {
    for (let at = field.indexOf("\n"); at >= 0; at = field.indexOf("\n", at + 1)) count++;
  }
  return count;
}

/** `startLine` is the line after the last good record. */
function explainParseError(path: string, cause: unknown, startLine: number): unknown {
  if (!(cause instanceof CsvError)) return cause;
  const lineFound: unknown = cause["lines"];
  const endless = ENDLESS[cause.code];
  const line = endless === undefined && typeof lineFound === "number" ? lineFound : startLine;
  const why = endless ?? PARSE_ERRORS[cause.code] ?? cause.message;
  return invalidData(path, `line ${line}: ${why}`, { line, reason: cause.code });
}

/** Found far behind the mistake, so they are reported where the record starts. */
const ENDLESS: Readonly<Record<string, string>> = {
  CSV_QUOTE_NOT_CLOSED: "a quoted field that opens in this row is never closed",
  CSV_MAX_RECORD_SIZE: "this row never ends; look for a quote that is not closed",
};

const PARSE_ERRORS: Readonly<Record<string, string>> = {
  CSV_INVALID_CLOSING_QUOTE:
    "text follows the closing quote of a field; inside a quoted field write a quote as two",
  INVALID_OPENING_QUOTE:
    "a quote stands inside an unquoted field; quote the whole field and write the quote as two",
};

function checkHeader(path: string, record: readonly string[] | undefined): string[] {
  if (record === undefined) throw invalidData(path, "the file holds no header and no rows");
  const header = record.map((name) => name.trim());
  const seen = new Map<string, number>();
  for (const [index, name] of header.entries()) {
    const column = index + 1;
    if (name === "") {
      throw invalidData(path, `line 1: column ${column} has no name; name every column`, {
        column,
      });
    }
    const before = seen.get(name);
    if (before !== undefined) {
      throw invalidData(
        path,
        `line 1: columns ${before} and ${column} are both named ${quoted(name)}; rename one`,
        { name },
      );
    }
    seen.set(name, column);
  }
  refuseOtherSeparator(path, header);
  return header;
}

// A table of one column is fine when only predictions are wanted; one glued together is not.
function refuseOtherSeparator(path: string, header: readonly string[]): void {
  const [only = ""] = header;
  const separator = [";", "\t", "|"].find((candidate) => only.includes(candidate));
  if (header.length > 1 || separator === undefined) return;
  throw invalidData(path, `the columns are separated by ${quoted(separator)}; allowed: a comma`);
}

function checkRows(table: Table): Table {
  const { path, header } = table;
  const rows: (readonly string[])[] = [];
  const lines: number[] = [];
  for (const [index, row] of table.rows.entries()) {
    // A line of spaces ends many exported files and holds nothing.
    if (row.length === 1 && row[0]?.trim() === "") continue;
    const line = table.lines[index] ?? 0;
    if (row.length !== header.length) {
      throw invalidData(
        path,
        `line ${line}: ${row.length} fields found, ${header.length} expected ` +
          `(${listed(header)})`,
        { line, found: row.length, expected: header.length },
      );
    }
    rows.push(row);
    lines.push(line);
  }
  if (rows.length === 0) throw invalidData(path, "there is a header but no row of data");
  return { path, header, rows, lines };
}
