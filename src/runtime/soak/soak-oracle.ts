/**
 * What a log must hold, known only from what was offered to it and what it confirmed. Compares
 * that with what is found after every crash. Pure; it never looks at the log's own books.
 */
import { idOf, soakRecord, timeOf } from "./soak-record.ts";

/** A record as a reader of the log gets it. */
export interface FoundRecord {
  readonly sequence: number;
  readonly timeMs: number;
  readonly payload: Uint8Array;
}

/** How often a promise was looked at, and how often it was broken. */
export interface PromiseCount {
  readonly promise: string;
  checked: number;
  broken: number;
}

const MAX_FINDINGS = 20;

export class SoakOracle {
  readonly #seed: number;
  /** Confirmed, or seen on the disk once: must be there from now on. */
  readonly #owed = new Map<number, number>();
  #offered = 0;
  #forgotten = 0;
  readonly kept: PromiseCount = {
    promise: "what was acknowledged is there",
    checked: 0,
    broken: 0,
  };
  readonly true: PromiseCount = {
    promise: "what is there was offered, whole and in order",
    checked: 0,
    broken: 0,
  };
  /** The first few broken promises, in words. */
  readonly findings: string[] = [];

  constructor(seed: number) {
    this.#seed = seed;
  }

  /** The id to be offered next; ids are never offered twice. */
  get nextId(): number {
    return this.#offered + 1;
  }

  get acknowledged(): number {
    return this.#owed.size;
  }

  /** The highest id that must be there; 0 for none. */
  get newestOwed(): number {
    let newest = 0;
    for (const id of this.#owed.keys()) newest = Math.max(newest, id);
    return newest;
  }

  /** From here on these records may appear. */
  offer(count: number): void {
    this.#offered += count;
  }

  /** The log has confirmed this record: it must be there whatever happens. */
  acknowledge(id: number, sequence: number): void {
    if (id < 1 || id > this.#offered) this.report(`id ${id} was confirmed, but never offered`);
    else this.#owed.set(id, sequence);
  }

  /** Records before this id may be gone, oldest first: the log was told to prune them. */
  mayForget(before: number): void {
    this.#forgotten = Math.max(this.#forgotten, before);
  }

  /** Records from this id on were given up knowingly: damage was cut off. Returns how many. */
  giveUp(from: number): number {
    let given = 0;
    for (const id of [...this.#owed.keys()]) {
      if (id < from) continue;
      this.#owed.delete(id);
      given++;
    }
    return given;
  }

  /** Compares what is there with what must and may be; what was seen must stay. */
  check(found: Iterable<FoundRecord>): void {
    const seen = new Map<number, number>();
    let last: { readonly id: number; readonly sequence: number } | null = null;
    for (const record of found) {
      this.true.checked++;
      const why = this.#wrong(record, last);
      if (why !== null) {
        this.true.broken++;
        this.report(`record ${record.sequence}: ${why}`);
        continue;
      }
      const id = idOf(record.payload) ?? 0;
      last = { id, sequence: record.sequence };
      seen.set(id, record.sequence);
    }
    this.#checkOwed(seen);
    for (const [id, sequence] of seen) this.#owed.set(id, sequence);
  }

  report(text: string): void {
    if (this.findings.length < MAX_FINDINGS) this.findings.push(text);
  }

  #wrong(found: FoundRecord, last: { id: number; sequence: number } | null): string | null {
    const id = idOf(found.payload);
    if (id === null || id > this.#offered) return "it was never offered";
    const wanted = soakRecord(this.#seed, id).payload;
    if (!Buffer.from(wanted).equals(found.payload)) return `its bytes are not those of id ${id}`;
    if (found.timeMs !== timeOf(id)) return `its time is ${found.timeMs}, not ${timeOf(id)}`;
    if (last !== null && id <= last.id) return `id ${id} stands behind id ${last.id}`;
    if (last !== null && found.sequence !== last.sequence + 1) {
      return `it follows record ${last.sequence}`;
    }
    const owed = this.#owed.get(id);
    if (owed !== undefined && owed !== found.sequence) return `id ${id} was confirmed as ${owed}`;
    return null;
  }

  #checkOwed(seen: ReadonlyMap<number, number>): void {
    const [oldest = Number.POSITIVE_INFINITY] = seen.keys();
    for (const id of [...this.#owed.keys()]) {
      // Pruning takes whole segments from the front, so only what lies before all else may be gone.
      const pruned = id < this.#forgotten && id < oldest;
      if (pruned) this.#owed.delete(id);
      if (pruned) continue;
      this.kept.checked++;
      if (seen.has(id)) continue;
      this.kept.broken++;
      this.#owed.delete(id);
      this.report(`id ${id} was acknowledged and is gone`);
    }
  }
}
