/**
 * A folder that is being filled: remembers all it has put there, so that a failure takes exactly
 * that away again and nothing else. Files are never replaced.
 */
import { dirname, join } from "node:path";
import { EsperError } from "../../protocols/errors.ts";
import type { SavedFile } from "./backup-layout.ts";
import { type FileStat, type Files, PRIVATE_PERMISSIONS } from "./files.ts";
import { copyFile, listIfPresent, lstatIfPresent } from "./tree.ts";

/** How a file gets into a place. */
export interface PutOptions {
  readonly limit?: number | null;
  readonly syncSource?: boolean;
  readonly permissions?: number;
}

const SHOWN_NAMES = 3;

/** @throws {PLACE_TAKEN} unless the path is free or an empty directory. */
export async function requireEmpty(files: Files, path: string): Promise<void> {
  const stat = await lstatIfPresent(files, path);
  if (stat === null) return;
  const names = stat.kind === "directory" ? await listIfPresent(files, path) : [];
  if (stat.kind === "directory" && names.length === 0) return;
  const shown = names.slice(0, SHOWN_NAMES).join(", ");
  const isFull = stat.kind === "directory";
  const found = isFull ? `${names.length} names (${shown})` : await otherThing(files, path, stat);
  throw new EsperError(
    "PLACE_TAKEN",
    `${path} is ${isFull ? "not empty" : "no directory"}: expected an empty or a new directory, ` +
      `found ${found}. Nothing was changed; name another place`,
    { path, expected: "an empty or a new directory", found },
  );
}

const WORDS = { file: "a file", directory: "a directory", other: "a device or a socket" };

async function otherThing(files: Files, path: string, { kind }: FileStat): Promise<string> {
  return kind === "link" ? `a link to ${await files.readLink(path)}` : WORDS[kind];
}

/** Why a directory cannot be made somewhere; a failing device is told as itself. */
const UNUSABLE = [
  "EACCES",
  "EPERM",
  "EROFS",
  "ENOENT",
  "ENOTDIR",
  "EEXIST",
  "ENAMETOOLONG",
  "ELOOP",
];

/**
 * Makes the directory and those above it that are not there, as `make` does it.
 * @throws {PLACE_UNUSABLE} when no directory can be there.
 */
export async function usable<T>(path: string, make: () => Promise<T>): Promise<T> {
  try {
    return await make();
  } catch (error) {
    const { errno, path: where } = EsperError.is(error, "STORAGE_FAILED") ? error.details : {};
    if (!EsperError.is(error) || !UNUSABLE.includes(String(errno))) throw error;
    const expected = "a place where a directory can be made";
    throw new EsperError(
      "PLACE_UNUSABLE",
      `${path} cannot be used: ${error.message}. Nothing was changed; name another place`,
      { path, where: String(where), expected, found: String(errno) },
      error,
    );
  }
}

export class Place {
  readonly directory: string;
  readonly #files: Files;
  /** Newest last: taken away in the reverse order. */
  readonly #made: { readonly path: string; readonly folder: boolean }[] = [];
  readonly #saved = new Map<string, SavedFile>();

  constructor(files: Files, directory: string) {
    this.#files = files;
    this.directory = directory;
  }

  /** What was put here so far, in the order of its names. */
  get saved(): readonly SavedFile[] {
    return [...this.#saved.values()].sort((left, right) => (left.path < right.path ? -1 : 1));
  }

  /** Makes the folder, and those above it that are not there. */
  async folder(path = this.directory): Promise<void> {
    if ((await lstatIfPresent(this.#files, path)) !== null) return;
    await this.folder(dirname(path));
    await this.#files.makeDirectory(path);
    this.#made.push({ path, folder: true });
  }

  /** Copies a plain file to `name`. */
  async put(from: string, name: string, options: PutOptions = {}): Promise<SavedFile> {
    const { permissions = PRIVATE_PERMISSIONS, ...rest } = options;
    const to = join(this.directory, name);
    await this.folder(dirname(to));
    // Noted first: a copy that fails half-way leaves its beginning behind.
    if ((await lstatIfPresent(this.#files, to)) === null) {
      this.#made.push({ path: to, folder: false });
    }
    const copied = await copyFile(this.#files, { from, to, permissions, ...rest });
    const saved = { path: name, ...copied };
    this.#saved.set(name, saved);
    return saved;
  }

  /** Notes a file that somebody else is about to write here. */
  willHold(name: string): void {
    this.#made.push({ path: join(this.directory, name), folder: false });
  }

  /** Takes away all files of a folder that were put here; it may be filled anew. */
  async clear(folder: string): Promise<void> {
    for (const name of [...this.#saved.keys()]) {
      if (!name.startsWith(`${folder}/`)) continue;
      this.#saved.delete(name);
      await this.#remove(join(this.directory, name), false);
    }
  }

  /** Takes away everything; what cannot be removed stays, for the first error is the one told. */
  async undo(): Promise<void> {
    for (const { path, folder } of this.#made.splice(0).reverse()) {
      await this.#remove(path, folder).catch((error: unknown) => {
        if (!EsperError.is(error)) throw error;
      });
    }
    this.#saved.clear();
  }

  async #remove(path: string, folder: boolean): Promise<void> {
    if ((await lstatIfPresent(this.#files, path)) === null) return;
    if (folder) await this.#files.removeDirectory(path);
    else await this.#files.remove(path);
  }
}
