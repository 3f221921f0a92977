/**
 * Checkpoints of one run in a directory. A save is whole, read back and named, or not there; the
 * newest intact one is always found, whatever happened to the others. Old ones are pruned by count
 * and age; that and the index are housekeeping, and their failure is told but fails no save.
 */
import { join } from "node:path";
import { EsperError } from "../../protocols/errors.ts";
import { decodeCheckpoint } from "./checkpoint.ts";
import { describeMeta, verifyCheckpoint, writeCheckpoint } from "./checkpoint-file.ts";
import type { Checkpoint } from "./checkpoint-format.ts";
import {
  type CheckpointEntry,
  checkpointName,
  listCheckpoints,
  newestFirst,
  readName,
  writeIndex,
} from "./checkpoint-index.ts";
import { DEFAULT_RETENTION, doomed, type Retention } from "./checkpoint-retention.ts";
import { type Files, isMissing, removeIfPresent, statIfPresent } from "./files.ts";

const UNFINISHED = /\.ckpt\.tmp$/;

interface Found {
  readonly path: string;
  readonly step: number;
  readonly final: boolean;
}

/** An intact checkpoint, with its bytes and what they decode to. */
export interface StoredCheckpoint extends Found {
  readonly bytes: Uint8Array;
  readonly checkpoint: Checkpoint;
}

/** A checkpoint that was passed over, and why. */
export interface SkippedCheckpoint {
  readonly path: string;
  readonly step: number;
  readonly error: EsperError;
}

/** A checkpoint that is on disk and was read back. */
export interface SavedCheckpoint {
  readonly path: string;
  readonly bytes: number;
  readonly digest: string;
  /** Why old checkpoints or the index are not as they should be; the save itself is good. */
  readonly housekeeping: EsperError | null;
}

/** What a save is told besides the state. */
export interface SaveOptions {
  readonly final?: boolean;
  /** Wall clock. */
  readonly nowMs: number;
}

/** One process saves into a directory at a time; any number may look. */
export class CheckpointStore {
  readonly #files: Files;
  readonly #directory: string;
  readonly #modelPath: string | null;
  readonly #retention: Retention;
  /** What this store has verified itself: a disk without room for the index forgets nothing. */
  readonly #verified = new Map<string, CheckpointEntry>();

  /** A final checkpoint is also written to `modelPath` when one is given. */
  constructor(
    files: Files,
    directory: string,
    modelPath: string | null = null,
    retention: Retention = DEFAULT_RETENTION,
  ) {
    this.#files = files;
    this.#directory = directory;
    this.#modelPath = modelPath;
    this.#retention = retention;
  }

  /**
   * Stores the state after `step` optimizer steps; returns once it is on disk and was read back.
   * Checkpoints of later steps belong to a future that was given up, and are removed before.
   * @throws {STORAGE_FULL} @throws {STORAGE_FAILED} @throws {CHECKPOINT_DIGEST} with all earlier
   * checkpoints untouched.
   */
  async save(
    step: number,
    checkpoint: Checkpoint,
    { final = false, nowMs }: SaveOptions,
  ): Promise<SavedCheckpoint> {
    const name = checkpointName(step, final);
    const path = join(this.#directory, name);
    await this.#files.makeDirectory(this.#directory);
    const { bytes, digest } = await writeCheckpoint(this.#files, path, checkpoint);
    if (final && this.#modelPath !== null) {
      await writeCheckpoint(this.#files, this.#modelPath, checkpoint);
    }
    await this.#giveUpAfter(step);
    const { epoch } = describeMeta(checkpoint.meta);
    this.#verified.set(name, {
      ...{ path, name, step, final, bytes, epoch, digest, flaw: null },
      ...{ savedMs: nowMs, verifiedMs: nowMs },
    });
    return { path, bytes, digest, housekeeping: await this.#keepHouse(nowMs) };
  }

  /** What is there, newest first, without reading it whole. */
  async list(): Promise<readonly CheckpointEntry[]> {
    const entries = await listCheckpoints(this.#files, this.#directory);
    return entries.map((entry) => {
      const own = this.#verified.get(entry.name);
      const isOwn = own?.digest === entry.digest && own.bytes === entry.bytes;
      return isOwn && entry.flaw === null ? own : entry;
    });
  }

  /**
   * The newest intact checkpoint up to a step, or null, and the newer ones that were damaged.
   * @throws {CHECKPOINT_VERSION} when a newer one is of a later version: it may be the right one.
   */
  async latestGood(upToStep = Number.POSITIVE_INFINITY): Promise<{
    readonly good: StoredCheckpoint | null;
    readonly damaged: readonly SkippedCheckpoint[];
  }> {
    const damaged: SkippedCheckpoint[] = [];
    for (const entry of await this.#found()) {
      if (entry.step > upToStep) continue;
      try {
        const bytes = await this.#files.read(entry.path);
        const checkpoint = decodeCheckpoint(bytes, entry.path);
        return { good: { ...entry, bytes, checkpoint }, damaged };
      } catch (error) {
        const isDamage = EsperError.is(error, "CHECKPOINT_DIGEST");
        // A sector that cannot be read is damage too; the older checkpoints are elsewhere.
        if (!isDamage && !EsperError.is(error, "STORAGE_FAILED")) throw error;
        damaged.push({ path: entry.path, step: entry.step, error });
      }
    }
    return { good: null, damaged };
  }

  /**
   * Gives checkpoints that were passed over names of their own, `*.broken`: nothing finds them any
   * more, and nothing removes them. Returns the new names, in order.
   * @throws {STORAGE_FAILED}
   */
  async setAside(passedOver: readonly { readonly path: string }[]): Promise<readonly string[]> {
    const names: string[] = [];
    for (const { path } of passedOver) {
      const name = await this.#freeName(path);
      await this.#files.rename(path, name);
      names.push(name);
    }
    if (names.length > 0) await this.#files.syncDirectory(this.#directory);
    return names;
  }

  /**
   * The newest intact checkpoint.
   * @throws {CHECKPOINT_MISSING} naming the damaged ones when there is none.
   */
  async requireGood(): Promise<StoredCheckpoint> {
    const { good, damaged } = await this.latestGood();
    if (good !== null) return good;
    const paths = damaged.map(({ path }) => path);
    const found = paths.length === 0 ? "it has none" : `all are damaged: ${paths.join(", ")}`;
    throw new EsperError(
      "CHECKPOINT_MISSING",
      `${this.#directory} holds no intact checkpoint (${found}). Start a new run instead`,
      { directory: this.#directory, damaged: paths },
    );
  }

  async #names(): Promise<readonly string[]> {
    return this.#files.list(this.#directory).catch((error: unknown) => {
      if (isMissing(error)) return [];
      throw error;
    });
  }

  /** Newest first; of equal steps the final one first. */
  async #found(): Promise<readonly Found[]> {
    const found = (await this.#names()).flatMap((name) => {
      const said = readName(name);
      return said === null ? [] : [{ path: join(this.#directory, name), ...said }];
    });
    return found.sort(newestFirst);
  }

  async #freeName(path: string): Promise<string> {
    for (let number = 1; ; number++) {
      const name = number === 1 ? `${path}.broken` : `${path}.broken.${number}`;
      if ((await statIfPresent(this.#files, name)) === null) return name;
    }
  }

  /** False also when it cannot be read: then nobody knows what it is. */
  async #isIntact(path: string): Promise<boolean> {
    try {
      return (await verifyCheckpoint(this.#files, path)).ok;
    } catch (error) {
      if (EsperError.is(error)) return false;
      throw error;
    }
  }

  /**
   * Part of the promise of a save: the next start would find a given-up future first. What is not
   * intact is only moved aside: it may be of a later version, or all that a person has left.
   */
  async #giveUpAfter(step: number): Promise<void> {
    const abandoned = (await this.#found()).filter((found) => found.step > step);
    for (const found of abandoned) {
      if (await this.#isIntact(found.path)) await removeIfPresent(this.#files, found.path);
      else await this.setAside([found]);
    }
    if (abandoned.length > 0) await this.#files.syncDirectory(this.#directory);
  }

  async #keepHouse(nowMs: number): Promise<EsperError | null> {
    try {
      const kept = await this.#prune(nowMs);
      await writeIndex(this.#files, this.#directory, kept);
      return null;
    } catch (error) {
      if (EsperError.is(error)) return error;
      throw error;
    }
  }

  /** Removes what may go and returns what stays. */
  async #prune(nowMs: number): Promise<readonly CheckpointEntry[]> {
    const entries = await this.list();
    const unfinished = (await this.#names()).filter((name) => UNFINISHED.test(name));
    const leftOver = unfinished.map((name) => join(this.#directory, name));
    const going = new Set(doomed(entries, this.#retention, nowMs));
    const paths = [...leftOver, ...[...going].map(({ path }) => path)];
    for (const path of paths) await removeIfPresent(this.#files, path);
    for (const { name } of going) this.#verified.delete(name);
    if (paths.length > 0) await this.#files.syncDirectory(this.#directory);
    return entries.filter((entry) => !going.has(entry));
  }
}
