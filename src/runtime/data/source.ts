/**
 * Reads the user's files whole and only when they fit. Whatever the disk says becomes a coded error
 * that names the path, the cause and, for a wrong name, the nearest one. Never writes.
 */
import { basename, dirname } from "node:path";
import { EsperError } from "../../protocols/errors.ts";
import { nearest } from "../cli/suggest.ts";
import type { Files } from "../durable/files.ts";
import { assertWithinBudget } from "./budget.ts";
import { invalidData } from "./refuse.ts";

/** The part of the disk that loading needs. */
export type FileReader = Pick<Files, "stat" | "read" | "open" | "list">;

/** Where data comes from and how much memory it may take. */
export interface LoadOptions {
  readonly files: FileReader;
  /** Most bytes that the file, and then the decoded data, may take. */
  readonly budgetBytes: number;
}

const CAUSES: Readonly<Record<string, string>> = {
  EACCES: "this user may not read it (EACCES): change its permissions",
  EPERM: "this user may not read it (EPERM): change its permissions",
  EISDIR: "it is a folder (EISDIR): name a file in it",
  ENOTDIR: "a part of the path is not a folder (ENOTDIR)",
};

/**
 * The size of the file in bytes.
 * @throws {DATA_INVALID} when it cannot be read or is empty. @throws {DATA_TOO_LARGE}
 */
export async function checkSource(path: string, options: LoadOptions): Promise<number> {
  const found = await explain(path, options, () => options.files.stat(path));
  if (found.isDirectory) throw invalidData(path, CAUSES["EISDIR"] ?? "", { errno: "EISDIR" });
  if (found.size === 0) throw invalidData(path, "the file is empty");
  assertWithinBudget(path, "the file", found.size, options.budgetBytes);
  return found.size;
}

/**
 * The whole file.
 * @throws {DATA_INVALID} when it cannot be read or is empty. @throws {DATA_TOO_LARGE}
 */
export async function readSource(path: string, options: LoadOptions): Promise<Uint8Array> {
  await checkSource(path, options);
  const bytes = await explain(path, options, () => options.files.read(path));
  // The file may have grown since it was measured.
  assertWithinBudget(path, "the file", bytes.byteLength, options.budgetBytes);
  return bytes;
}

/** The first `length` bytes, fewer when the file is shorter. @throws {DATA_INVALID} */
export async function readHead(
  path: string,
  length: number,
  options: LoadOptions,
): Promise<Uint8Array> {
  return explain(path, options, async () => {
    const file = await options.files.open(path, "read");
    try {
      return await file.read(0, length);
    } finally {
      await file.close();
    }
  });
}

async function explain<T>(
  path: string,
  options: LoadOptions,
  action: () => Promise<T>,
): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    if (!EsperError.is(cause, "STORAGE_FAILED")) throw cause;
    const errno = String(cause.details["errno"]);
    const why =
      errno === "ENOENT"
        ? await explainMissing(path, options.files)
        : (CAUSES[errno] ?? `the disk refused to read it (${errno})`);
    throw new EsperError("DATA_INVALID", `${path}: ${why}`, { path, errno }, cause);
  }
}

async function explainMissing(path: string, files: FileReader): Promise<string> {
  const folder = dirname(path);
  try {
    const near = nearest(basename(path), await files.list(folder));
    return near === null
      ? "there is no such file (ENOENT): check the path"
      : `there is no such file (ENOENT); did you mean ${near}?`;
  } catch (cause) {
    if (!EsperError.is(cause, "STORAGE_FAILED")) throw cause;
    return `there is no such file, and its folder ${folder} cannot be read (ENOENT)`;
  }
}
