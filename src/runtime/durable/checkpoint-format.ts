/**
 * Where everything lies in a checkpoint's bytes, for writers and readers alike: the header, the
 * JSON manifest, the arrays. Whatever a manifest says is checked against the one layout that a
 * writer could have made, so that no length or offset of a hostile file is ever followed.
 * Little-endian: magic 8 bytes, version u32, manifest length u32, manifest, arrays (each at a
 * multiple of 8), 32 bytes of SHA-256. Version 2 digests the bytes before the arrays, and these
 * hold the digest of each array; version 1 digests everything and knows float arrays alone.
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import { EsperError } from "../../protocols/errors.ts";

/** Numbers of one type; copied in and out bit for bit. */
export type CheckpointArray = Float32Array | Float64Array | Int32Array | Uint8Array;

/** What a checkpoint carries: plain JSON data and arrays by name. */
export interface Checkpoint {
  readonly meta: Readonly<Record<string, unknown>>;
  readonly arrays: Readonly<Record<string, CheckpointArray>>;
}

/** Types of arrays, as manifests and people name them. */
export const ARRAY_TYPES = ["f32", "f64", "i32", "u8"] as const;
export type ArrayType = (typeof ARRAY_TYPES)[number];

const WIDTHS = { f32: 4, f64: 8, i32: 4, u8: 1 } as const satisfies Record<ArrayType, number>;

export const MAX_CHECKPOINT_BYTES = 2 ** 31 - 1;
export const MAX_MANIFEST_BYTES = 64 * 1_048_576;
const MAX_MANIFEST_DEPTH = 64;
export const MAGIC = new TextEncoder().encode("ESPERCKP");
/** What is written today; 1 is still read. */
export const CHECKPOINT_VERSION = 2;
export const HEADER_BYTES = 16;
export const DIGEST_BYTES = 32;
const ALIGNMENT = 8;

/** Where an array lies, counted from the first one, and the checksum it must have. */
export interface ArrayEntry {
  readonly name: string;
  readonly type: ArrayType;
  readonly length: number;
  readonly offset: number;
  /** Hex SHA-256 in version 2, CRC-32C in version 1. */
  readonly check: string | number;
}

/** What stands before the arrays. `start` is the offset of the first array, `total` the size. */
export interface CheckpointHead {
  readonly version: number;
  readonly meta: Checkpoint["meta"];
  readonly entries: readonly ArrayEntry[];
  readonly start: number;
  readonly total: number;
}

const name = z.string();
const count = z.int().nonnegative();
const meta = z.record(z.string(), z.unknown());
const firstSchema = z.strictObject({
  meta,
  arrays: z.array(z.strictObject({ name, length: count, offset: count, crc32c: count })),
});
const secondSchema = z.strictObject({
  meta,
  arrays: z.array(
    z.strictObject({
      name,
      type: z.enum(ARRAY_TYPES),
      length: count,
      offset: count,
      sha256: z.string().regex(/^[0-9a-f]{64}$/),
    }),
  ),
});

export const align = (offset: number): number => Math.ceil(offset / ALIGNMENT) * ALIGNMENT;

export const widthOf = (type: ArrayType): number => WIDTHS[type];

export const bytesOf = (entry: Pick<ArrayEntry, "type" | "length">): number =>
  entry.length * WIDTHS[entry.type];

/** The name of an array's type. */
export function typeOf(array: CheckpointArray): ArrayType {
  if (array instanceof Float32Array) return "f32";
  if (array instanceof Float64Array) return "f64";
  return array instanceof Int32Array ? "i32" : "u8";
}

/** The array's memory, not a copy. */
export function viewOf(array: CheckpointArray): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

/** An array of its own with these bytes. */
export function arrayFrom(type: ArrayType, bytes: Uint8Array): CheckpointArray {
  const own = new Uint8Array(bytes).buffer;
  if (type === "f32") return new Float32Array(own);
  if (type === "f64") return new Float64Array(own);
  return type === "i32" ? new Int32Array(own) : new Uint8Array(own);
}

/** What is wrong with a checkpoint, and where. */
export interface CheckpointFlaw {
  readonly offset: number;
  readonly why: string;
  readonly expected: string;
  readonly found: string;
  /** A later version wrote it: nothing says that anything is wrong with it. */
  readonly newer?: true;
}

/** The error that a flaw becomes for whoever needs the checkpoint. */
export function damaged(path: string, flaw: CheckpointFlaw): EsperError {
  const { offset, why, expected, found } = flaw;
  if (flaw.newer === true) {
    return new EsperError(
      "CHECKPOINT_VERSION",
      `${path} is of format ${found}, and this program reads ${expected}: nothing was changed. ` +
        "Use the version that wrote it, or move it away to go on without it",
      { path, ...flaw },
    );
  }
  return new EsperError(
    "CHECKPOINT_DIGEST",
    `${path} is not an intact checkpoint: ${why} at byte ${offset} ` +
      `(expected ${expected}, found ${found}). Use an earlier checkpoint`,
    { path, ...flaw },
  );
}

/** A whole string, so that brackets inside it do not count, or one bracket. */
const JSON_STRUCTURE = /"[^"\\]*(?:\\.[^"\\]*)*"|[[{]|[\]}]/g;

/** Nesting depth of JSON text, without building any value. */
function jsonDepth(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (const [token] of text.matchAll(JSON_STRUCTURE)) {
    if (token === "{" || token === "[") deepest = Math.max(deepest, ++depth);
    else if (token === "}" || token === "]") depth--;
  }
  return deepest;
}

class PrototypeKey extends Error {}

/** Undefined for what is no JSON, or would name a prototype wherever it is copied. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text, (key, value: unknown) => {
      if (key === "__proto__") throw new PrototypeKey();
      return value;
    });
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof PrototypeKey) return undefined;
    throw error;
  }
}

function entriesOf(version: number, json: unknown) {
  if (version === 1) {
    const parsed = firstSchema.safeParse(json);
    return parsed.success
      ? {
          meta: parsed.data.meta,
          entries: parsed.data.arrays.map(({ crc32c, ...entry }) => ({
            ...entry,
            type: "f32" as const,
            check: crc32c,
          })),
        }
      : null;
  }
  const parsed = secondSchema.safeParse(json);
  if (!parsed.success) return null;
  const entries = parsed.data.arrays.map(({ sha256, ...entry }) => ({ ...entry, check: sha256 }));
  return { meta: parsed.data.meta, entries };
}

/** The first entry that no writer could have put there, or null. */
function badLayout(entries: readonly ArrayEntry[], start: number): CheckpointFlaw | null {
  let offset = 0;
  let before: string | null = null;
  for (const entry of entries) {
    const at = start + offset;
    if (before !== null && entry.name <= before) {
      const why = "two arrays have one name, or are not in order";
      return { offset: at, why, expected: `a name after "${before}"`, found: `"${entry.name}"` };
    }
    if (entry.offset !== offset) {
      const why = `the array "${entry.name}" is not where it must be`;
      return { offset: at, why, expected: String(offset), found: String(entry.offset) };
    }
    if (entry.length > MAX_CHECKPOINT_BYTES) {
      const why = `the array "${entry.name}" is longer than any file`;
      const expected = `at most ${MAX_CHECKPOINT_BYTES}`;
      return { offset: at, why, expected, found: String(entry.length) };
    }
    before = entry.name;
    offset = align(offset + bytesOf(entry));
  }
  return null;
}

/** What the fixed header says: the version and where the manifest ends. */
export interface Preamble {
  readonly version: number;
  readonly manifestEnd: number;
}

/** Reads the first 16 bytes of a file of `size` bytes. */
export function readPreamble(bytes: Uint8Array, size: number): Preamble | CheckpointFlaw {
  if (size < HEADER_BYTES + DIGEST_BYTES || size > MAX_CHECKPOINT_BYTES) {
    const expected = `${HEADER_BYTES + DIGEST_BYTES} to ${MAX_CHECKPOINT_BYTES} bytes`;
    return { offset: size, why: "its size is wrong", expected, found: `${size} bytes` };
  }
  const off = MAGIC.findIndex((byte, index) => bytes[index] !== byte);
  if (off >= 0) {
    const found = JSON.stringify(String.fromCharCode(...bytes.subarray(0, MAGIC.byteLength)));
    return { offset: off, why: "it does not begin like one", expected: '"ESPERCKP"', found };
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  const version = view.getUint32(8, true);
  if (version !== 1 && version !== CHECKPOINT_VERSION) {
    const why = "its format is not one that this program reads";
    const flaw = { offset: 8, why, expected: `1 or ${CHECKPOINT_VERSION}`, found: String(version) };
    return version > CHECKPOINT_VERSION ? { ...flaw, newer: true } : flaw;
  }
  const length = view.getUint32(12, true);
  const most = Math.min(MAX_MANIFEST_BYTES, size - DIGEST_BYTES - HEADER_BYTES);
  if (length > most) {
    const why = "its manifest is too long";
    return { offset: 12, why, expected: `at most ${most} bytes`, found: `${length}` };
  }
  return { version, manifestEnd: HEADER_BYTES + length };
}

/** True for what is wrong; false for what was read. */
export function isFlaw<T extends object>(read: T | CheckpointFlaw): read is CheckpointFlaw {
  return "why" in read;
}

/** What is wrong with bytes that belong to nothing, or null; `from` is where they begin. */
export function zerosFlaw(bytes: Uint8Array, from: number): CheckpointFlaw | null {
  const at = bytes.findIndex((byte) => byte !== 0);
  if (at < 0) return null;
  const why = "there is something where nothing must be";
  return { offset: from + at, why, expected: "0", found: String(bytes[at]) };
}

/** What is wrong with the unused bytes behind something that ends at `end`, or null. */
export function paddingFlaw(bytes: Uint8Array, end: number): CheckpointFlaw | null {
  return zerosFlaw(bytes.subarray(end, align(end)), end);
}

/** Why the bytes before the arrays are not those that were written, or null. */
function wrongHead(bytes: Uint8Array, manifestEnd: number, tail: Uint8Array) {
  const found = createHash("sha256")
    .update(bytes.subarray(0, align(manifestEnd)))
    .digest("hex");
  const expected = Buffer.from(tail).toString("hex");
  if (found === expected) return null;
  return {
    offset: HEADER_BYTES,
    why: "the digest of its manifest does not match",
    expected,
    found,
  };
}

/**
 * Reads everything before the arrays; `bytes` begin with the file and reach to the first array,
 * `tail` are its last 32. What the manifest says counts only once its digest was found right.
 */
export function readHead(
  bytes: Uint8Array,
  size: number,
  tail: Uint8Array,
): CheckpointHead | CheckpointFlaw {
  const preamble = readPreamble(bytes, size);
  if (isFlaw(preamble)) return preamble;
  const { version, manifestEnd } = preamble;
  const wrong = version === 1 ? null : wrongHead(bytes, manifestEnd, tail);
  const head = readManifest(bytes, size, preamble);
  if (wrong === null) return head;
  // Of a file that was cut off the last bytes are not the digest: its length says more.
  const isOfOtherSize = isFlaw(head) && head.offset === size;
  return isOfOtherSize ? { ...head, why: "its length or its manifest is not what it was" } : wrong;
}

function readManifest(
  bytes: Uint8Array,
  size: number,
  { version, manifestEnd }: Preamble,
): CheckpointHead | CheckpointFlaw {
  const text = new TextDecoder().decode(bytes.subarray(HEADER_BYTES, manifestEnd));
  const depth = jsonDepth(text);
  if (depth > MAX_MANIFEST_DEPTH) {
    const why = "its manifest is nested too deep";
    const expected = `at most ${MAX_MANIFEST_DEPTH} levels`;
    return { offset: HEADER_BYTES, why, expected, found: `${depth}` };
  }
  const read = entriesOf(version, parseJson(text));
  if (read === null) {
    const why = "its manifest cannot be read";
    return { offset: HEADER_BYTES, why, expected: "a manifest", found: "something else" };
  }
  const start = align(manifestEnd);
  const flaw = badLayout(read.entries, start) ?? paddingFlaw(bytes, manifestEnd);
  if (flaw !== null) return flaw;
  const last = read.entries.at(-1);
  const arrays = last === undefined ? 0 : align(last.offset + bytesOf(last));
  const total = start + arrays + DIGEST_BYTES;
  if (total !== size) {
    const why = "its arrays do not fill it";
    return { offset: size, why, expected: `${total} bytes`, found: `${size} bytes` };
  }
  return { version, ...read, start, total };
}
