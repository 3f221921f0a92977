/**
 * Whole operations on a disk, made of the raw calls of disk.ts. Everything durable is written
 * against the `Files` interface, so that tests can inject a disk that fails. Every operation does
 * the whole of what it says or throws a coded error that names the path, the operation and the
 * errno. Short writes and reads go on; an interrupted call is repeated a few times; an fsync never
 * is, because the second answer of the system could be a lie.
 */
import { randomBytes } from "node:crypto";
import { dirname } from "node:path";
import { EsperError } from "../../protocols/errors.ts";
import {
  type Disk,
  type DiskHandle,
  type DiskStat,
  type EntryKind,
  type OpenMode,
  systemDisk,
} from "./disk.ts";

export type { EntryKind, OpenMode } from "./disk.ts";

/** Sizes in bytes, times in milliseconds since 1970. */
export interface FileStat {
  readonly kind: EntryKind;
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
  /** Fills `target` from `offset` on; returns how many bytes, fewer only at the end of the file. */
  readInto(target: Uint8Array, offset: number): Promise<number>;
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
  /** What lies at the path itself: a link is told as a link. */
  lstat(path: string): Promise<FileStat>;
  /** Names in the directory, sorted. */
  list(path: string): Promise<readonly string[]>;
  /** Creates the directory and its parents, durably; an existing one is left as it is. */
  makeDirectory(path: string): Promise<void>;
  /** Replaces `to` in one step if it exists. */
  rename(from: string, to: string): Promise<void>;
  /** Removes a file or a link. */
  remove(path: string): Promise<void>;
  /** Removes a directory that is empty. */
  removeDirectory(path: string): Promise<void>;
  /** A second name for the same file; fails with EEXIST when `created` exists. */
  link(existing: string, created: string): Promise<void>;
  /** A link at `path` that points to `target`. */
  symlink(target: string, path: string): Promise<void>;
  /** Where the link points. */
  readLink(path: string): Promise<string>;
  /** Makes creations, renames and removals inside the directory durable. */
  syncDirectory(path: string): Promise<void>;
  /** Bytes that this user may still write where the path is. */
  freeBytes(path: string): Promise<number>;
}

/** For files that hold a secret or signed commands. */
export const PRIVATE_PERMISSIONS = 0o600;
const SHARED_PERMISSIONS = 0o644;

/** Errors that say that there is no room, and what helps. */
const NO_ROOM: Readonly<Record<string, string>> = {
  ENOSPC: "free space there, then resume",
  EDQUOT: "the quota of this user is used up; free space there, then resume",
  EFBIG: "the limit for the size of one file is reached; raise it (ulimit -f), then resume",
};

const REMEDIES: Readonly<Record<string, string>> = {
  EIO: "the device failed; check the disk and the log of the system",
  EROFS: "the file system is mounted read-only; mount it writable, or use another directory",
  EMFILE: "too many open files in this process; raise the limit (ulimit -n)",
  ENFILE: "too many open files on this machine; close some, or raise fs.file-max",
  EEXIST: "something else has that name",
  EISDIR: "a directory is there, and a file is expected",
  ENOTDIR: "a part of the path is a file, and a directory is expected",
  ELOOP: "the links of the path lead in a circle",
};
const REMEDY = "check that it exists and may be accessed";

function errnoOf(cause: unknown): string {
  const given = cause instanceof Error && "code" in cause ? cause.code : undefined;
  return typeof given === "string" ? given : "UNKNOWN";
}

/** Turns what a disk threw into STORAGE_FULL or STORAGE_FAILED. */
export function storageError(cause: unknown, operation: string, path: string): EsperError {
  if (EsperError.is(cause)) return cause;
  const errno = errnoOf(cause);
  const details = { path, operation, errno };
  const room = NO_ROOM[errno];
  if (room !== undefined) {
    const message = `no room on the disk to ${operation} ${path} (${errno}): ${room}`;
    return new EsperError("STORAGE_FULL", message, details, cause);
  }
  const message = `cannot ${operation} ${path} (${errno}): ${REMEDIES[errno] ?? REMEDY}`;
  return new EsperError("STORAGE_FAILED", message, details, cause);
}

function errnoAmong(error: unknown, errnos: readonly string[]): boolean {
  if (!EsperError.is(error, "STORAGE_FAILED")) return false;
  return errnos.some((errno) => error.details["errno"] === errno);
}

/** True when the error says that a file or directory is not there. */
export function isMissing(error: unknown): boolean {
  // ENOTDIR: a parent of the path is a file.
  return errnoAmong(error, ["ENOENT", "ENOTDIR"]);
}

/** True when the error says that the name is already taken. */
export function isTaken(error: unknown): boolean {
  return errnoAmong(error, ["EEXIST"]);
}

const INTERRUPTED: ReadonlySet<string> = new Set(["EINTR", "EAGAIN"]);
const REPEATS = 8;

/** A raw call that may be made again: not a sync, which could lie, and not a close. */
async function repeated<T>(call: () => Promise<T>): Promise<T> {
  for (let left = REPEATS; ; left--) {
    try {
      return await call();
    } catch (cause) {
      if (left === 0 || !INTERRUPTED.has(errnoOf(cause))) throw cause;
    }
  }
}

/** Tells of a failure with the operation and the path. */
async function attempt<T>(operation: string, path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    throw storageError(cause, operation, path);
  }
}

/** One raw call that may be repeated. */
const call = <T>(operation: string, path: string, action: () => Promise<T>): Promise<T> =>
  attempt(operation, path, () => repeated(action));

/** Fills `target`; returns how much, less only at the end of the file. */
async function readInto(handle: DiskHandle, target: Uint8Array, offset: number): Promise<number> {
  let done = 0;
  while (done < target.byteLength) {
    const count = await repeated(() => handle.read(target.subarray(done), offset + done));
    if (count === 0) break;
    done += count;
  }
  return done;
}

async function readFully(handle: DiskHandle, offset: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  return bytes.subarray(0, await readInto(handle, bytes, offset));
}

async function writeFully(handle: DiskHandle, bytes: Uint8Array, offset: number): Promise<void> {
  let done = 0;
  while (done < bytes.byteLength) {
    const count = await repeated(() => handle.write(bytes.subarray(done), offset + done));
    if (count === 0) throw Object.assign(new Error("nothing was written"), { code: "EIO" });
    done += count;
  }
}

function openFile(handle: DiskHandle, path: string): OpenFile {
  return {
    path,
    read: (offset, length) => attempt("read", path, () => readFully(handle, offset, length)),
    readInto: (target, offset) => attempt("read", path, () => readInto(handle, target, offset)),
    write: (bytes, offset) => attempt("write", path, () => writeFully(handle, bytes, offset)),
    truncate: (size) => call("truncate", path, () => handle.truncate(size)),
    size: () => call("stat", path, async () => (await handle.stat()).size),
    sync: () => attempt("fsync", path, () => handle.datasync()),
    close: () => attempt("close", path, () => handle.close()),
  };
}

/** Runs `use` and closes; of two failures the first is told. */
async function closing<T>(file: { close(): Promise<void> }, use: () => Promise<T>): Promise<T> {
  let result: T;
  try {
    result = await use();
  } catch (error) {
    await file.close().catch(() => undefined);
    throw error;
  }
  await file.close();
  return result;
}

const PIECE_BYTES = 65_536;
const UNSIZED_BYTES = 16 * 1_048_576;

/** Files of the system (/proc) say that they are empty and are not; some (/dev) never end. */
async function readUnsized(handle: DiskHandle): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for (let offset = 0; ; ) {
    const piece = await readFully(handle, offset, PIECE_BYTES);
    pieces.push(piece);
    offset += piece.byteLength;
    if (piece.byteLength < PIECE_BYTES) return new Uint8Array(Buffer.concat(pieces));
    if (offset >= UNSIZED_BYTES) {
      throw Object.assign(new Error("it has no end"), { code: "EOVERFLOW" });
    }
  }
}

async function readWhole(disk: Disk, path: string): Promise<Uint8Array> {
  const handle = await repeated(() => disk.open(path, "read", 0));
  return closing(handle, async () => {
    const { size } = await repeated(() => handle.stat());
    return size > 0 ? readFully(handle, 0, size) : readUnsized(handle);
  });
}

function fileStat(found: DiskStat): FileStat {
  return { ...found, isDirectory: found.kind === "directory" };
}

/** An existing directory may lie in one that others own; what is new must be made durable. */
const NOT_OURS = ["EACCES", "EPERM", "EROFS"] as const;

async function makeDirectory(files: Files, disk: Disk, path: string): Promise<void> {
  const operation = "create directory";
  const parent = dirname(path);
  const found = await statIfPresent(files, path);
  if (found === null) {
    if (parent !== path) await makeDirectory(files, disk, parent);
    // Another process may have been faster.
    await call(operation, path, () => disk.makeDirectory(path)).catch((error: unknown) => {
      if (!isTaken(error)) throw error;
    });
  } else if (!found.isDirectory) {
    const cause = Object.assign(new Error("a file is there"), { code: "EEXIST" });
    throw storageError(cause, operation, path);
  }
  // Also when it is there: whoever made it may have been killed before this.
  await files.syncDirectory(parent).catch((error: unknown) => {
    if (found === null || !errnoAmong(error, NOT_OURS)) throw error;
  });
}

/** Whole operations on this disk. */
export function filesOn(disk: Disk): Files {
  const files: Files = {
    open: (path, mode, permissions = SHARED_PERMISSIONS) =>
      call("open", path, async () => openFile(await disk.open(path, mode, permissions), path)),
    read: (path) => attempt("read", path, () => readWhole(disk, path)),
    stat: (path) => call("stat", path, async () => fileStat(await disk.stat(path))),
    lstat: (path) => call("stat", path, async () => fileStat(await disk.lstat(path))),
    list: (path) => call("list", path, async () => (await disk.list(path)).sort()),
    makeDirectory: (path) => makeDirectory(files, disk, path),
    rename: (from, to) => call("rename", from, () => disk.rename(from, to)),
    remove: (path) => call("remove", path, () => disk.remove(path)),
    removeDirectory: (path) => call("remove directory", path, () => disk.removeDirectory(path)),
    link: (existing, created) => call("link", created, () => disk.link(existing, created)),
    symlink: (target, path) => call("symlink", path, () => disk.symlink(target, path)),
    readLink: (path) => call("read link", path, () => disk.readLink(path)),
    syncDirectory: (path) => attempt("fsync", path, () => disk.syncDirectory(path)),
    freeBytes: (path) => call("measure free space of", path, () => disk.freeBytes(path)),
  };
  return files;
}

/** The real disk. */
export const systemFiles: Files = filesOn(systemDisk);

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
  await closing(file, async () => {
    await file.write(bytes, 0);
    await file.sync();
  });
}

/** Removes what a failed operation left; the caller must see the first error, not this one's. */
async function sweep(files: Files, temporary: string): Promise<void> {
  await removeIfPresent(files, temporary).catch((left: unknown) => {
    if (!EsperError.is(left)) throw left;
  });
}

/**
 * As `atomicWrite`, but a crash may still bring the old bytes back until the directory is synced.
 * @throws {STORAGE_FULL} @throws {STORAGE_FAILED} with the old bytes still in place.
 */
export async function replaceUnsynced(
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
    await sweep(files, temporary);
    throw error;
  }
}

/**
 * Replaces the file as a whole: after a crash at any moment the path holds the old or the new
 * bytes, never a mix. One writer per path at a time; a left-over temporary file is replaced.
 * @throws {STORAGE_FULL} @throws {STORAGE_FAILED} with the old bytes in place, or the new ones when
 * only the last step failed: making the new name durable.
 */
export async function atomicWrite(
  files: Files,
  path: string,
  bytes: Uint8Array,
  permissions = SHARED_PERMISSIONS,
): Promise<void> {
  await replaceUnsynced(files, path, bytes, permissions);
  await files.syncDirectory(dirname(path));
}

/** Points the link at `target` in one step, whether or not it exists. */
export async function replaceLink(files: Files, target: string, path: string): Promise<void> {
  // Two processes may do this at once: each needs its own temporary name.
  const temporary = `${path}.${randomBytes(4).toString("hex")}.tmp`;
  await files.symlink(target, temporary);
  try {
    await files.rename(temporary, path);
  } catch (error) {
    await sweep(files, temporary);
    throw error;
  }
  await files.syncDirectory(dirname(path));
}
