/**
 * A checkpoint as bytes: a JSON manifest and named arrays, all under SHA-256. Data only: nothing in
 * it is ever run. Reading checks size, layout, depth and digests before any value is handed out, so
 * damaged or hostile bytes end in CHECKPOINT_DIGEST and nothing else. Equal contents give equal
 * bytes. Whoever has a thread to keep free writes with `checkpoint-file.ts` instead.
 */
import { createHash } from "node:crypto";
import { type EsperError, invariant } from "../../protocols/errors.ts";
import {
  type ArrayEntry,
  align,
  arrayFrom,
  bytesOf,
  CHECKPOINT_VERSION,
  type Checkpoint,
  type CheckpointFlaw,
  type CheckpointHead,
  DIGEST_BYTES,
  damaged,
  HEADER_BYTES,
  isFlaw,
  MAGIC,
  MAX_CHECKPOINT_BYTES,
  MAX_MANIFEST_BYTES,
  paddingFlaw,
  readHead,
  typeOf,
  viewOf,
} from "./checkpoint-format.ts";
import { crc32c } from "./crc32c.ts";

export type { Checkpoint, CheckpointArray } from "./checkpoint-format.ts";

/** Hex SHA-256 of the bytes. */
export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** JSON would turn these into null without a word. */
function refuseNonFinite(key: string, value: unknown): unknown {
  invariant(
    typeof value !== "number" || Number.isFinite(value),
    `checkpoint data is JSON, but "${key}" is ${String(value)}`,
  );
  return value;
}

/** Where everything goes; the digests are not known yet, but their length is. */
export interface Layout {
  readonly entries: readonly ArrayEntry[];
  readonly start: number;
  readonly total: number;
  /** The bytes before the arrays, with the digest of each array in the order of `entries`. */
  head(digests: readonly string[]): Uint8Array;
}

/** Lays a checkpoint out, without looking at what is in its arrays. */
export function layOut({ meta, arrays }: Checkpoint): Layout {
  let offset = 0;
  const entries = Object.keys(arrays)
    .sort()
    .map((name): ArrayEntry => {
      const array = arrays[name] as Checkpoint["arrays"][string];
      const at = offset;
      offset = align(offset + array.byteLength);
      return { name, type: typeOf(array), length: array.length, offset: at, check: "" };
    });
  const encode = (digests: readonly string[]): Uint8Array => {
    const listed = entries.map(({ name, type, length, offset: at }, index) => {
      return { name, type, length, offset: at, sha256: digests[index] };
    });
    return new TextEncoder().encode(JSON.stringify({ meta, arrays: listed }, refuseNonFinite));
  };
  const blank = "0".repeat(2 * DIGEST_BYTES);
  const manifestBytes = encode(entries.map(() => blank)).byteLength;
  const start = align(HEADER_BYTES + manifestBytes);
  const total = start + offset + DIGEST_BYTES;
  invariant(
    manifestBytes <= MAX_MANIFEST_BYTES && total <= MAX_CHECKPOINT_BYTES,
    `a checkpoint of ${total} bytes is within the limit`,
  );
  const head = (digests: readonly string[]): Uint8Array => {
    const bytes = new Uint8Array(start);
    const view = new DataView(bytes.buffer);
    bytes.set(MAGIC);
    view.setUint32(8, CHECKPOINT_VERSION, true);
    view.setUint32(12, manifestBytes, true);
    bytes.set(encode(digests), HEADER_BYTES);
    return bytes;
  };
  return { entries, start, total, head };
}

/** The whole container at once. */
export function encodeCheckpoint(checkpoint: Checkpoint): Uint8Array {
  const { entries, start, total, head } = layOut(checkpoint);
  const arrays = entries.map(({ name }) => {
    return viewOf(checkpoint.arrays[name] as Checkpoint["arrays"][string]);
  });
  const target = new Uint8Array(total);
  const first = head(arrays.map(sha256));
  target.set(first);
  entries.forEach((entry, index) => {
    target.set(arrays[index] as Uint8Array, start + entry.offset);
  });
  target.set(createHash("sha256").update(first).digest(), total - DIGEST_BYTES);
  return target;
}

/** What is wrong with an array's bytes, or null. */
function arrayFlaw(bytes: Uint8Array, entry: ArrayEntry, start: number): CheckpointFlaw | null {
  const from = start + entry.offset;
  const to = from + bytesOf(entry);
  const array = bytes.subarray(from, to);
  const found = typeof entry.check === "number" ? crc32c(array) : sha256(array);
  if (found === entry.check) return paddingFlaw(bytes, to);
  const why = `the digest of the array "${entry.name}" does not match`;
  return { offset: from, why, expected: String(entry.check), found: String(found) };
}

/** What is wrong with a file whose head makes sense, or null. */
function contentFlaw(bytes: Uint8Array, head: CheckpointHead): CheckpointFlaw | null {
  const { version, entries, start, total } = head;
  for (const entry of entries) {
    const flaw = arrayFlaw(bytes, entry, start);
    if (flaw !== null) return flaw;
  }
  if (version !== 1) return null;
  // Of later versions it covers the head alone, which was judged before.
  const digestAt = total - DIGEST_BYTES;
  const found = sha256(bytes.subarray(0, digestAt));
  const expected = Buffer.from(bytes.subarray(digestAt)).toString("hex");
  const why = "its digest does not match";
  return found === expected ? null : { offset: HEADER_BYTES, why, expected, found };
}

/** The head of intact bytes, or what is wrong with them. */
export function inspectCheckpoint(bytes: Uint8Array): CheckpointHead | CheckpointFlaw {
  const tail = bytes.subarray(Math.max(0, bytes.byteLength - DIGEST_BYTES));
  const head = readHead(bytes, bytes.byteLength, tail);
  return isFlaw(head) ? head : (contentFlaw(bytes, head) ?? head);
}

/**
 * The inverse of `encodeCheckpoint`, for every version there ever was. `path` is only for the
 * message.
 * @throws {CHECKPOINT_DIGEST} naming file, offset, expected and found when it is not intact.
 * @throws {CHECKPOINT_VERSION} when a later version wrote it.
 */
export function decodeCheckpoint(bytes: Uint8Array, path: string): Checkpoint {
  const head = inspectCheckpoint(bytes);
  if (isFlaw(head)) throw damaged(path, head) satisfies EsperError;
  const arrays = head.entries.map((entry) => {
    const from = head.start + entry.offset;
    return [
      entry.name,
      arrayFrom(entry.type, bytes.subarray(from, from + bytesOf(entry))),
    ] as const;
  });
  return { meta: head.meta, arrays: Object.fromEntries(arrays) };
}
