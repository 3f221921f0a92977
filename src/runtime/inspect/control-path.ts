/**
 * Where the control socket of a run lies, and who may use it: the owner of the run directory
 * alone. The system bounds the length of a socket's path to about a hundred bytes; a longer one is
 * reached through a short-lived link to its directory.
 */
import { randomBytes } from "node:crypto";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { EsperError } from "../../protocols/errors.ts";
import { type Files, removeIfPresent, statIfPresent } from "../durable/files.ts";

/** The least of all systems, the closing zero left out. */
const MAX_PATH_BYTES = 103;
const OTHERS_WRITE = 0o002;
const STICKY = 0o1000;
const OTHERS_ANY = 0o077;

/** The user this process runs as; null where the system has no users. */
export function ownUser(): number | null {
  return process.getuid?.() ?? null;
}

/** Runs `use` with a path of bearable length that leads to the socket at `path`. */
export async function withShortPath<T>(
  files: Pick<Files, "symlink" | "remove">,
  path: string,
  use: (path: string) => Promise<T>,
): Promise<T> {
  if (Buffer.byteLength(path) <= MAX_PATH_BYTES) return use(path);
  const link = join(tmpdir(), `esper-${randomBytes(6).toString("hex")}`);
  const short = join(link, basename(path));
  const bytes = Buffer.byteLength(short);
  if (bytes > MAX_PATH_BYTES) {
    const text =
      `the path of the control socket has ${bytes} bytes, ` +
      `at most ${MAX_PATH_BYTES} are allowed: ${short}`;
    throw new EsperError("CONTROL_DENIED", text, { path: short, limit: MAX_PATH_BYTES });
  }
  await files.symlink(resolve(dirname(path)), link);
  try {
    return await use(short);
  } finally {
    await files.remove(link);
  }
}

/** @throws {CONTROL_DENIED} when others could put a socket of their own into the directory. */
export async function checkDirectory(
  files: Pick<Files, "stat">,
  directory: string,
  user: number | null,
): Promise<void> {
  const { owner, permissions } = await files.stat(directory);
  if (user === null || owner === undefined || permissions === undefined) return;
  if (owner !== user && owner !== 0) {
    throw denied(directory, `${directory} belongs to user ${owner}, not to user ${user}`);
  }
  if ((permissions & OTHERS_WRITE) === 0 || (permissions & STICKY) !== 0) return;
  throw denied(directory, `everybody may write to ${directory}; take that away: chmod o-w`);
}

/** @throws {CONTROL_DENIED} unless the socket at `path` is this user's and nobody else's. */
export async function checkSocket(
  files: Files,
  path: string,
  user: number | null,
): Promise<"there" | "missing"> {
  const found = await statIfPresent(files, path);
  if (found === null) return "missing";
  const { owner, permissions } = found;
  if (user === null || owner === undefined || permissions === undefined) return "there";
  if (owner !== user && user !== 0) {
    throw denied(path, `${path} belongs to user ${owner}; only that user may use it`);
  }
  if ((permissions & OTHERS_ANY) === 0) return "there";
  const octal = permissions.toString(8);
  throw denied(path, `${path} is open to others (mode ${octal}); allowed is 600`);
}

/** Removes what a dead process left behind. */
export async function removeSocket(files: Files, path: string): Promise<void> {
  await removeIfPresent(files, path);
}

function denied(path: string, text: string): EsperError {
  return new EsperError("CONTROL_DENIED", text, { path });
}
