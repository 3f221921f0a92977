/**
 * The checkpoint container: a JSON manifest and named float arrays under one SHA-256 digest. Data
 * only: nothing in it is ever run. Reading checks size, digest, depth and bounds before any value
 * is handed out, so damaged or hostile bytes end in CHECKPOINT_DIGEST and nothing else.
 * Layout, little-endian: magic 8 bytes, version u32, manifest length u32, manifest, arrays (each
 * at a multiple of 8), SHA-256 of all before it.
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import { EsperError, invariant } from "../../protocols/errors.ts";
import { crc32c } from "./crc32c.ts";

/** What a checkpoint carries: plain JSON data and arrays by name. */
export interface Checkpoint {
  readonly meta: Readonly<Record<string, unknown>>;
  readonly arrays: Readonly<Record<string, Float32Array>>;
}

export const MAX_CHECKPOINT_BYTES = 2 ** 31 - 1;
const MAX_MANIFEST_BYTES = 64 * 1_048_576;
const MAX_MANIFEST_DEPTH = 64;
const MAGIC = new TextEncoder().encode("ESPERCKP");
const CONTAINER_VERSION = 1;
const HEADER_BYTES = 16;
const DIGEST_BYTES = 32;
const ALIGNMENT = 8;

const manifestSchema = z.strictObject({
  meta: z.record(z.string(), z.unknown()),
  arrays: z.array(
    z.strictObject({
      name: z.string(),
      length: z.int().nonnegative(),
      offset: z.int().nonnegative(),
      crc32c: z.int().nonnegative(),
    }),
  ),
});
type Manifest = z.infer<typeof manifestSchema>;
type ArrayEntry = Manifest["arrays"][number];

const align = (offset: number): number => Math.ceil(offset / ALIGNMENT) * ALIGNMENT;

/** JSON would turn these into null without a word. */
function refuseNonFinite(key: string, value: unknown): unknown {
  invariant(
    typeof value !== "number" || Number.isFinite(value),
    `checkpoint data is JSON, but "${key}" is ${String(value)}`,
  );
  return value;
}

function bytesOf(array: Float32Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

/** The arrays by name, so that equal checkpoints have equal bytes. */
function layOut(arrays: Checkpoint["arrays"]): { entries: ArrayEntry[]; bytes: number } {
  let offset = 0;
  const entries = Object.keys(arrays)
    .sort()
    .map((name) => {
      const array = arrays[name] as Float32Array;
      const at = offset;
      offset = align(offset + array.byteLength);
      return { name, length: array.length, offset: at, crc32c: crc32c(bytesOf(array)) };
    });
  return { entries, bytes: offset };
}

/** The container's bytes; equal contents give equal bytes. */
export function encodeCheckpoint(checkpoint: Checkpoint): Uint8Array {
  const { meta, arrays } = checkpoint;
  const { entries, bytes } = layOut(arrays);
  const json = JSON.stringify({ meta, arrays: entries }, refuseNonFinite);
  const manifest = new TextEncoder().encode(json);
  const start = align(HEADER_BYTES + manifest.byteLength);
  const total = start + bytes + DIGEST_BYTES;
  invariant(
    manifest.byteLength <= MAX_MANIFEST_BYTES && total <= MAX_CHECKPOINT_BYTES,
    `a checkpoint of ${total} bytes is within the limit`,
  );
  const target = new Uint8Array(total);
  const view = new DataView(target.buffer);
  target.set(MAGIC);
  view.setUint32(8, CONTAINER_VERSION, true);
  view.setUint32(12, manifest.byteLength, true);
  target.set(manifest, HEADER_BYTES);
  for (const { name, offset } of entries) {
    target.set(bytesOf(arrays[name] as Float32Array), start + offset);
  }
  target.set(digestOf(target.subarray(0, total - DIGEST_BYTES)), total - DIGEST_BYTES);
  return target;
}

function digestOf(bytes: Uint8Array): Uint8Array {
  return createHash("sha256").update(bytes).digest();
}

function damaged(path: string, offset: number, why: string): EsperError {
  return new EsperError(
    "CHECKPOINT_DIGEST",
    `${path} is not an intact checkpoint: ${why} (byte ${offset}). Use an earlier checkpoint`,
    { path, offset, why },
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

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function readManifest(bytes: Uint8Array, path: string): { manifest: Manifest; start: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getUint32(12, true);
  const end = HEADER_BYTES + length;
  if (length > MAX_MANIFEST_BYTES || end > bytes.byteLength - DIGEST_BYTES) {
    throw damaged(path, 12, `its manifest cannot have ${length} bytes`);
  }
  const text = new TextDecoder().decode(bytes.subarray(HEADER_BYTES, end));
  if (jsonDepth(text) > MAX_MANIFEST_DEPTH) {
    throw damaged(path, HEADER_BYTES, `its manifest is nested deeper than ${MAX_MANIFEST_DEPTH}`);
  }
  const parsed = manifestSchema.safeParse(parseJson(text));
  if (!parsed.success) throw damaged(path, HEADER_BYTES, "its manifest cannot be read");
  return { manifest: parsed.data, start: align(end) };
}

/** Where the damage is, as near as the checksums inside can tell. */
function locateDamage(bytes: Uint8Array, path: string): EsperError {
  const why = "its digest does not match";
  const { manifest, start } = readManifest(bytes, path);
  for (const { offset, length, crc32c: expected } of manifest.arrays) {
    const from = start + offset;
    const array = bytes.subarray(from, from + length * Float32Array.BYTES_PER_ELEMENT);
    if (crc32c(array) !== expected) return damaged(path, from, why);
  }
  return damaged(path, HEADER_BYTES, why);
}

function readArray(bytes: Uint8Array, entry: ArrayEntry, start: number, path: string) {
  const from = start + entry.offset;
  const to = from + entry.length * Float32Array.BYTES_PER_ELEMENT;
  if (to > bytes.byteLength - DIGEST_BYTES) {
    throw damaged(path, from, `the array "${entry.name}" does not fit into the file`);
  }
  // Copied: an array of its own is aligned, and the caller's bytes may be reused.
  return new Float32Array(new Uint8Array(bytes.subarray(from, to)).buffer);
}

/**
 * The inverse of `encodeCheckpoint`. `path` is only for the message.
 * @throws {CHECKPOINT_DIGEST} naming the file and the offset when the bytes are not intact.
 */
export function decodeCheckpoint(bytes: Uint8Array, path: string): Checkpoint {
  const { byteLength } = bytes;
  if (byteLength < HEADER_BYTES + DIGEST_BYTES || byteLength > MAX_CHECKPOINT_BYTES) {
    throw damaged(path, byteLength, `it cannot have ${byteLength} bytes`);
  }
  if (!MAGIC.every((byte, index) => bytes[index] === byte)) {
    throw damaged(path, 0, "it does not begin like a checkpoint");
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, byteLength);
  const version = view.getUint32(8, true);
  if (version !== CONTAINER_VERSION) {
    throw damaged(path, 8, `its format is ${version}, and this program reads ${CONTAINER_VERSION}`);
  }
  const body = bytes.subarray(0, byteLength - DIGEST_BYTES);
  const digest = bytes.subarray(byteLength - DIGEST_BYTES);
  if (!digestOf(body).every((byte, index) => digest[index] === byte)) {
    throw locateDamage(bytes, path);
  }
  const { manifest, start } = readManifest(bytes, path);
  const arrays = manifest.arrays.map(
    (entry) => [entry.name, readArray(bytes, entry, start, path)] as const,
  );
  return { meta: manifest.meta, arrays: Object.fromEntries(arrays) };
}
