/**
 * What a record of a log with an outbox says, as bytes: one or more statements that became true
 * together. A payload of the first version is one plain entry: u16 length of the id, id, bytes.
 * Version 2 begins with a length of zero, which no such id has, and the version; little-endian.
 * The time of a statement is the time of its record.
 */
import { EsperError } from "../../protocols/errors.ts";
import { LANES, type Lane } from "../../protocols/protocol.ts";

/** How often something happened to the entries of one lane, since the log began. */
export interface LaneTotals {
  readonly accepted: number;
  readonly acknowledged: number;
  readonly retries: number;
  readonly dead: number;
}

/** Something that is kept under an id; with a lane it also waits to be sent. */
export interface EntryStatement {
  readonly kind: "entry";
  readonly id: string;
  /** Null: a record that nobody waits for. */
  readonly lane: Lane | null;
  readonly subject: string;
  readonly payload: Uint8Array;
}

/** One thing that a record says. */
export type Statement =
  | EntryStatement
  | { readonly kind: "acknowledged"; readonly ids: readonly string[] }
  | {
      readonly kind: "failed";
      readonly id: string;
      readonly attempts: number;
      readonly why: string;
    }
  | { readonly kind: "dead"; readonly ids: readonly string[]; readonly why: string }
  /** The newest value under a key counts; null takes the key away. */
  | { readonly kind: "note"; readonly key: string; readonly bytes: Uint8Array | null }
  /** The counters as they stand here; they and the notes behind them replace all before. */
  | { readonly kind: "totals"; readonly lanes: Readonly<Record<Lane, LaneTotals>> };

/** Longest id, subject, key or reason in bytes. */
export const TEXT_BYTES_MAX = 1_024;

const VERSION = 2;
const KINDS = { entry: 1, acknowledged: 2, failed: 3, dead: 4, note: 5, totals: 6 } as const;
const FIRST_BYTES = 4_096;
const SHORT_TEXT = 128;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Bytes that grow; reused from record to record, so that only the result is allocated. */
class Writer {
  #bytes = new Uint8Array(FIRST_BYTES);
  #view = new DataView(this.#bytes.buffer);
  #at = 0;

  begin(): void {
    this.#at = 0;
  }

  #reserve(count: number): void {
    const needed = this.#at + count;
    if (needed <= this.#bytes.byteLength) return;
    const larger = new Uint8Array(2 * needed);
    larger.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer);
  }

  u8(value: number): void {
    this.#reserve(1);
    this.#view.setUint8(this.#at, value);
    this.#at += 1;
  }

  u16(value: number): void {
    this.#reserve(2);
    this.#view.setUint16(this.#at, value, true);
    this.#at += 2;
  }

  u32(value: number): void {
    this.#reserve(4);
    this.#view.setUint32(this.#at, value, true);
    this.#at += 4;
  }

  f64(value: number): void {
    this.#reserve(8);
    this.#view.setFloat64(this.#at, value, true);
    this.#at += 8;
  }

  /** u16 length and UTF-8. */
  text(value: string, what: string): void {
    this.#reserve(2 + 3 * value.length);
    if (value.length <= SHORT_TEXT && this.#plain(value)) return;
    const { written } = encoder.encodeInto(value, this.#bytes.subarray(this.#at + 2));
    if (written > TEXT_BYTES_MAX) throw textTooLong(what, written);
    this.#view.setUint16(this.#at, written, true);
    this.#at += 2 + written;
  }

  /** Most texts are short and plain: a loop beats the encoder. False when this one is not. */
  #plain(value: string): boolean {
    const from = this.#at + 2;
    for (let index = 0; index < value.length; index++) {
      const code = value.charCodeAt(index);
      if (code >= 0x80) return false;
      this.#bytes[from + index] = code;
    }
    this.#view.setUint16(this.#at, value.length, true);
    this.#at = from + value.length;
    return true;
  }

  texts(values: readonly string[], what: string): void {
    this.u32(values.length);
    for (const value of values) this.text(value, what);
  }

  /** u32 length and the bytes. */
  block(value: Uint8Array): void {
    this.u32(value.byteLength);
    this.#reserve(value.byteLength);
    this.#bytes.set(value, this.#at);
    this.#at += value.byteLength;
  }

  /** Good until the next `begin`. */
  end(): Uint8Array {
    return this.#bytes.subarray(0, this.#at);
  }
}

function textTooLong(what: string, found: number): EsperError {
  return new EsperError(
    "FRAME_MALFORMED",
    `${what} of ${found} bytes is not allowed: give at most ${TEXT_BYTES_MAX}`,
    { what, bytes: found, allowed: TEXT_BYTES_MAX },
  );
}

function writeTotals(writer: Writer, lanes: Readonly<Record<Lane, LaneTotals>>): void {
  for (const lane of LANES) {
    const { accepted, acknowledged, retries, dead } = lanes[lane];
    for (const count of [accepted, acknowledged, retries, dead]) writer.f64(count);
  }
}

function write(writer: Writer, statement: Statement): void {
  writer.u8(KINDS[statement.kind]);
  switch (statement.kind) {
    case "entry":
      writer.u8(statement.lane === null ? 0 : LANES.indexOf(statement.lane) + 1);
      writer.text(statement.id, "a record id");
      writer.text(statement.subject, "a subject");
      writer.block(statement.payload);
      break;
    case "acknowledged":
      writer.texts(statement.ids, "a record id");
      break;
    case "failed":
      writer.text(statement.id, "a record id");
      writer.u32(statement.attempts);
      writer.text(statement.why, "a reason");
      break;
    case "dead":
      writer.texts(statement.ids, "a record id");
      writer.text(statement.why, "a reason");
      break;
    case "note":
      writer.text(statement.key, "a key");
      writer.u8(statement.bytes === null ? 0 : 1);
      if (statement.bytes !== null) writer.block(statement.bytes);
      break;
    case "totals":
      writeTotals(writer, statement.lanes);
  }
}

const shared = new Writer();

/** @throws {FRAME_MALFORMED} when an id, subject, key or reason is longer than 1,024 bytes. */
export function encodeStatements(statements: readonly Statement[]): Uint8Array {
  return encodeForNow(statements).slice();
}

/** @throws {FRAME_MALFORMED} unless the text may stand in a record. */
export function checkText(value: string, what: string): void {
  if (3 * value.length <= TEXT_BYTES_MAX) return;
  const bytes = Buffer.byteLength(value);
  if (bytes > TEXT_BYTES_MAX) throw textTooLong(what, bytes);
}

/** As `encodeStatements`, without a copy: what it returns is good until this is called again. */
export function encodeForNow(statements: readonly Statement[]): Uint8Array {
  shared.begin();
  shared.u16(0);
  shared.u8(VERSION);
  for (const statement of statements) write(shared, statement);
  return shared.end();
}

function malformed(why: string, offset: number, expected: string, found: string): EsperError {
  return new EsperError(
    "FRAME_MALFORMED",
    `a record of the log cannot be understood at byte ${offset}: ${why} ` +
      `(expected ${expected}, found ${found})`,
    { offset, why, expected, found },
  );
}

/** Reads what `Writer` wrote; never beyond the end. */
class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get ended(): boolean {
    return this.at >= this.#bytes.byteLength;
  }

  #take(count: number): number {
    const from = this.at;
    const left = this.#bytes.byteLength - from;
    if (count > left) throw malformed("it ends too early", from, `${count} bytes`, `${left}`);
    this.at += count;
    return from;
  }

  u8 = (): number => this.#view.getUint8(this.#take(1));
  u16 = (): number => this.#view.getUint16(this.#take(2), true);
  u32 = (): number => this.#view.getUint32(this.#take(4), true);
  f64 = (): number => this.#view.getFloat64(this.#take(8), true);

  slice(count: number): Uint8Array {
    const from = this.#take(count);
    return this.#bytes.slice(from, from + count);
  }

  text(): string {
    const count = this.u16();
    const from = this.#take(count);
    return decoder.decode(this.#bytes.subarray(from, from + count));
  }

  texts(): string[] {
    const count = this.u32();
    // Every text takes two bytes at least: a count that lies must not make room for nothing.
    const most = Math.floor((this.#bytes.byteLength - this.at) / 2);
    if (count > most) throw malformed("a list is too long", this.at, `${most} at most`, `${count}`);
    return Array.from({ length: count }, () => this.text());
  }
}

function readLane(reader: Reader): Lane | null {
  const number = reader.u8();
  if (number === 0) return null;
  const lane = LANES[number - 1];
  if (lane !== undefined) return lane;
  throw malformed("there is no such lane", reader.at - 1, `0 to ${LANES.length}`, `${number}`);
}

function readTotals(reader: Reader): Record<Lane, LaneTotals> {
  const totals = (): LaneTotals => ({
    accepted: reader.f64(),
    acknowledged: reader.f64(),
    retries: reader.f64(),
    dead: reader.f64(),
  });
  // In the order of LANES.
  return { system: totals(), emergency: totals(), control: totals(), bulk: totals() };
}

function readStatement(reader: Reader): Statement {
  const kind = reader.u8();
  switch (kind) {
    case KINDS.entry: {
      const lane = readLane(reader);
      const id = reader.text();
      const subject = reader.text();
      return { kind: "entry", id, lane, subject, payload: reader.slice(reader.u32()) };
    }
    case KINDS.acknowledged:
      return { kind: "acknowledged", ids: reader.texts() };
    case KINDS.failed:
      return { kind: "failed", id: reader.text(), attempts: reader.u32(), why: reader.text() };
    case KINDS.dead:
      return { kind: "dead", ids: reader.texts(), why: reader.text() };
    case KINDS.note: {
      const key = reader.text();
      return { kind: "note", key, bytes: reader.u8() === 0 ? null : reader.slice(reader.u32()) };
    }
    case KINDS.totals:
      return { kind: "totals", lanes: readTotals(reader) };
    default:
      throw malformed("there is no such statement", reader.at - 1, "1 to 6", `${kind}`);
  }
}

/** The inverse of `encodeStatements`; reads the first version too. @throws {FRAME_MALFORMED} */
export function decodeStatements(payload: Uint8Array): readonly Statement[] {
  const reader = new Reader(payload);
  const idBytes = reader.u16();
  if (idBytes > 0) {
    const id = decoder.decode(reader.slice(idBytes));
    const rest = reader.slice(payload.byteLength - reader.at);
    return [{ kind: "entry", id, lane: null, subject: "", payload: rest }];
  }
  const version = reader.u8();
  if (version !== VERSION) {
    throw malformed("it is of another version", 2, `version 1 or ${VERSION}`, `${version}`);
  }
  const statements: Statement[] = [];
  while (!reader.ended) statements.push(readStatement(reader));
  return statements;
}
