/**
 * Checkpoints on disk, a piece at a time: writing never holds a second copy of the arrays, and
 * hashing and writing take turns, so that the thread which does it stays responsive. A checkpoint
 * gets its name only after it was read back and found to be what was meant; checking one reads it
 * in constant memory and changes nothing.
 */
import { createHash, type Hash } from "node:crypto";
import { dirname } from "node:path";
import { EsperError } from "../../protocols/errors.ts";
import { layOut } from "./checkpoint.ts";
import {
  type ArrayEntry,
  align,
  bytesOf,
  type Checkpoint,
  type CheckpointFlaw,
  type CheckpointHead,
  DIGEST_BYTES,
  damaged,
  HEADER_BYTES,
  isFlaw,
  readHead,
  readPreamble,
  viewOf,
  zerosFlaw,
} from "./checkpoint-format.ts";
import { crc32c } from "./crc32c.ts";
import { type Files, type OpenFile, removeIfPresent } from "./files.ts";

/** A millisecond or two of work between two turns of the thread. */
const PIECE_BYTES = 1_048_576;

/** What became of a written checkpoint. */
export interface WrittenCheckpoint {
  readonly bytes: number;
  /** Hex; the same for equal checkpoints. */
  readonly digest: string;
}

function* pieces(from: number, to: number): Generator<readonly [from: number, to: number]> {
  for (let at = from; at < to; at += PIECE_BYTES) yield [at, Math.min(to, at + PIECE_BYTES)];
}

/** Hashes and writes in turns; returns the digest. */
async function writeArray(file: OpenFile, array: Uint8Array, offset: number): Promise<string> {
  const hash = createHash("sha256");
  for (const [from, to] of pieces(0, array.byteLength)) {
    const piece = array.subarray(from, to);
    hash.update(piece);
    await file.write(piece, offset + from);
  }
  return hash.digest("hex");
}

async function writeContents(file: OpenFile, checkpoint: Checkpoint): Promise<WrittenCheckpoint> {
  const { entries, start, total, head } = layOut(checkpoint);
  const digests: string[] = [];
  for (const { name, offset } of entries) {
    const array = viewOf(checkpoint.arrays[name] as Checkpoint["arrays"][string]);
    digests.push(await writeArray(file, array, start + offset));
  }
  const first = head(digests);
  const digest = createHash("sha256").update(first).digest();
  // The last array may end before its padding does.
  await file.write(new Uint8Array(digest), total - DIGEST_BYTES);
  await file.write(first, 0);
  return { bytes: total, digest: digest.toString("hex") };
}

/**
 * Writes a checkpoint whole or not at all: into a file beside it, synced, read back, and only then
 * under its name. One writer per path at a time.
 * @throws {STORAGE_FULL} @throws {STORAGE_FAILED} @throws {CHECKPOINT_DIGEST} when what was read
 * back is not what was written; the old file is then still in its place.
 */
export async function writeCheckpoint(
  files: Files,
  path: string,
  checkpoint: Checkpoint,
): Promise<WrittenCheckpoint> {
  const temporary = `${path}.tmp`;
  await removeIfPresent(files, temporary);
  try {
    const written = await writeAndCheck(files, temporary, checkpoint);
    await files.rename(temporary, path);
    await files.syncDirectory(dirname(path));
    return written;
  } catch (error) {
    // The caller must see the first error; a temporary file that stays is removed by a later save.
    await removeIfPresent(files, temporary).catch((left: unknown) => {
      if (!EsperError.is(left)) throw left;
    });
    throw error;
  }
}

async function writeAndCheck(
  files: Files,
  path: string,
  checkpoint: Checkpoint,
): Promise<WrittenCheckpoint> {
  const file = await files.open(path, "create");
  try {
    const written = await writeContents(file, checkpoint);
    await file.sync();
    const checked = await checkFile(file);
    if (isFlaw(checked)) throw damaged(path, checked);
    if (checked.digest === written.digest) return written;
    const why = "another checkpoint was read back than the one that was written";
    const { digest: found } = checked;
    throw damaged(path, { offset: HEADER_BYTES, why, expected: written.digest, found });
  } finally {
    await file.close();
  }
}

/** The head of an open checkpoint, and the digest that stands at its end. */
export interface CheckpointSummary extends CheckpointHead {
  readonly digest: string;
}

/** Reads what stands before and behind the arrays, but not these. */
export async function summarise(file: OpenFile): Promise<CheckpointSummary | CheckpointFlaw> {
  const size = await file.size();
  const preamble = readPreamble(await file.read(0, HEADER_BYTES), size);
  if (isFlaw(preamble)) return preamble;
  const tail = await file.read(size - DIGEST_BYTES, DIGEST_BYTES);
  const head = readHead(await file.read(0, align(preamble.manifestEnd)), size, tail);
  if (isFlaw(head)) return head;
  return { ...head, digest: Buffer.from(tail).toString("hex") };
}

async function checkArray(
  file: OpenFile,
  entry: ArrayEntry,
  head: CheckpointHead,
  whole: Hash | null,
): Promise<CheckpointFlaw | null> {
  const from = head.start + entry.offset;
  const to = from + bytesOf(entry);
  const hash = createHash("sha256");
  let crc = 0;
  for (const [pieceFrom, pieceTo] of pieces(from, to)) {
    const piece = await file.read(pieceFrom, pieceTo - pieceFrom);
    if (head.version === 1) crc = crc32c(piece, crc);
    else hash.update(piece);
    whole?.update(piece);
  }
  const padding = await file.read(to, align(to) - to);
  whole?.update(padding);
  const found = head.version === 1 ? crc : hash.digest("hex");
  if (found !== entry.check) {
    const why = `the digest of the array "${entry.name}" does not match`;
    return { offset: from, why, expected: String(entry.check), found: String(found) };
  }
  return zerosFlaw(padding, to);
}

/** Reads an open checkpoint whole, in constant memory; what is wrong with it, or its summary. */
export async function checkFile(file: OpenFile): Promise<CheckpointSummary | CheckpointFlaw> {
  const summary = await summarise(file);
  if (isFlaw(summary)) return summary;
  const { version, start, entries, digest: expected } = summary;
  // Of later versions it covers the head alone, which `summarise` has judged.
  const whole = version === 1 ? createHash("sha256").update(await file.read(0, start)) : null;
  for (const entry of entries) {
    const flaw = await checkArray(file, entry, summary, whole);
    if (flaw !== null) return flaw;
  }
  const found = whole?.digest("hex") ?? expected;
  if (found === expected) return summary;
  return { offset: HEADER_BYTES, why: "its digest does not match", expected, found };
}

/** What was found at a path; `flaw` is null for an intact checkpoint. */
export interface CheckpointVerdict {
  readonly path: string;
  readonly ok: boolean;
  readonly flaw: CheckpointFlaw | null;
  readonly bytes: number;
  /** Null where the damage hides it. */
  readonly version: number | null;
  readonly digest: string | null;
  readonly step: number | null;
  readonly epoch: number | null;
  readonly runId: string | null;
  readonly arrays: number;
}

function child(value: unknown, key: string): unknown {
  const isRecord = typeof value === "object" && value !== null && Object.hasOwn(value, key);
  return isRecord ? (value as Readonly<Record<string, unknown>>)[key] : undefined;
}

const numberOr = (value: unknown): number | null => (typeof value === "number" ? value : null);

/** What the metadata of a training checkpoint says about itself; null where it does not. */
export function describeMeta(meta: Checkpoint["meta"]): {
  readonly step: number | null;
  readonly epoch: number | null;
  readonly runId: string | null;
} {
  const trainer = meta["trainer"];
  const { runId } = meta;
  return {
    step: numberOr(child(child(trainer, "progress"), "step")),
    epoch: numberOr(child(child(trainer, "cursor"), "epoch")),
    runId: typeof runId === "string" ? runId : null,
  };
}

/**
 * Says whether the file is an intact checkpoint, reading all of it and changing nothing.
 * @throws {STORAGE_FAILED} when it cannot be read; damage is a verdict, not an error.
 */
export async function verifyCheckpoint(files: Files, path: string): Promise<CheckpointVerdict> {
  const { size: bytes, isDirectory } = await files.stat(path);
  const nothing = { version: null, digest: null, step: null, epoch: null, runId: null, arrays: 0 };
  if (isDirectory) {
    const why = "it is a directory";
    const flaw = { offset: 0, why, expected: "a file", found: "a directory" };
    return { path, ok: false, flaw, bytes, ...nothing };
  }
  const file = await files.open(path, "read");
  try {
    const checked = await checkFile(file);
    if (isFlaw(checked)) return { path, ok: false, flaw: checked, bytes, ...nothing };
    const { version, digest, entries, meta } = checked;
    const said = { version, digest, ...describeMeta(meta), arrays: entries.length };
    return { path, ok: true, flaw: null, bytes, ...said };
  } finally {
    await file.close();
  }
}
