/**
 * Which command ids were already used. Pure: time is an argument. A live entry is never evicted,
 * and a claim takes the same time however many entries there are or expire at once. Whatever the
 * clock does, an id that was evicted is never fresh again: commands issued at or before the newest
 * evicted one are stale.
 */
import type { ClaimVerdict } from "../../protocols/actors/durable.ts";
import { ClaimQueue } from "./claim-queue.ts";
import { IdSet } from "./id-set.ts";

export interface NonceWindowOptions {
  /** Live entries at most. */
  readonly capacity: number;
  /** A command may be this old when it is claimed. */
  readonly freshnessMs: number;
  /** An entry lives this long; at least `freshnessMs` + `FUTURE_SKEW_MS`. */
  readonly ttlMs: number;
}

/** How far a command's issue time may lie in the future. */
export const FUTURE_SKEW_MS = 5_000;

export interface NonceEntry {
  readonly commandId: string;
  readonly issuedAtMs: number;
  readonly claimedAtMs: number;
}

/** "reserved": another claim of this id is on its way to the disk. */
export type WindowVerdict = ClaimVerdict | "full" | "reserved";

/** Expired entries that a claim takes away at most; more than the one it may add. */
const SLICE = 64;

/** One queue for each time the clock went back; with more, claims wait for a later time's end. */
const MAX_QUEUES = 16;

export class NonceWindow {
  readonly #options: NonceWindowOptions;
  readonly #ids = new IdSet();
  readonly #reserved = new Map<string, number>();
  #queues: ClaimQueue[] = [];
  #evictionsTotal = 0;
  #floorMs = 0;

  constructor(options: NonceWindowOptions) {
    this.#options = options;
  }

  /** Entries that take a place. */
  get size(): number {
    return this.#ids.size + this.#reserved.size;
  }

  get evictionsTotal(): number {
    return this.#evictionsTotal;
  }

  /** Commands issued at or before this time are stale: their ids may have been forgotten. */
  get floorMs(): number {
    return this.#floorMs;
  }

  /** No entry was claimed before this time; infinite when there is none. */
  get oldestMs(): number {
    return Math.min(
      ...this.#queues.map((queue) => queue.oldestMs),
      ...this.#reserved.values(),
      Number.POSITIVE_INFINITY,
    );
  }

  /** Never lowers the floor. */
  raiseFloor(floorMs: number): void {
    this.#floorMs = Math.max(this.#floorMs, floorMs);
  }

  /** Freshness first, so that an old command never takes a place; "full" only for a fresh one. */
  judge(commandId: string, issuedAtMs: number, nowMs: number): WindowVerdict {
    this.expire(nowMs);
    // Written so that a time that is not a number is stale.
    if (!(nowMs - issuedAtMs <= this.#options.freshnessMs)) return "stale";
    if (issuedAtMs > nowMs + FUTURE_SKEW_MS) return "future";
    if (this.#ids.has(commandId)) return "replayed";
    if (this.#reserved.has(commandId)) return "reserved";
    if (issuedAtMs <= this.#floorMs) return "stale";
    return this.size >= this.#options.capacity ? "full" : "fresh";
  }

  /** Keeps the place of a claim that is on its way to the disk; `add` or `withdraw` ends it. */
  reserve(commandId: string, claimedAtMs: number): void {
    this.#reserved.set(commandId, claimedAtMs);
  }

  /** The claim is durable: its id is used. */
  add({ commandId, issuedAtMs, claimedAtMs }: NonceEntry): void {
    this.#reserved.delete(commandId);
    if (!this.#ids.add(commandId)) return;
    const queue = this.#queueFor(claimedAtMs);
    // Later only when the clock has gone back too often: such an entry lives longer, never shorter.
    queue.push(commandId, issuedAtMs, Math.max(claimedAtMs, queue.newestMs));
  }

  /** Gives the place back of a claim that could not be made durable. */
  withdraw(commandId: string): void {
    this.#reserved.delete(commandId);
  }

  /** As `add` and `expire` in one, for what the disk remembers of claims that may be long over. */
  restore(entry: NonceEntry, nowMs: number): void {
    if (entry.claimedAtMs + this.#options.ttlMs > nowMs) {
      this.add(entry);
      return;
    }
    this.raiseFloor(entry.issuedAtMs);
    this.#evictionsTotal++;
  }

  /** Forgets at most `limit` entries older than their time to live; returns how many. */
  expire(nowMs: number, limit = SLICE): number {
    const untilMs = nowMs - this.#options.ttlMs;
    let removed = 0;
    for (const queue of this.#queues) {
      for (; removed < limit; removed++) {
        const claim = queue.shiftUntil(untilMs);
        if (claim === null) break;
        this.#ids.delete(claim.commandId);
        this.raiseFloor(claim.issuedAtMs);
      }
    }
    if (removed > 0) this.#queues = this.#queues.filter((queue) => !queue.isEmpty);
    this.#evictionsTotal += removed;
    return removed;
  }

  /** Entries of a clock that ran ahead must not hold up those that come after it was set back. */
  #queueFor(claimedAtMs: number): ClaimQueue {
    let fitting: ClaimQueue | null = null;
    let earliest: ClaimQueue | null = null;
    for (const queue of this.#queues) {
      const { newestMs } = queue;
      if (newestMs <= claimedAtMs && newestMs >= (fitting?.newestMs ?? 0)) fitting = queue;
      if (newestMs < (earliest?.newestMs ?? Number.POSITIVE_INFINITY)) earliest = queue;
    }
    if (fitting !== null) return fitting;
    if (earliest !== null && this.#queues.length >= MAX_QUEUES) return earliest;
    const queue = new ClaimQueue();
    this.#queues.push(queue);
    return queue;
  }
}
