/**
 * Looks a run's directory over before anything in it is used: every name the program uses must be
 * the kind of thing it expects, and no link, because what a link leads to may belong to another
 * run or to nobody. It reads names only, and changes nothing.
 */
import { join } from "node:path";
import { EsperError } from "../../protocols/errors.ts";
import type { EntryKind, Files } from "../durable/files.ts";
import { listIfPresent, lstatIfPresent } from "../durable/tree.ts";

type Expected = "file" | "directory" | "socket";

/** What may lie in a run's directory under the names that the program uses. */
const KINDS: Readonly<Record<string, Expected>> = {
  "manifest.json": "file",
  "restore.json": "file",
  "metrics.jsonl": "file",
  "events.jsonl": "file",
  "runtime.jsonl": "file",
  "log.jsonl": "file",
  "model.ckpt": "file",
  secret: "file",
  checkpoints: "directory",
  wal: "directory",
  ledger: "directory",
  "control.sock": "socket",
};
const LOCK_NAME = /^lock\.\d+$/;

const WORDS: Readonly<Record<EntryKind, string>> = {
  file: "a file",
  directory: "a directory",
  link: "a link",
  other: "a device or a socket",
};

async function wrong(files: Files, path: string, kind: EntryKind, expected: Expected) {
  const found = kind === "link" ? `a link to ${await files.readLink(path)}` : WORDS[kind];
  return new EsperError(
    "RUN_LAYOUT",
    `${path} cannot be used: expected a ${expected}, found ${found}. ` +
      `Put the run's own ${expected} there; nothing was changed`,
    { file: path, path, expected: `a ${expected}`, found },
  );
}

/** @throws {RUN_LAYOUT} when something else is there; nothing there is fine. */
async function requireKind(files: Files, path: string, expected: Expected): Promise<void> {
  const stat = await lstatIfPresent(files, path);
  if (stat === null) return;
  const wanted = expected === "socket" ? "other" : expected;
  // The socket's name is only ever replaced: whatever else is there is not followed.
  if (stat.kind === wanted || (expected === "socket" && stat.kind === "file")) return;
  throw await wrong(files, path, stat.kind, expected);
}

/** The names of the run itself. @throws {RUN_LAYOUT} naming the path, expected and found. */
export async function checkLayout(files: Files, directory: string): Promise<void> {
  for (const name of await listIfPresent(files, directory)) {
    const expected = LOCK_NAME.test(name) ? "file" : KINDS[name];
    if (expected !== undefined) await requireKind(files, join(directory, name), expected);
  }
}

/**
 * Also everything in its folders: for whoever is about to write there.
 * @throws {RUN_LAYOUT} naming the path, what was expected and what was found.
 */
export async function checkWholeLayout(files: Files, directory: string): Promise<void> {
  await checkLayout(files, directory);
  const folders = Object.keys(KINDS).filter((name) => KINDS[name] === "directory");
  for (const folder of folders) {
    const inside = join(directory, folder);
    for (const name of await listIfPresent(files, inside)) {
      await requireKind(files, join(inside, name), "file");
    }
  }
}
