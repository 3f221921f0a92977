/**
 * The harm that a soak does to a log between two writers: a tail that a power failure cut short,
 * and a single flipped bit. Says from the records' own bytes what must survive it, without asking
 * the log's reader.
 */
import { join } from "node:path";
import type { Files } from "../durable/files.ts";
import type { Random } from "../random.ts";
import { soakRecord } from "./soak-record.ts";

const SEGMENT = /^\d{16}\.wal$/;
const SECTOR_BYTES = 512;
const MAX_ZERO_SECTORS = 4;

/** Writes anew what a file holds, in place: this is a disk's doing, not a program's. */
async function overwrite(files: Files, path: string, bytes: Uint8Array): Promise<void> {
  const file = await files.open(path, "write");
  try {
    await file.truncate(bytes.byteLength);
    await file.write(bytes, 0);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** The segments of a log, oldest first. */
async function segmentsOf(files: Files, directory: string): Promise<string[]> {
  const names = await files.list(directory);
  return names.filter((name) => SEGMENT.test(name)).map((name) => join(directory, name));
}

/** Where the payload of this id ends in the bytes; null when it is not there. */
function endOf(bytes: Uint8Array, seed: number, id: number): number | null {
  const { payload } = soakRecord(seed, id);
  const at = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).indexOf(payload);
  return at < 0 ? null : at + payload.byteLength;
}

/** Cuts the log off behind `owed`, and sometimes leaves sectors that were never written. */
export async function tearTail(
  files: Files,
  directory: string,
  seed: number,
  owed: number,
  random: Random,
): Promise<boolean> {
  const path = (await segmentsOf(files, directory)).at(-1);
  if (path === undefined) return false;
  const bytes = await files.read(path);
  // In a segment that begins behind the last confirmed record nothing is owed.
  const safe = owed === 0 ? 0 : (endOf(bytes, seed, owed) ?? (await isElsewhere()));
  if (safe === null || safe >= bytes.byteLength) return false;
  const place = safe + random.integer(bytes.byteLength - safe);
  const zeros = random.integer(2) === 0 ? 0 : random.integer(MAX_ZERO_SECTORS * SECTOR_BYTES);
  // A disk writes whole sectors, so zeros begin with a sector, or where the old bytes ended.
  const sector = Math.floor(place / SECTOR_BYTES) * SECTOR_BYTES;
  const cut = zeros === 0 ? place : Math.max(safe, sector);
  const torn = new Uint8Array(cut + zeros);
  torn.set(bytes.subarray(0, cut));
  await overwrite(files, path, torn);
  return true;

  async function isElsewhere(): Promise<number | null> {
    const before = (await segmentsOf(files, directory)).at(-2);
    if (before === undefined) return null;
    return endOf(await files.read(before), seed, owed) === null ? null : 0;
  }
}

/** A bit that was flipped, and how to mend it. */
export interface Flip {
  readonly path: string;
  readonly offset: number;
  /** The first id that cannot survive; all before it must. */
  readonly firstLost: number;
  /** The file with the flipped bit. */
  readonly harmed: Uint8Array;
  readonly undo: () => Promise<void>;
}

/** Flips one bit; `ids` are all records of the log, oldest first. Null when there is none. */
export async function flipBit(
  files: Files,
  directory: string,
  seed: number,
  ids: readonly number[],
  random: Random,
): Promise<Flip | null> {
  const segments = await segmentsOf(files, directory);
  const path = segments[random.integer(segments.length)];
  if (path === undefined) return null;
  const bytes = await files.read(path);
  if (bytes.byteLength === 0) return null;
  const offset = random.integer(bytes.byteLength);
  const firstLost = firstBehind(bytes, seed, ids, offset);
  if (firstLost === null) return null;
  const harmed = new Uint8Array(bytes);
  harmed[offset] = (harmed[offset] ?? 0) ^ (1 << random.integer(8));
  await overwrite(files, path, harmed);
  return { path, offset, firstLost, harmed, undo: () => overwrite(files, path, bytes) };
}

/** The first id of the segment whose payload ends behind the offset. */
function firstBehind(
  bytes: Uint8Array,
  seed: number,
  ids: readonly number[],
  offset: number,
): number | null {
  for (const id of ids) {
    const end = endOf(bytes, seed, id);
    if (end !== null && end > offset) return id;
  }
  return null;
}
