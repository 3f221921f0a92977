/**
 * The raw calls that durable code makes of a disk, and the only importer of node:fs. A call does
 * what the system call of its name does and no more: it may write or read less than it was given,
 * is never repeated here, and throws an error with the `code` of the system (ENOSPC, EIO, ...).
 * `filesOn` (files.ts) builds whole operations from these; tests give it a disk that fails.
 */
import { constants, type Stats } from "node:fs";
import {
  type FileHandle,
  link,
  lstat,
  mkdir,
  open,
  readdir,
  readlink,
  rename,
  rmdir,
  stat,
  statfs,
  symlink,
  unlink,
} from "node:fs/promises";

/** "read": must exist. "write": created when missing. "create": must not exist yet. */
export type OpenMode = "read" | "write" | "create";

/** "other": a device, a pipe or a socket. "link": only where links are not followed. */
export type EntryKind = "file" | "directory" | "link" | "other";

/** What the system knows of a name. Sizes in bytes, times in milliseconds since 1970. */
export interface DiskStat {
  readonly kind: EntryKind;
  readonly size: number;
  readonly modifiedMs: number;
  /** The user it belongs to and the permission bits; absent where the disk has none. */
  readonly owner?: number;
  readonly permissions?: number;
}

/** An open file. Offsets in bytes; nothing moves a hidden position. */
export interface DiskHandle {
  /** Reads into the front of `target`; returns how many bytes, 0 only at the end of the file. */
  read(target: Uint8Array, offset: number): Promise<number>;
  /** Writes the front of `bytes`; returns how many, which may be fewer than all. */
  write(bytes: Uint8Array, offset: number): Promise<number>;
  /** Cuts the file, or lengthens it with zeros. */
  truncate(size: number): Promise<void>;
  /** What the system knows of the open file. */
  stat(): Promise<DiskStat>;
  /** Returns when the bytes and the size are on the device. */
  datasync(): Promise<void>;
  /** Gives the descriptor back, also when it throws. */
  close(): Promise<void>;
}

/** One file system, call by call. */
export interface Disk {
  /** `permissions` count only when the file is created. Never waits for the other end of a pipe. */
  open(path: string, mode: OpenMode, permissions: number): Promise<DiskHandle>;
  /** What lies at the path, links followed. */
  stat(path: string): Promise<DiskStat>;
  /** What lies at the path itself. */
  lstat(path: string): Promise<DiskStat>;
  /** The names in a directory, in no order. */
  list(path: string): Promise<string[]>;
  /** One directory, in a parent that exists. */
  makeDirectory(path: string): Promise<void>;
  /** Replaces `to` in one step if it exists. */
  rename(from: string, to: string): Promise<void>;
  /** Removes a file or a link. */
  remove(path: string): Promise<void>;
  /** Removes an empty directory. */
  removeDirectory(path: string): Promise<void>;
  /** A second name for the same file. */
  link(existing: string, created: string): Promise<void>;
  /** A link at `path` that points to `target`, which need not exist. */
  symlink(target: string, path: string): Promise<void>;
  /** Where the link points, as it was written. */
  readLink(path: string): Promise<string>;
  /** Returns when creations, renames and removals inside the directory are on the device. */
  syncDirectory(path: string): Promise<void>;
  /** Bytes that this user may still write to the file system of the path. */
  freeBytes(path: string): Promise<number>;
}

const FLAGS = {
  // Opening a pipe must not wait for its other end; for a file the flag means nothing.
  read: constants.O_RDONLY | constants.O_NONBLOCK,
  write: constants.O_RDWR | constants.O_CREAT,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL,
} as const satisfies Record<OpenMode, number>;

const PERMISSION_BITS = 0o7777;

function kindOf(found: Stats): EntryKind {
  if (found.isFile()) return "file";
  if (found.isDirectory()) return "directory";
  return found.isSymbolicLink() ? "link" : "other";
}

function diskStat(found: Stats): DiskStat {
  return {
    kind: kindOf(found),
    size: found.size,
    modifiedMs: found.mtimeMs,
    owner: found.uid,
    permissions: found.mode & PERMISSION_BITS,
  };
}

function diskHandle(handle: FileHandle): DiskHandle {
  return {
    read: async (target, offset) =>
      (await handle.read(target, 0, target.byteLength, offset)).bytesRead,
    write: async (bytes, offset) =>
      (await handle.write(bytes, 0, bytes.byteLength, offset)).bytesWritten,
    truncate: (size) => handle.truncate(size),
    stat: async () => diskStat(await handle.stat()),
    datasync: () => handle.datasync(),
    close: () => handle.close(),
  };
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function freeBytes(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path);
  return bavail * bsize;
}

/** The disk of the machine. */
export const systemDisk: Disk = {
  open: async (path, mode, permissions) => diskHandle(await open(path, FLAGS[mode], permissions)),
  stat: async (path) => diskStat(await stat(path)),
  lstat: async (path) => diskStat(await lstat(path)),
  list: (path) => readdir(path),
  makeDirectory: (path) => mkdir(path),
  rename: (from, to) => rename(from, to),
  remove: (path) => unlink(path),
  removeDirectory: (path) => rmdir(path),
  link: (existing, created) => link(existing, created),
  symlink: (target, path) => symlink(target, path),
  readLink: (path) => readlink(path),
  syncDirectory,
  freeBytes,
};
