/**
 * How much room a run needs on its disk to begin. A run that starts on a full disk would refuse its
 * first command and lose its first checkpoint, so it is refused instead, before anything is made.
 */
import { dirname } from "node:path";
import { EsperError } from "../../protocols/errors.ts";
import { type Files, isMissing } from "../durable/files.ts";

/** Logs, reports and some checkpoints of a small network; a large run needs more. */
export const MIN_FREE_BYTES = 16 * 1_048_576;

/** Free bytes where `path` is, or will be: asked of the nearest folder that exists. */
export async function freeBytesAt(
  files: Pick<Files, "freeBytes">,
  path: string,
): Promise<{ readonly folder: string; readonly freeBytes: number }> {
  for (let folder = path; ; folder = dirname(folder)) {
    try {
      return { folder, freeBytes: await files.freeBytes(folder) };
    } catch (error) {
      if (!isMissing(error) || folder === dirname(folder)) throw error;
    }
  }
}

/** The size in a unit in which it is easily read. */
export function sizeText(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  let size = bytes;
  for (; size >= 1_024 && at < units.length - 1; at++) size /= 1_024;
  return `${at === 0 ? size : size.toFixed(1)} ${units[at]}`;
}

/** @throws {PREFLIGHT_FAILED} naming the folder, what is free and what is needed. */
export async function requireFreeSpace(
  files: Pick<Files, "freeBytes">,
  path: string,
): Promise<void> {
  const { folder, freeBytes } = await freeBytesAt(files, path);
  if (freeBytes >= MIN_FREE_BYTES) return;
  throw new EsperError(
    "PREFLIGHT_FAILED",
    `${folder} has ${sizeText(freeBytes)} of free space; a run needs ${sizeText(MIN_FREE_BYTES)} ` +
      "to begin: free space there, or name another folder with --runs",
    { path: folder, expected: MIN_FREE_BYTES, found: freeBytes },
  );
}
