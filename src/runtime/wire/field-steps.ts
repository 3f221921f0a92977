/**
 * The codec of declared fields without generated code: one step for each field. It is what a
 * process that forbids code generation uses, what the generated codec asks for the words of a
 * refusal, and what that one is tested against.
 */
import { invariant } from "../../protocols/errors.ts";
import type { BodyCodec } from "./body-codec.ts";
import type { FieldCodec, Fingerprints } from "./field-codec.ts";
import type { FieldPlan, PlannedField } from "./field-plan.ts";
import {
  aligned,
  bitsOfFloat,
  fieldRefusal,
  fits,
  floatOfBits,
  readBytes,
  readText,
  recordRefusal,
  refWords,
  shapeRefusal,
  textBytes,
  textWord,
  writeBytes,
  writeText,
} from "./field-values.ts";
import type { RecordView, WireRef } from "./record-view.ts";

type Payload = Readonly<Record<string, unknown>>;

/** A value as `sizeOf` found it; `word` is its length word. */
interface Sized {
  readonly field: PlannedField;
  readonly value: unknown;
  readonly word: number;
  readonly ref: WireRef | null;
}

/** Where `read` is in the part that varies. */
interface Cursor {
  at: number;
  readonly end: number;
}

export class SteppedCodec implements FieldCodec {
  readonly fixedBytes: number | null;
  readonly #plan: FieldPlan;
  readonly #fingerprints: Fingerprints;
  readonly #names: ReadonlySet<string>;
  /** What `sizeOf` found, for the `write` that follows; empty at any other time. */
  #sized: readonly Sized[] = [];
  #payload: unknown = null;
  #tailBytes = 0;
  #encodings = 0;

  constructor(plan: FieldPlan, fingerprints: Fingerprints) {
    this.#plan = plan;
    this.#fingerprints = fingerprints;
    this.#names = new Set(plan.fields.map(({ name }) => name));
    this.fixedBytes = plan.fixed ? plan.fixedBytes : null;
  }

  sizeOf(payload: unknown, body: BodyCodec): number {
    const values = this.#checkShape(payload);
    const sized = this.#plan.fields.map((field, index) =>
      this.#size(field, index, values[field.name], body),
    );
    let bytes = this.#plan.fixedBytes;
    for (const { field, word } of sized) bytes += aligned(variableBytes(field, word));
    this.#tailBytes = this.#encodeTail(values, body);
    this.#sized = sized;
    this.#payload = payload;
    this.#encodings = body.encodings;
    return bytes + aligned(this.#tailBytes);
  }

  write(payload: unknown, view: RecordView, offset: number, body: BodyCodec): void {
    const inOrder = this.#payload === payload && this.#encodings === body.encodings;
    invariant(inOrder, "a payload is written directly after it was sized");
    const { fixedBytes, presenceWord, presenceWords, tailWord } = this.#plan;
    const base = offset >> 2;
    for (let index = 0; index < presenceWords; index += 1) {
      view.i32[base + presenceWord + index] = 0;
    }
    let at = offset + fixedBytes;
    for (const sized of this.#sized) {
      this.#markPresence(sized, view, base);
      at = writeField(sized, view, offset, at);
    }
    if (tailWord !== -1) {
      view.i32[base + tailWord] = this.#tailBytes;
      body.copyInto(view.u8, at);
    }
    this.#sized = [];
    this.#payload = null;
  }

  read(view: RecordView, offset: number, bytes: number, body: BodyCodec): unknown {
    const { fields, fixedBytes, tailWord } = this.#plan;
    if (bytes < fixedBytes) throw recordRefusal("record", fixedBytes, bytes);
    const cursor = { at: offset + fixedBytes, end: offset + bytes };
    const result: Record<string, unknown> = {};
    for (const field of fields) {
      const present = this.#isPresent(field, view, offset >> 2);
      result[field.name] = present ? readField(field, view, offset, cursor, body) : undefined;
    }
    if (tailWord !== -1) {
      const length = (view.i32[(offset >> 2) + tailWord] ?? 0) >>> 0;
      const at = take(cursor, "anything", length);
      const tail = asTail(body.decode(view.u8, at, length));
      for (const { kind, name } of fields) if (kind === "anything") result[name] = tail[name];
    }
    if (cursor.at !== cursor.end) {
      throw recordRefusal("record", bytes, cursor.at - offset);
    }
    return result;
  }

  #checkShape(payload: unknown): Payload {
    if (typeof payload !== "object" || payload === null) {
      throw shapeRefusal(this.#plan.fields, payload);
    }
    for (const key in payload) {
      if (!this.#names.has(key)) throw shapeRefusal(this.#plan.fields, payload);
    }
    return payload as Payload;
  }

  #size(field: PlannedField, index: number, value: unknown, body: BodyCodec): Sized {
    if (value === undefined && field.bit !== -1) return { field, value, word: 0, ref: null };
    if (!fits(field.kind, value, body.refs)) throw fieldRefusal(field, value);
    if (field.kind === "ref") {
      const expected = this.#fingerprints[index]?.() ?? null;
      return { field, value, word: 0, ref: refWords(field, value as object, body.refs, expected) };
    }
    return { field, value, word: lengthWord(field, value), ref: null };
  }

  /** All `anything` fields travel as one body, by name, so that a refusal tells their path. */
  #encodeTail(values: Payload, body: BodyCodec): number {
    if (this.#plan.tailWord === -1) return 0;
    const tail = this.#plan.fields
      .filter(({ kind }) => kind === "anything")
      .map(({ name }) => [name, values[name]] as const);
    const { start, end } = body.encode(Object.fromEntries(tail));
    return end - start;
  }

  #markPresence({ field, value }: Sized, view: RecordView, base: number): void {
    if (field.bit === -1 || value === undefined) return;
    const word = base + this.#plan.presenceWord + (field.bit >> 5);
    view.i32[word] = (view.i32[word] ?? 0) | (1 << (field.bit & 31));
  }

  #isPresent(field: PlannedField, view: RecordView, base: number): boolean {
    if (field.bit === -1) return true;
    const bits = view.i32[base + this.#plan.presenceWord + (field.bit >> 5)] ?? 0;
    return (bits & (1 << (field.bit & 31))) !== 0;
  }
}

/**
 * The decoded body of all `anything` fields.
 * @throws {FRAME_MALFORMED} when it is no record.
 */
export function asTail(tail: unknown): Payload {
  if (typeof tail === "object" && tail !== null) return tail as Payload;
  throw recordRefusal("record.anything", 0, 0);
}

function lengthWord({ kind }: PlannedField, value: unknown): number {
  if (kind === "text") return textWord(value as string);
  return kind === "bytes" || kind === "borrowed" ? (value as Uint8Array).length : 0;
}

function variableBytes({ kind }: PlannedField, word: number): number {
  if (kind === "text") return textBytes(word);
  return kind === "bytes" || kind === "borrowed" ? word : 0;
}

/** Writes one field; returns where the next part that varies begins. */
function writeField(sized: Sized, view: RecordView, offset: number, at: number): number {
  const { field, value, word } = sized;
  const index = (offset >> 2) + field.word;
  switch (field.kind) {
    case "f64":
      view.f64[index >> 1] = Number(value ?? 0);
      return at;
    case "text":
      view.i32[index] = word;
      return writeText(view.u8, at, String(value ?? ""), word);
    case "bytes":
    case "borrowed":
      view.i32[index] = word;
      return value === undefined ? at : writeBytes(view.u8, at, value as Uint8Array, word);
    case "ref":
      view.i32[index] = sized.ref?.address ?? 0;
      view.i32[index + 1] = sized.ref?.generation ?? 0;
      view.i32[index + 2] = sized.ref?.fingerprint ?? 0;
      return at;
    case "anything":
      return at;
    case "f32":
      view.i32[index] = value === undefined ? 0 : bitsOfFloat(Number(value));
      return at;
    default:
      view.i32[index] = Number(value ?? 0);
      return at;
  }
}

function readField(
  field: PlannedField,
  view: RecordView,
  offset: number,
  cursor: Cursor,
  body: BodyCodec,
): unknown {
  const index = (offset >> 2) + field.word;
  const word = view.i32[index] ?? 0;
  switch (field.kind) {
    case "f64":
      return view.f64[index >> 1];
    case "u32":
      return word >>> 0;
    case "f32":
      return floatOfBits(word);
    case "bool":
      return word !== 0;
    case "text":
      return readText(view.u8, take(cursor, field.name, textBytes(word >>> 0)), word >>> 0);
    case "bytes":
      return readBytes(view.u8, take(cursor, field.name, word >>> 0), word >>> 0);
    case "borrowed": {
      const at = take(cursor, field.name, word >>> 0);
      return view.u8.subarray(at, at + (word >>> 0));
    }
    case "ref":
      return body.refs.fromWire(word, view.i32[index + 1] ?? 0, view.i32[index + 2] ?? 0);
    case "anything":
      return undefined;
    default:
      return word;
  }
}

/** Steps over a part of that many bytes and returns where it begins. */
function take(cursor: Cursor, name: string, bytes: number): number {
  const { at, end } = cursor;
  if (bytes > end - at) throw recordRefusal(`record.${name}`, bytes, end - at);
  cursor.at = at + aligned(bytes);
  return at;
}
