/**
 * The fast tier of a rollback: the last states that were known to be good, in memory, bounded in
 * bytes, the least recently used going first. A state gets in only while all its numbers are
 * finite, with its digests taken at that moment, and comes out only if they still match. What is
 * kept is a copy: nothing that happens to the network afterwards reaches it.
 */
import { EsperError } from "../../protocols/errors.ts";
import { decodeCheckpoint, encodeCheckpoint, layOut } from "./checkpoint.ts";
import { type Checkpoint, type CheckpointArray, DIGEST_BYTES } from "./checkpoint-format.ts";

/** A state that is kept. */
export interface SnapshotEntry {
  readonly step: number;
  /** Hex; the same as of an equal checkpoint on disk. */
  readonly digest: string;
  readonly bytes: number;
}

/** The entry of a kept state, or why it is not kept; the cache is then as it was. */
export type PutResult =
  | { readonly kept: SnapshotEntry; readonly refused: null }
  | { readonly kept: null; readonly refused: EsperError };

interface Kept extends SnapshotEntry {
  readonly container: Uint8Array;
}

function areFinite(array: CheckpointArray): boolean {
  // Any number times 0 is 0, but for NaN and the infinities.
  let sum = 0;
  for (let index = 0; index < array.length; index++) sum += (array[index] as number) * 0;
  return sum === 0;
}

/** The first array that holds a NaN or an infinity, or null. */
export function firstNotFinite({ arrays }: Checkpoint): string | null {
  const found = Object.entries(arrays).find(([, array]) => !areFinite(array));
  return found?.[0] ?? null;
}

function refusal(step: number, why: string, details: object): PutResult {
  const message = `the state of step ${step} is not kept for a rollback: ${why}`;
  return { kept: null, refused: new EsperError("SNAPSHOT_REFUSED", message, { step, ...details }) };
}

/** Belongs to one trainer; not shared between threads. */
export class SnapshotCache {
  readonly capacityBytes: number;
  /** Least recently used first. */
  readonly #kept = new Map<number, Kept>();
  #bytes = 0;

  constructor(capacityBytes: number) {
    this.capacityBytes = capacityBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** What is kept, least recently used first. */
  get entries(): readonly SnapshotEntry[] {
    return [...this.#kept.values()].map(({ step, digest, bytes }) => ({ step, digest, bytes }));
  }

  /** Keeps a copy of a state that is known to be good; an earlier one of this step is replaced. */
  put(step: number, checkpoint: Checkpoint): PutResult {
    const { total } = layOut(checkpoint);
    const { capacityBytes } = this;
    if (total > capacityBytes) {
      const why = `it has ${total} bytes, and there is room for ${capacityBytes} in all`;
      return refusal(step, why, { bytes: total, capacityBytes });
    }
    const array = firstNotFinite(checkpoint);
    if (array !== null)
      return refusal(step, `${array} holds a number that is not finite`, { array });
    const container = encodeCheckpoint(checkpoint);
    const digest = Buffer.from(container.subarray(total - DIGEST_BYTES)).toString("hex");
    this.drop(step);
    this.#makeRoom(total);
    this.#kept.set(step, { step, digest, bytes: total, container });
    this.#bytes += total;
    return { kept: { step, digest, bytes: total }, refused: null };
  }

  /** The newest state up to this step, now the most recently used; null when there is none. */
  nearest(step: number): SnapshotEntry | null {
    const steps = [...this.#kept.keys()].filter((known) => known <= step);
    const kept = this.#kept.get(Math.max(...steps));
    if (kept === undefined) return null;
    this.#kept.delete(kept.step);
    this.#kept.set(kept.step, kept);
    return { step: kept.step, digest: kept.digest, bytes: kept.bytes };
  }

  /**
   * The state of exactly this step, checked and copied out; it stays for another time.
   * @throws {CHECKPOINT_MISSING} when it is not kept
   * @throws {CHECKPOINT_DIGEST} when it is no longer what was put in; it is then dropped.
   */
  take(step: number): Checkpoint {
    const kept = this.#kept.get(step);
    if (kept === undefined) {
      throw new EsperError("CHECKPOINT_MISSING", `no state of step ${step} is kept`, { step });
    }
    try {
      return decodeCheckpoint(kept.container, `the kept state of step ${step}`);
    } catch (error) {
      this.drop(step);
      throw error;
    }
  }

  /** Forgets the state of this step. */
  drop(step: number): void {
    const kept = this.#kept.get(step);
    if (kept === undefined) return;
    this.#kept.delete(step);
    this.#bytes -= kept.bytes;
  }

  /** Forgets all states of later steps: they belong to a future that was given up. */
  dropAfter(step: number): void {
    for (const known of [...this.#kept.keys()]) if (known > step) this.drop(known);
  }

  #makeRoom(bytes: number): void {
    for (const oldest of [...this.#kept.keys()]) {
      if (this.#bytes + bytes <= this.capacityBytes) return;
      this.drop(oldest);
    }
  }
}
