/**
 * Small whole-directory work on top of `Files`: what a folder holds, copying a file with its
 * digest, removing a folder. Links are never followed: what a link leads to is somebody else's.
 */
import { createHash } from "node:crypto";
import { dirname, join, relative, resolve } from "node:path";
import { EsperError } from "../../protocols/errors.ts";
import { type FileStat, type Files, isMissing, type OpenFile, storageError } from "./files.ts";

const PIECE_BYTES = 1_048_576;
const MAX_DEPTH = 8;

/** One file below a folder. */
export interface TreeFile {
  readonly path: string;
  /** Relative to the folder, with forward slashes. */
  readonly name: string;
  readonly stat: FileStat;
}

/** What was copied: its size and its SHA-256 in hexadecimal. */
export interface Copied {
  readonly bytes: number;
  readonly sha256: string;
}

/** Nothing at the path, or what lies there itself. */
export async function lstatIfPresent(files: Files, path: string): Promise<FileStat | null> {
  try {
    return await files.lstat(path);
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

/** How many links may lead to one place. */
const MAX_LINKS = 8;

/**
 * Where the path leads when it is a link itself, so that what is renamed is the directory and never
 * the link. @throws {STORAGE_FAILED} for links that lead in a circle.
 */
export async function followLinks(files: Files, path: string): Promise<string> {
  let at = path;
  for (let left = MAX_LINKS; left > 0; left--) {
    if ((await lstatIfPresent(files, at))?.kind !== "link") return at;
    at = resolve(dirname(at), await files.readLink(at));
  }
  throw storageError(Object.assign(new Error("too many links"), { code: "ELOOP" }), "follow", path);
}

/** Everything below the folder but directories, in order; a folder that is not there is empty. */
export async function listTree(files: Files, directory: string): Promise<readonly TreeFile[]> {
  const found: TreeFile[] = [];
  await collect(files, directory, directory, 0, found);
  return found;
}

async function collect(
  files: Files,
  root: string,
  directory: string,
  depth: number,
  found: TreeFile[],
): Promise<void> {
  for (const name of await listIfPresent(files, directory)) {
    const path = join(directory, name);
    const stat = await lstatIfPresent(files, path);
    // Gone since it was listed: a living run replaces and removes files.
    if (stat === null) continue;
    if (stat.kind !== "directory") {
      found.push({ path, name: relative(root, path).replaceAll("\\", "/"), stat });
    } else if (depth < MAX_DEPTH) {
      await collect(files, root, path, depth + 1, found);
    }
  }
}

/** The names in a folder; none when it is not there. */
export async function listIfPresent(files: Files, path: string): Promise<readonly string[]> {
  try {
    return await files.list(path);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** Removes all below the folder, and the folder itself; links are removed, not followed. */
export async function removeTree(files: Files, directory: string): Promise<void> {
  for (const name of await listIfPresent(files, directory)) {
    const path = join(directory, name);
    const stat = await lstatIfPresent(files, path);
    if (stat?.kind === "directory") await removeTree(files, path);
    else if (stat !== null) await files.remove(path);
  }
  if ((await lstatIfPresent(files, directory)) !== null) await files.removeDirectory(directory);
}

/** What is expected to be there but is something else. */
export function notAFile(path: string, found: string): EsperError {
  return new EsperError(
    "STORAGE_FAILED",
    `${path} is not a plain file: expected a file, found ${found}. Nothing was changed`,
    { path, operation: "read", offset: 0, expected: "a file", found },
  );
}

/** Opens a plain file for reading. @throws {STORAGE_FAILED} for a link, a directory, a device. */
export async function openPlain(files: Files, path: string): Promise<OpenFile> {
  const { kind } = await files.lstat(path);
  if (kind === "link") throw notAFile(path, `a link to ${await files.readLink(path)}`);
  if (kind !== "file") throw notAFile(path, kind === "directory" ? "a directory" : "a device");
  return files.open(path, "read");
}

/** Hands out the first `limit` bytes of an open file, or all it has now, piece by piece. */
async function* pieces(file: OpenFile, limit: number | null): AsyncGenerator<Uint8Array> {
  const size = await file.size();
  const end = Math.min(size, limit ?? size);
  for (let offset = 0; offset < end; ) {
    const piece = await file.read(offset, Math.min(PIECE_BYTES, end - offset));
    if (piece.byteLength === 0) return;
    yield piece;
    offset += piece.byteLength;
  }
}

/** Size and SHA-256 of a plain file. */
export async function digestFile(files: Files, path: string): Promise<Copied> {
  const file = await openPlain(files, path);
  try {
    const hash = createHash("sha256");
    let bytes = 0;
    for await (const piece of pieces(file, null)) {
      hash.update(piece);
      bytes += piece.byteLength;
    }
    return { bytes, sha256: hash.digest("hex") };
  } finally {
    await file.close();
  }
}

/** How a copy is made. */
export interface CopyOptions {
  readonly from: string;
  readonly to: string;
  readonly permissions: number;
  /** Only so many bytes from the start; null copies all there are. */
  readonly limit?: number | null;
  /** Also waits until the source is on the disk: a copy never outlives what it was made of. */
  readonly syncSource?: boolean;
}

/** Copies a plain file to a new name; returns when the copy's bytes are on the disk. */
export async function copyFile(files: Files, options: CopyOptions): Promise<Copied> {
  const { from, to, permissions, limit = null, syncSource = false } = options;
  const source = await openPlain(files, from);
  try {
    if (syncSource) await source.sync();
    const target = await files.open(to, "create", permissions);
    try {
      const hash = createHash("sha256");
      let bytes = 0;
      for await (const piece of pieces(source, limit)) {
        await target.write(piece, bytes);
        hash.update(piece);
        bytes += piece.byteLength;
      }
      await target.sync();
      return { bytes, sha256: hash.digest("hex") };
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

/** Makes every name in the folder and in the folders below it durable. */
export async function syncTree(files: Files, directory: string): Promise<void> {
  for (const name of await files.list(directory)) {
    const path = join(directory, name);
    if ((await files.lstat(path)).kind === "directory") await syncTree(files, path);
  }
  await files.syncDirectory(directory);
}

/** A name beside `wanted` that nothing has yet: `<wanted>-1`, `<wanted>-2`, ... */
export async function freeNumberedName(files: Files, wanted: string): Promise<string> {
  const taken = new Set(await listIfPresent(files, dirname(wanted)));
  for (let number = 1; ; number++) {
    const path = `${wanted}-${number}`;
    if (!taken.has(relative(dirname(wanted), path))) return path;
  }
}
