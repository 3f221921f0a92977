/**
 * The only importer of node:fs. Everything durable is written against the `Files` interface, so
 * that tests can inject a disk that fails. Every operation either does the whole of what it says
 * or throws a coded error that names the path, the operation and the errno; none is retried.
 */
import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import {
  link,
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  rename,
  stat,
  symlink,
  unlink,
} from "node:fs/promises";
import { dirname } from "node:path";
import { EsperError } from "../../protocols/errors.ts";

/** "read": must exist. "write": created when missing. "create": must not exist yet. */
export type OpenMode = "read" | "write" | "create";

/** Sizes in bytes, times in milliseconds since 1970. */
export interface FileStat {
  readonly size: number;
  readonly isDirectory: boolean;
  readonly modifiedMs: number;
  /** The user it belongs to and the permission bits; absent where the system has none. */
  readonly owner?: number;
  readonly permissions?: number;
}

/** An open file with explicit offsets in bytes; nothing moves a hidden position. */
export interface OpenFile {
  readonly path: string;
  /** Up to `length` bytes from `offset`; fewer only at the end of the file. */
  read(offset: number, length: number): Promise<Uint8Array>;
  /** Writes all the bytes at `offset`, or throws; a throw may leave a part of them behind. */
  write(bytes: Uint8Array, offset: number): Promise<void>;
  /** Cuts the file, or lengthens it with zeros. */
  truncate(size: number): Promise<void>;
  /** The size in bytes. */
  size(): Promise<number>;
  /** Returns when the file's bytes are on the device. */
  sync(): Promise<void>;
  /** Gives the file back to the system. */
  close(): Promise<void>;
}

/** What the runtime may ask of a disk. @throws {STORAGE_FULL} @throws {STORAGE_FAILED} */
export interface Files {
  /** `permissions` count only when the file is created. */
  open(path: string, mode: OpenMode, permissions?: number): Promise<OpenFile>;
  /** The whole file. */
  read(path: string): Promise<Uint8Array>;
  /** What lies at the path, links followed. */
  stat(path: string): Promise<FileStat>;
  /** Names in the directory, sorted. */
  list(path: string): Promise<readonly string[]>;
  /** Creates the directory and its parents; an existing one is left as it is. */
  makeDirectory(path: string): Promise<void>;
  /** Replaces `to` in one step if it exists. */
  rename(from: string, to: string): Promise<void>;
  /** Removes a file or a link. */
  remove(path: string): Promise<void>;
  /** A second name for the same file; fails with EEXIST when `created` exists. */
  link(existing: string, created: string): Promise<void>;
  /** A link at `path` that points to `target`. */
  symlink(target: string, path: string): Promise<void>;
  /** Where the link points. */
  readLink(path: string): Promise<string>;
  /** Makes creations, renames and removals inside the directory durable. */
  syncDirectory(path: string): Promise<void>;
}

/** For files that hold a secret or signed commands. */
export const PRIVATE_PERMISSIONS = 0o600;
const SHARED_PERMISSIONS = 0o644;

const NO_ROOM: ReadonlySet<string> = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);

/** Turns what node threw into STORAGE_FULL or STORAGE_FAILED. */
export function storageError(cause: unknown, operation: string, path: string): EsperError {
  if (EsperError.is(cause)) return cause;
  const given = cause instanceof Error && "code" in cause ? cause.code : undefined;
  const errno = typeof given === "string" ? given : "UNKNOWN";
  const details = { path, operation, errno };
  if (NO_ROOM.has(errno)) {
    return new EsperError(
      "STORAGE_FULL",
      `no room on the disk to ${operation} ${path} (${errno}): free space there, then resume`,
      details,
      cause,
    );
  }
  return new EsperError(
    "STORAGE_FAILED",
    `cannot ${operation} ${path} (${errno}): check that it exists and may be accessed`,
    details,
    cause,
  );
}

/** True when the error says that a file or directory is not there. */
export function isMissing(error: unknown): boolean {
  if (!EsperError.is(error, "STORAGE_FAILED")) return false;
  // ENOTDIR: a parent of the path is a file.
  return error.details["errno"] === "ENOENT" || error.details["errno"] === "ENOTDIR";
}

/** True when the error says that the name is already taken. */
export function isTaken(error: unknown): boolean {
  return EsperError.is(error, "STORAGE_FAILED") && error.details["errno"] === "EEXIST";
}

async function attempt<T>(operation: string, path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    throw storageError(cause, operation, path);
  }
}

const FLAGS = {
  read: constants.O_RDONLY,
  write: constants.O_RDWR | constants.O_CREAT,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL,
} as const;

type NodeHandle = Awaited<ReturnType<typeof open>>;

async function readFully(handle: NodeHandle, offset: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await handle.read(bytes, done, length - done, offset + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return bytes.subarray(0, done);
}

async function writeFully(handle: NodeHandle, bytes: Uint8Array, offset: number): Promise<void> {
  let done = 0;
  while (done < bytes.byteLength) {
    const rest = bytes.byteLength - done;
    const { bytesWritten } = await handle.write(bytes, done, rest, offset + done);
    done += bytesWritten;
  }
}

function openFile(handle: NodeHandle, path: string): OpenFile {
  return {
    path,
    read: (offset, length) => attempt("read", path, () => readFully(handle, offset, length)),
    write: (bytes, offset) => attempt("write", path, () => writeFully(handle, bytes, offset)),
    truncate: (size) => attempt("truncate", path, () => handle.truncate(size)),
    size: () => attempt("stat", path, async () => (await handle.stat()).size),
    sync: () => attempt("fsync", path, () => handle.datasync()),
    close: () => attempt("close", path, () => handle.close()),
  };
}

/** The real disk. */
export const systemFiles: Files = {
  open: (path, mode, permissions = SHARED_PERMISSIONS) =>
    attempt("open", path, async () => openFile(await open(path, FLAGS[mode], permissions), path)),
  read: (path) =>
    attempt("read", path, async () => {
      const bytes = await readFile(path);
      return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }),
  stat: (path) =>
    attempt("stat", path, async () => {
      const found = await stat(path);
      const { size, mtimeMs: modifiedMs, uid: owner } = found;
      const permissions = found.mode & 0o7777;
      return { size, isDirectory: found.isDirectory(), modifiedMs, owner, permissions };
    }),
  list: (path) => attempt("list", path, async () => (await readdir(path)).sort()),
  makeDirectory: (path) =>
    attempt("create directory", path, async () => {
      await mkdir(path, { recursive: true });
    }),
  rename: (from, to) => attempt("rename", from, () => rename(from, to)),
  remove: (path) => attempt("remove", path, () => unlink(path)),
  link: (existing, created) => attempt("link", created, () => link(existing, created)),
  symlink: (target, path) => attempt("symlink", path, () => symlink(target, path)),
  readLink: (path) => attempt("read link", path, () => readlink(path)),
  syncDirectory: (path) =>
    attempt("fsync", path, async () => {
      const handle = await open(path, "r");
      try {
        await handle.sync();
      } finally {
        await handle.close();
      }
    }),
};

/** Nothing at the path, or its stat. */
export async function statIfPresent(files: Files, path: string): Promise<FileStat | null> {
  try {
    return await files.stat(path);
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

/** The file as text, or null when it is not there. */
export async function readTextIfPresent(files: Files, path: string): Promise<string | null> {
  try {
    return new TextDecoder().decode(await files.read(path));
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

/** Removes the file when it is there. */
export async function removeIfPresent(files: Files, path: string): Promise<void> {
  try {
    await files.remove(path);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

async function writeSynced(
  files: Files,
  path: string,
  bytes: Uint8Array,
  permissions: number,
): Promise<void> {
  const file = await files.open(path, "create", permissions);
  try {
    await file.write(bytes, 0);
    await file.sync();
  } finally {
    await file.close();
  }
}

/**
 * Replaces the file as a whole: after a crash at any moment the path holds the old or the new
 * bytes, never a mix. One writer per path at a time; a left-over temporary file is replaced.
 * @throws {STORAGE_FULL} @throws {STORAGE_FAILED} with the old bytes still in place.
 */
export async function atomicWrite(
  files: Files,
  path: string,
  bytes: Uint8Array,
  permissions = SHARED_PERMISSIONS,
): Promise<void> {
  const temporary = `${path}.tmp`;
  await removeIfPresent(files, temporary);
  try {
    await writeSynced(files, temporary, bytes, permissions);
    await files.rename(temporary, path);
  } catch (error) {
    // The caller must see the first error; a temporary file that stays is replaced next time.
    await removeIfPresent(files, temporary).catch((left: unknown) => {
      if (!EsperError.is(left)) throw left;
    });
    throw error;
  }
  await files.syncDirectory(dirname(path));
}

/** Points the link at `target` in one step, whether or not it exists. */
export async function replaceLink(files: Files, target: string, path: string): Promise<void> {
  // Two processes may do this at once: each needs its own temporary name.
  const temporary = `${path}.${randomBytes(4).toString("hex")}.tmp`;
  await files.symlink(target, temporary);
  await files.rename(temporary, path);
  await files.syncDirectory(dirname(path));
}
