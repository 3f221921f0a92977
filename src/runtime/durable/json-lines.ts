/**
 * A file of JSON lines that only grows by whole appends. The owner remembers the size up to which
 * it counts; whatever a crash or a failed write left behind that size is cut off before anything
 * else is written, so a reader sees complete lines or nothing.
 */
import { dirname } from "node:path";
import { type Files, type OpenFile, replaceUnsynced } from "./files.ts";

const NEWLINE = 0x0a;
const TAIL_BYTES = 65_536;

/** One value per line; an empty list gives no bytes. */
export function encodeLines(values: readonly string[]): Uint8Array {
  return new TextEncoder().encode(values.map((line) => `${line}\n`).join(""));
}

/** The lines of the text, without the newlines; a last line without one is left out. */
export function wholeLines(bytes: Uint8Array): string[] {
  const end = bytes.lastIndexOf(NEWLINE);
  return end < 0 ? [] : new TextDecoder().decode(bytes.subarray(0, end)).split("\n");
}

/** The size of the file up to the end of its last whole line. */
async function wholeSize(file: OpenFile, size: number): Promise<number> {
  for (let end = size; end > 0; end -= Math.min(end, TAIL_BYTES)) {
    const start = Math.max(0, end - TAIL_BYTES);
    const newline = (await file.read(start, end - start)).lastIndexOf(NEWLINE);
    if (newline >= 0) return start + newline + 1;
  }
  return 0;
}

/** An open file of JSON lines, written by one owner. */
export class JsonLines {
  readonly path: string;
  readonly #files: Files;
  /** Null after a replacement whose new file could not be opened yet. */
  #file: OpenFile | null;
  #size: number;
  /** True when bytes behind the size may have been written. */
  #dirty = false;
  /** False while a crash could take the file's name away, and its lines with it. */
  #named = false;

  private constructor(files: Files, path: string, file: OpenFile, size: number) {
    this.#files = files;
    this.path = path;
    this.#file = file;
    this.#size = size;
  }

  /**
   * Opens or creates the file. `knownBytes`: how much of it counts, null for all whole lines.
   * The file may turn out shorter after a power failure; compare `size`.
   */
  static async open(files: Files, path: string, knownBytes: number | null): Promise<JsonLines> {
    const file = await files.open(path, "write");
    try {
      const found = await file.size();
      const counted = Math.min(found, knownBytes ?? found);
      const size = await wholeSize(file, counted);
      if (size < found) await file.truncate(size);
      return new JsonLines(files, path, file, size);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Bytes that count. */
  get size(): number {
    return this.#size;
  }

  /** Appends whole lines; they count at once. @throws {STORAGE_FULL} with nothing appended. */
  async append(lines: Uint8Array): Promise<void> {
    if (lines.byteLength === 0) return;
    const file = await this.#open();
    if (this.#dirty) await this.#cut(file);
    this.#dirty = true;
    try {
      await file.write(lines, this.#size);
    } catch (error) {
      await this.#cut(file);
      throw error;
    }
    this.#size += lines.byteLength;
    this.#dirty = false;
  }

  /** Takes back everything behind `size`. */
  async cutBack(size: number): Promise<void> {
    if (size === this.#size) return;
    this.#size = size;
    this.#dirty = true;
    await this.#cut(await this.#open());
  }

  /** The bytes that count. */
  async read(): Promise<Uint8Array> {
    return (await this.#files.read(this.path)).subarray(0, this.#size);
  }

  /** Replaces the whole contents in one step; a crash keeps them for certain after `sync`. */
  async replace(lines: Uint8Array): Promise<void> {
    await replaceUnsynced(this.#files, this.path, lines);
    const old = this.#file;
    this.#file = null;
    this.#size = lines.byteLength;
    this.#dirty = false;
    this.#named = false;
    // The old handle leads to bytes that have no name any more.
    await old?.close();
    await this.#name();
    await this.#open();
  }

  /** Makes the lines durable, and the file's name when that is new. */
  async sync(): Promise<void> {
    await (await this.#open()).sync();
    await this.#name();
  }

  /** Idempotent. */
  async close(): Promise<void> {
    const file = this.#file;
    this.#file = null;
    await file?.close();
  }

  async #open(): Promise<OpenFile> {
    this.#file ??= await this.#files.open(this.path, "write");
    return this.#file;
  }

  async #name(): Promise<void> {
    if (this.#named) return;
    await this.#files.syncDirectory(dirname(this.path));
    this.#named = true;
  }

  async #cut(file: OpenFile): Promise<void> {
    await file.truncate(this.#size);
    this.#dirty = false;
  }
}
