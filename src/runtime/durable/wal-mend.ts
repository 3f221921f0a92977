/**
 * The changes that an opening makes to the files of a log, each safe against a crash at any moment
 * and each in bounded pieces. None of them judges anything.
 */
import { dirname } from "node:path";
import { invariant } from "../../protocols/errors.ts";
import {
  type Files,
  type OpenFile,
  PRIVATE_PERMISSIONS,
  removeIfPresent,
  statIfPresent,
} from "./files.ts";
import type { SegmentName } from "./wal-walk.ts";

const PIECE_BYTES = 524_288;

async function freeName(files: Files, wanted: string): Promise<string> {
  for (let number = 1; ; number++) {
    const name = number === 1 ? `${wanted}.broken` : `${wanted}.broken.${number}`;
    if ((await statIfPresent(files, name)) === null) return name;
  }
}

/** Runs `use` with the open file and closes it; of two failures the first is told. */
export async function withFile<T>(open: Promise<OpenFile>, use: (file: OpenFile) => Promise<T>) {
  const file = await open;
  let result: T;
  try {
    result = await use(file);
  } catch (error) {
    await file.close().catch(() => undefined);
    throw error;
  }
  await file.close();
  return result;
}

async function copyPieces(from: OpenFile, offset: number, to: OpenFile): Promise<void> {
  for (let at = offset; ; ) {
    const piece = await from.read(at, PIECE_BYTES);
    if (piece.byteLength === 0) return;
    await to.write(piece, at - offset);
    at += piece.byteLength;
  }
}

/** Copies the file from `offset` on to a name of its own beside it, durably; returns that name. */
export async function saveRest(files: Files, path: string, offset: number): Promise<string> {
  const name = await freeName(files, path);
  const temporary = `${name}.tmp`;
  await removeIfPresent(files, temporary);
  await withFile(files.open(path, "read"), (from) =>
    withFile(files.open(temporary, "create", PRIVATE_PERMISSIONS), async (to) => {
      await copyPieces(from, offset, to);
      await to.sync();
    }),
  );
  await files.rename(temporary, name);
  await files.syncDirectory(dirname(path));
  return name;
}

/** Gives the files names of their own, durably; returns those names. */
export async function moveAside(
  files: Files,
  directory: string,
  segments: readonly SegmentName[],
): Promise<readonly string[]> {
  const moved: string[] = [];
  for (const { path } of segments) {
    const name = await freeName(files, path);
    await files.rename(path, name);
    moved.push(name);
  }
  if (moved.length > 0) await files.syncDirectory(directory);
  return moved;
}

/** Removes the segments, durably. */
export async function dropSegments(
  files: Files,
  directory: string,
  segments: readonly SegmentName[],
): Promise<void> {
  for (const { path } of segments) await removeIfPresent(files, path);
  if (segments.length > 0) await files.syncDirectory(directory);
}

/**
 * Cuts the segment at `end` and makes all before it durable. Bytes behind `proven` are written
 * again, at their place and unchanged: after a failed fsync the page cache can show bytes that the
 * disk never got, and only a new write makes the system try again.
 */
export async function settleTail(
  files: Files,
  path: string,
  proven: number,
  end: number,
): Promise<void> {
  await withFile(files.open(path, "write", PRIVATE_PERMISSIONS), async (file) => {
    for (let at = proven; at < end; ) {
      const piece = await file.read(at, Math.min(PIECE_BYTES, end - at));
      invariant(piece.byteLength > 0, "the last segment is as long as it was judged");
      await file.write(piece, at);
      at += piece.byteLength;
    }
    await file.truncate(end);
    // Also the cut must be durable: old bytes that came back would mix with the next batch.
    await file.sync();
  });
}
