/**
 * What a backup of a run looks like: the run's own layout beside `backup.json`, which is written
 * last and names every file with its size and SHA-256. A folder without that file is no backup,
 * and nothing of a backup is used before all of it was compared with it.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { z } from "zod";
import { EsperError } from "../../protocols/errors.ts";
import { atomicWrite, type Files, isMissing, PRIVATE_PERMISSIONS } from "./files.ts";
import { digestFile, listTree, lstatIfPresent } from "./tree.ts";

/** The file that makes a folder a backup. */
export const BACKUP_FILE = "backup.json";
/** The logs that a run may have, each in a folder of this name. */
export const LOG_NAMES = ["wal", "ledger"] as const;
export type LogName = (typeof LOG_NAMES)[number];

const FORMAT = "esper-backup";
const VERSION = 1;
const MAX_BYTES = 16 * 1_048_576;
/** One folder deep at most, and nothing that leads anywhere else. */
const SAFE_NAME = /^(?:[A-Za-z0-9][\w.-]*\/)?[A-Za-z0-9][\w.-]*$/;
/** Belong to the process that works on a run, never to its contents. */
const RESERVED = /^(?:lock\.\d+|control\.sock|backup\.json|restore\.json)(?:\.tmp)?$/;

const count = z.int().nonnegative();
const manifestSchema = z.strictObject({
  format: z.literal(FORMAT),
  version: z.literal(VERSION),
  runId: z.string().min(1),
  /** ISO 8601, UTC. */
  createdAt: z.iso.datetime(),
  product: z.string(),
  /** The optimizer step of the checkpoint that was saved; null when there was none. */
  step: count.nullable(),
  logs: z.array(
    z.strictObject({
      name: z.enum(LOG_NAMES),
      logId: z.string().nullable(),
      segments: count,
      records: count,
      bytes: count,
      lastSequence: count,
    }),
  ),
  files: z.array(
    z.strictObject({
      path: z.string(),
      bytes: count,
      sha256: z.string().regex(/^[0-9a-f]{64}$/),
    }),
  ),
});
/** What a backup holds. */
export type BackupManifest = z.infer<typeof manifestSchema>;
export type SavedFile = BackupManifest["files"][number];
export type SavedLog = BackupManifest["logs"][number];

/** True for a name that a backup may hold and a restore may write. */
export function isSafeName(name: string): boolean {
  return SAFE_NAME.test(name) && !RESERVED.test(name) && !name.includes("..");
}

function digestOf(value: object): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex");
}

/** Writes `backup.json`: from here on the folder is a backup. */
export async function writeBackupManifest(
  files: Files,
  directory: string,
  manifest: BackupManifest,
): Promise<void> {
  const checked = manifestSchema.parse(manifest);
  const text = `${JSON.stringify({ ...checked, digest: digestOf(checked) }, null, 2)}\n`;
  const path = join(directory, BACKUP_FILE);
  await atomicWrite(files, path, new TextEncoder().encode(text), PRIVATE_PERMISSIONS);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

async function readBounded(files: Files, path: string): Promise<Uint8Array> {
  try {
    const { size, kind } = await files.lstat(path);
    if (kind === "file" && size <= MAX_BYTES) return await files.read(path);
    const found = kind === "file" ? `${size} bytes` : `a ${kind}`;
    throw invalid(path, `a file of at most ${MAX_BYTES} bytes`, found);
  } catch (error) {
    if (!isMissing(error)) throw error;
    throw new EsperError(
      "BACKUP_MISSING",
      `${path} is not there: the folder is not a backup, or its backup was never finished. ` +
        "Name a folder that `wal backup` has filled",
      { path },
    );
  }
}

function invalid(path: string, expected: string, found: string): EsperError {
  return new EsperError(
    "BACKUP_INVALID",
    `${path} does not describe a backup this program can read: expected ${expected}, found ` +
      `${found}. Use another backup, or the version of the program that wrote it`,
    { path, offset: 0, expected, found },
  );
}

function refuseForeign(path: string, json: unknown): void {
  const head = z.looseObject({ format: z.string(), version: z.number() }).safeParse(json);
  if (!head.success) throw invalid(path, "a JSON object with format and version", "none");
  const { format, version } = head.data;
  if (format !== FORMAT) throw invalid(path, `the format ${FORMAT}`, format);
  if (version !== VERSION) throw invalid(path, `format version ${VERSION}`, String(version));
}

/**
 * Reads `backup.json` and checks it against its own digest.
 * @throws {BACKUP_MISSING} @throws {BACKUP_INVALID} @throws {BACKUP_DAMAGED}
 */
export async function readBackupManifest(files: Files, directory: string): Promise<BackupManifest> {
  const path = join(directory, BACKUP_FILE);
  const json = parseJson(new TextDecoder().decode(await readBounded(files, path)));
  refuseForeign(path, json);
  const parsed = manifestSchema.extend({ digest: z.string() }).safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw damaged(path, `a valid ${issue?.path.join(".") ?? "manifest"}`, issue?.message ?? "none");
  }
  const { digest, ...manifest } = parsed.data;
  const found = digestOf(manifest);
  if (found !== digest) throw damaged(path, `the digest ${digest}`, found);
  const unsafe = manifest.files.find((file) => !isSafeName(file.path));
  if (unsafe !== undefined) throw invalid(path, "names inside the backup", unsafe.path);
  return manifest;
}

function damaged(path: string, expected: string, found: string): EsperError {
  return new EsperError(
    "BACKUP_DAMAGED",
    `${path} is not as it was saved: expected ${expected}, found ${found}. Nothing was changed. ` +
      "Use another backup",
    { path, offset: 0, expected, found },
  );
}

/** Compares every file of a backup with what `backup.json` says. @throws {BACKUP_DAMAGED} */
export async function verifyBackupFiles(
  files: Files,
  directory: string,
  manifest: BackupManifest,
): Promise<void> {
  for (const { path: name, bytes, sha256 } of manifest.files) {
    const path = join(directory, name);
    const stat = await lstatIfPresent(files, path);
    if (stat?.kind !== "file") {
      const strange =
        stat?.kind === "link" ? `a link to ${await files.readLink(path)}` : stat?.kind;
      throw damaged(path, `a file of ${bytes} bytes`, strange ?? "nothing");
    }
    const found = await digestFile(files, path);
    if (found.bytes !== bytes) throw damaged(path, `${bytes} bytes`, `${found.bytes} bytes`);
    if (found.sha256 !== sha256) throw damaged(path, `SHA-256 ${sha256}`, found.sha256);
  }
  const known = new Set([BACKUP_FILE, ...manifest.files.map(({ path }) => path)]);
  const extra = (await listTree(files, directory)).find(
    ({ name }) => !known.has(name) && LOG_NAMES.some((log) => name.startsWith(`${log}/`)),
  );
  if (extra !== undefined) throw damaged(extra.path, "nothing", "a file that was not saved");
}
