/**
 * What the tests of the log share: records that can be told by their number, and files in memory
 * that do no more than hold bytes, for tests that open a log a hundred thousand times.
 */
import { basename, dirname, join } from "node:path";
import { expect } from "vitest";
import { EsperError } from "../../../src/protocols/errors.ts";
import {
  type FileStat,
  type Files,
  type OpenFile,
  type OpenMode,
  storageError,
} from "../../../src/runtime/durable/files.ts";
import { Wal, type WalOptions, type WalRecord } from "../../../src/runtime/durable/wal.ts";

export const DIRECTORY = "/run/wal";
export const FIRST = `${DIRECTORY}/0000000000000001.wal`;

/** Bytes that only the record with this number has. */
export const payloadOf = (index: number, bytes = 40): Uint8Array => {
  const payload = new Uint8Array(bytes);
  for (let at = 0; at < bytes; at++) payload[at] = index * 31 + at * 7 + 1;
  return payload;
};

export const record = (index: number, bytes?: number) => ({
  timeMs: 1_000 + index,
  payload: payloadOf(index, bytes),
});

/** Every record of an open log. */
export async function all(wal: Wal, from = 1): Promise<WalRecord[]> {
  const found: WalRecord[] = [];
  for await (const item of wal.read(from)) found.push(item);
  return found;
}

const known = new Map<number, Uint8Array>();

/** True when the record is what was once appended under its number. */
export function isRecord({ sequence, timeMs, payload }: WalRecord): boolean {
  if (timeMs !== 1_000 + sequence) return false;
  let wanted = known.get(sequence);
  if (wanted === undefined || wanted.byteLength !== payload.byteLength) {
    wanted = payloadOf(sequence, payload.byteLength);
    known.set(sequence, wanted);
  }
  return Buffer.compare(wanted, payload) === 0;
}

/** The records are those from 1 on, without a gap. */
export function expectPrefix(found: readonly WalRecord[]): void {
  for (const [index, item] of found.entries()) {
    // Compared by hand first: a matcher takes longer than opening the log.
    if (item.sequence === index + 1 && isRecord(item)) continue;
    expect(item).toEqual({ sequence: index + 1, ...record(index + 1, item.payload.byteLength) });
  }
}

const errno = (code: string): Error => Object.assign(new Error(code), { code });

class LightFile {
  bytes: Uint8Array;
  size: number;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.size = bytes.byteLength;
  }

  write(bytes: Uint8Array, offset: number): void {
    const end = offset + bytes.byteLength;
    if (end > this.bytes.byteLength) {
      const larger = new Uint8Array(end * 2);
      larger.set(this.bytes.subarray(0, this.size));
      this.bytes = larger;
    }
    this.bytes.set(bytes, offset);
    this.size = Math.max(this.size, end);
  }

  truncate(size: number): void {
    this.bytes.fill(0, Math.min(size, this.size), this.size);
    this.size = size;
  }
}

/** Files that hold bytes and never fail; all names are in one directory. */
export class LightFiles implements Files {
  readonly files = new Map<string, LightFile>();
  /** Counted, so that a test can tell that nothing was changed. */
  changes = 0;

  /** A disk on which the first segment has these bytes; they are not copied. */
  static of(bytes: Uint8Array): LightFiles {
    const light = new LightFiles();
    light.files.set(FIRST, new LightFile(bytes));
    return light;
  }

  bytes(path: string): Uint8Array {
    const file = this.#need(path);
    return file.bytes.slice(0, file.size);
  }

  put(path: string, bytes: Uint8Array): void {
    this.files.set(path, new LightFile(bytes));
  }

  /** The same files again, to be changed on their own. */
  copy(): LightFiles {
    const light = new LightFiles();
    for (const path of this.files.keys()) light.put(path, this.bytes(path));
    return light;
  }

  #need(path: string): LightFile {
    const file = this.files.get(path);
    if (file === undefined) throw storageError(errno("ENOENT"), "open", path);
    return file;
  }

  async open(path: string, mode: OpenMode): Promise<OpenFile> {
    const isThere = this.files.has(path);
    if (mode === "create" && isThere) throw storageError(errno("EEXIST"), "open", path);
    if (mode !== "read" && !isThere) this.put(path, new Uint8Array(0));
    const file = this.#need(path);
    return {
      path,
      read: async (offset, length) =>
        file.bytes.slice(offset, Math.min(file.size, offset + length)),
      readInto: async (target, offset) => {
        const end = Math.min(file.size, offset + target.byteLength);
        if (end <= offset) return 0;
        target.set(file.bytes.subarray(offset, end));
        return end - offset;
      },
      write: async (bytes, offset) => {
        this.changes++;
        file.write(bytes, offset);
      },
      truncate: async (size) => {
        if (size !== file.size) this.changes++;
        file.truncate(size);
      },
      size: async () => file.size,
      sync: async () => undefined,
      close: async () => undefined,
    };
  }

  async read(path: string): Promise<Uint8Array> {
    return this.bytes(path);
  }

  async stat(path: string): Promise<FileStat> {
    if (path === DIRECTORY) {
      return { kind: "directory", size: 0, isDirectory: true, modifiedMs: 0 };
    }
    return { kind: "file", size: this.#need(path).size, isDirectory: false, modifiedMs: 0 };
  }

  lstat(path: string): Promise<FileStat> {
    return this.stat(path);
  }

  async list(path: string): Promise<readonly string[]> {
    const names = [...this.files.keys()].filter((name) => dirname(name) === path);
    return names.map((name) => basename(name)).sort();
  }

  async makeDirectory(): Promise<void> {}

  async rename(from: string, to: string): Promise<void> {
    this.changes++;
    this.files.set(to, this.#need(from));
    this.files.delete(from);
  }

  async remove(path: string): Promise<void> {
    this.#need(path);
    this.changes++;
    this.files.delete(path);
  }

  async removeDirectory(path: string): Promise<void> {
    throw storageError(errno("ENOTSUP"), "remove directory", path);
  }

  async link(existing: string): Promise<void> {
    throw storageError(errno("ENOTSUP"), "link", existing);
  }

  async symlink(_target: string, path: string): Promise<void> {
    throw storageError(errno("ENOTSUP"), "symlink", path);
  }

  async readLink(path: string): Promise<string> {
    throw storageError(errno("EINVAL"), "read link", path);
  }

  async syncDirectory(): Promise<void> {}

  async freeBytes(): Promise<number> {
    return Number.MAX_SAFE_INTEGER;
  }
}

/** The next opening of one path waits until it is let go. */
export class HeldFiles extends LightFiles {
  #path = "";
  #arrive: () => void = () => undefined;
  letGo: () => void = () => undefined;
  held: Promise<void> = Promise.resolve();

  hold(path: string): void {
    this.#path = path;
    this.held = new Promise((resolve) => {
      this.#arrive = resolve;
    });
  }

  override async open(path: string, mode: OpenMode): Promise<OpenFile> {
    if (path === this.#path) {
      this.#path = "";
      this.#arrive();
      await new Promise<void>((resolve) => {
        this.letGo = resolve;
      });
    }
    return super.open(path, mode);
  }
}

/** Opens, or answers the coded error with which that was refused. */
export async function tryOpen(options: Omit<WalOptions, "directory">): Promise<Wal | EsperError> {
  try {
    return await Wal.open({ directory: DIRECTORY, ...options });
  } catch (error) {
    if (!EsperError.is(error)) throw error;
    return error;
  }
}

/** Opens as a salvage, which must work. */
export async function salvaged(files: Files): Promise<Wal> {
  return Wal.open({ files, directory: DIRECTORY, salvage: true });
}

/** A log in light files; `close` seals its end. `sizes` gives the payload of each record. */
export async function lightLog(sizes: readonly number[], close: boolean): Promise<LightFiles> {
  const files = new LightFiles();
  const wal = await Wal.open({ files, directory: DIRECTORY });
  for (const [index, bytes] of sizes.entries()) await wal.append(record(index + 1, bytes));
  if (close) await wal.close();
  return files;
}

/** The path of the segment that begins with this record. */
export const segmentAt = (first: number): string =>
  join(DIRECTORY, `${String(first).padStart(16, "0")}.wal`);
