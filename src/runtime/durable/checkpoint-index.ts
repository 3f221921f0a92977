/**
 * What is in a directory of checkpoints, without reading them whole. `index.json` remembers what
 * was verified, when and with which verdict; it is a cache and nothing else: an entry counts only
 * while the file still has its size and the digest at its end, and a torn or missing index costs
 * time, never truth.
 */
import { join } from "node:path";
import { z } from "zod";
import { EsperError } from "../../protocols/errors.ts";
import { type CheckpointVerdict, describeMeta, summarise } from "./checkpoint-file.ts";
import { DIGEST_BYTES, isFlaw } from "./checkpoint-format.ts";
import { atomicWrite, type Files, isMissing, readTextIfPresent } from "./files.ts";

const INDEX = "index.json";
const CHECKPOINT_NAME = /^(step|final)-(\d{12})\.ckpt$/;
const MAX_INDEX_TEXT = 1_048_576;
const MAX_FLAW_TEXT = 256;

/** One checkpoint of a directory, as far as it is known without reading it whole. */
export interface CheckpointEntry {
  readonly path: string;
  readonly name: string;
  readonly step: number;
  readonly final: boolean;
  readonly bytes: number;
  /** When it was written, in milliseconds since 1970. */
  readonly savedMs: number;
  /** Null where the file cannot tell. */
  readonly epoch: number | null;
  /** Hex, as it stands in the file. */
  readonly digest: string | null;
  /** When every byte was last found right; null when nobody looked, or it was found wrong. */
  readonly verifiedMs: number | null;
  /** What is plainly wrong with it; null says only that nothing was seen. */
  readonly flaw: string | null;
}

const entrySchema = z.strictObject({
  name: z.string().regex(CHECKPOINT_NAME),
  bytes: z.int().nonnegative(),
  savedMs: z.number(),
  epoch: z.number().nullable(),
  digest: z.string().regex(/^[0-9a-f]{64}$/),
  verifiedMs: z.number().nullable(),
  /** What reading all of it has found; counts only while the file was not written since. */
  flaw: z.string().max(MAX_FLAW_TEXT).optional(),
});
const indexSchema = z.strictObject({ version: z.literal(1), entries: z.array(entrySchema) });
type Remembered = z.infer<typeof entrySchema>;

/** The file's name for this step. */
export function checkpointName(step: number, final: boolean): string {
  return `${final ? "final" : "step"}-${String(step).padStart(12, "0")}.ckpt`;
}

/** What a name says; null for a file that is no checkpoint. */
export function readName(name: string): { readonly step: number; readonly final: boolean } | null {
  const match = CHECKPOINT_NAME.exec(name);
  return match === null ? null : { step: Number(match[2]), final: match[1] === "final" };
}

function parseIndex(text: string): readonly Remembered[] {
  if (text.length > MAX_INDEX_TEXT) return [];
  try {
    const parsed = indexSchema.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data.entries : [];
  } catch (error) {
    if (error instanceof SyntaxError) return [];
    throw error;
  }
}

async function readIndex(files: Files, directory: string): Promise<Map<string, Remembered>> {
  try {
    const text = await readTextIfPresent(files, join(directory, INDEX));
    return new Map(parseIndex(text ?? "").map((entry) => [entry.name, entry]));
  } catch (error) {
    if (EsperError.is(error)) return new Map();
    throw error;
  }
}

/** Replaces the index. @throws {STORAGE_FULL} @throws {STORAGE_FAILED}: nothing is lost then. */
export async function writeIndex(
  files: Files,
  directory: string,
  entries: readonly CheckpointEntry[],
): Promise<void> {
  const known = entries.flatMap(({ name, bytes, savedMs, epoch, digest, verifiedMs, flaw }) => {
    if (digest === null || (verifiedMs === null && flaw === null)) return [];
    const entry: Remembered = { name, bytes, savedMs, epoch, digest, verifiedMs };
    return [flaw === null ? entry : { ...entry, flaw: flaw.slice(0, MAX_FLAW_TEXT) }];
  });
  const text = `${JSON.stringify({ version: 1, entries: known }, null, 1)}\n`;
  await atomicWrite(files, join(directory, INDEX), new TextEncoder().encode(text));
}

/** What the file itself says at its two ends. */
async function lookInto(
  files: Files,
  path: string,
  modifiedMs: number,
  remembered: Remembered | undefined,
) {
  const nothing = { epoch: null, digest: null, verifiedMs: null };
  const file = await files.open(path, "read");
  try {
    const size = await file.size();
    const tail = await file.read(Math.max(0, size - DIGEST_BYTES), DIGEST_BYTES);
    const digest = Buffer.from(tail).toString("hex");
    if (remembered?.bytes === size && remembered.digest === digest) {
      const { epoch, verifiedMs, savedMs, flaw } = remembered;
      if (flaw === undefined) return { epoch, digest, verifiedMs, savedMs, flaw: null };
      // Put back from a copy since, perhaps: then nobody has looked at it.
      if (savedMs === modifiedMs) return { epoch, digest, verifiedMs: null, flaw };
    }
    const summary = await summarise(file);
    if (isFlaw(summary)) return { ...nothing, flaw: summary.why };
    const { epoch } = describeMeta(summary.meta);
    return { ...nothing, epoch, digest, flaw: null };
  } catch (error) {
    // A file that cannot be read is one more that cannot be relied on; the others still can.
    if (!EsperError.is(error, "STORAGE_FAILED")) throw error;
    return { ...nothing, flaw: error.message };
  } finally {
    await file.close();
  }
}

async function describeFile(
  files: Files,
  directory: string,
  name: string,
  remembered: Remembered | undefined,
): Promise<CheckpointEntry | null> {
  const said = readName(name);
  if (said === null) return null;
  const path = join(directory, name);
  const blank = { path, name, ...said, epoch: null, digest: null, verifiedMs: null };
  try {
    const { size: bytes, modifiedMs: savedMs, isDirectory } = await files.stat(path);
    if (isDirectory) return { ...blank, bytes, savedMs, flaw: "it is a directory" };
    return { ...blank, bytes, savedMs, ...(await lookInto(files, path, savedMs, remembered)) };
  } catch (error) {
    // Removed since the directory was listed: a live run prunes.
    if (isMissing(error)) return null;
    if (!EsperError.is(error, "STORAGE_FAILED")) throw error;
    return { ...blank, bytes: 0, savedMs: 0, flaw: error.message };
  }
}

/** Newest first; of equal steps the final one first. */
export function newestFirst(
  left: Pick<CheckpointEntry, "step" | "final">,
  right: Pick<CheckpointEntry, "step" | "final">,
): number {
  return right.step - left.step || Number(right.final) - Number(left.final);
}

/**
 * The checkpoints of a directory, newest first; none when it is not there. Reads both ends of each
 * file and changes nothing, so it is safe on a live run.
 * @throws {STORAGE_FAILED} when the directory cannot be read.
 */
export async function listCheckpoints(files: Files, directory: string): Promise<CheckpointEntry[]> {
  const names = await files.list(directory).catch((error: unknown) => {
    if (isMissing(error)) return [];
    throw error;
  });
  const remembered = await readIndex(files, directory);
  const entries: CheckpointEntry[] = [];
  for (const name of names) {
    const entry = await describeFile(files, directory, name, remembered.get(name));
    if (entry !== null) entries.push(entry);
  }
  return entries.sort(newestFirst);
}

/** An entry with what a reading of every byte has found. */
async function judged(
  files: Files,
  entry: CheckpointEntry,
  { ok, flaw, bytes, digest, epoch }: CheckpointVerdict,
  nowMs: number,
): Promise<CheckpointEntry> {
  if (ok) return { ...entry, bytes, digest, epoch, verifiedMs: nowMs, flaw: null };
  const { modifiedMs: savedMs } = await files.stat(entry.path);
  // Its ends may fit all the same: by them it is known again.
  return { ...entry, savedMs, verifiedMs: null, flaw: flaw?.why ?? null };
}

/**
 * Remembers what a look at every byte has found, so that a list tells it. For a directory that
 * nobody saves into. @throws {STORAGE_FULL} @throws {STORAGE_FAILED}: nothing is lost then.
 */
export async function rememberVerdicts(
  files: Files,
  directory: string,
  verdicts: readonly CheckpointVerdict[],
  nowMs: number,
): Promise<void> {
  const byPath = new Map(verdicts.map((verdict) => [verdict.path, verdict]));
  const entries: CheckpointEntry[] = [];
  for (const entry of await listCheckpoints(files, directory)) {
    const verdict = byPath.get(entry.path);
    entries.push(verdict === undefined ? entry : await judged(files, entry, verdict, nowMs));
  }
  await writeIndex(files, directory, entries);
}
