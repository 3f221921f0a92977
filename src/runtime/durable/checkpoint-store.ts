/**
 * Checkpoints of one run in a directory. A save is whole or not there; the newest intact one is
 * always found, whatever happened to the others. Keeps the last three and the final one.
 */
import { join } from "node:path";
import { EsperError } from "../../protocols/errors.ts";
import { type Checkpoint, decodeCheckpoint } from "./checkpoint.ts";
import { atomicWrite, type Files, isMissing, removeIfPresent } from "./files.ts";

const KEPT = 3;
const NAME = /^(step|final)-(\d{12})\.ckpt$/;

interface Entry {
  readonly path: string;
  readonly step: number;
  readonly final: boolean;
}

/** An intact checkpoint, with its bytes and what they decode to. */
export interface StoredCheckpoint extends Entry {
  readonly bytes: Uint8Array;
  readonly checkpoint: Checkpoint;
}

/** A checkpoint that was passed over, and why. */
export interface SkippedCheckpoint {
  readonly path: string;
  readonly step: number;
  readonly error: EsperError;
}

export class CheckpointStore {
  readonly #files: Files;
  readonly #directory: string;
  readonly #modelPath: string | null;

  /** A final checkpoint is also written to `modelPath` when one is given. */
  constructor(files: Files, directory: string, modelPath: string | null = null) {
    this.#files = files;
    this.#directory = directory;
    this.#modelPath = modelPath;
  }

  /**
   * Stores the state after `step` optimizer steps. Returns its path once it is on disk.
   * Checkpoints of later steps belong to a future that was given up, and are removed.
   * @throws {STORAGE_FULL} @throws {STORAGE_FAILED} with all earlier checkpoints untouched.
   */
  async save(
    step: number,
    bytes: Uint8Array,
    options: { readonly final?: boolean } = {},
  ): Promise<string> {
    const final = options.final ?? false;
    const name = `${final ? "final" : "step"}-${String(step).padStart(12, "0")}.ckpt`;
    const path = join(this.#directory, name);
    await this.#files.makeDirectory(this.#directory);
    await atomicWrite(this.#files, path, bytes);
    if (final && this.#modelPath !== null) await atomicWrite(this.#files, this.#modelPath, bytes);
    await this.#prune(step);
    return path;
  }

  /** The newest intact checkpoint, or null, and the newer ones that were damaged. */
  async latestGood(): Promise<{
    readonly good: StoredCheckpoint | null;
    readonly damaged: readonly SkippedCheckpoint[];
  }> {
    const damaged: SkippedCheckpoint[] = [];
    for (const entry of await this.#entries()) {
      const bytes = await this.#files.read(entry.path);
      try {
        const checkpoint = decodeCheckpoint(bytes, entry.path);
        return { good: { ...entry, bytes, checkpoint }, damaged };
      } catch (error) {
        if (!EsperError.is(error, "CHECKPOINT_DIGEST")) throw error;
        damaged.push({ path: entry.path, step: entry.step, error });
      }
    }
    return { good: null, damaged };
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

  /** Newest first; of equal steps the final one first. */
  async #entries(): Promise<Entry[]> {
    const names = await this.#files.list(this.#directory).catch((error: unknown) => {
      if (isMissing(error)) return [];
      throw error;
    });
    const entries = names.flatMap((name) => {
      const match = NAME.exec(name);
      if (match === null) return [];
      const path = join(this.#directory, name);
      return [{ path, step: Number(match[2]), final: match[1] === "final" }];
    });
    return entries.sort(
      (left, right) => right.step - left.step || Number(right.final) - Number(left.final),
    );
  }

  async #prune(step: number): Promise<void> {
    const entries = await this.#entries();
    const abandoned = entries.filter((entry) => entry.step > step);
    const ordinary = entries.filter((entry) => entry.step <= step && !entry.final);
    const doomed = [...abandoned, ...ordinary.slice(KEPT)];
    for (const { path } of doomed) await removeIfPresent(this.#files, path);
    if (doomed.length > 0) await this.#files.syncDirectory(this.#directory);
  }
}
