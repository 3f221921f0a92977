/**
 * Which command ids were already used. Pure: time is an argument. A live entry is never evicted;
 * entries leave in the order they came, so a claim costs O(1) amortised. Whatever the clock does,
 * an id that was evicted is never fresh again: commands issued at or before the newest evicted
 * one are stale.
 */
import type { ClaimVerdict } from "../../protocols/actors/durable.ts";

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

export class NonceWindow {
  readonly #options: NonceWindowOptions;
  readonly #entries = new Map<string, NonceEntry>();
  #evictionsTotal = 0;
  #floorMs = 0;

  constructor(options: NonceWindowOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#entries.size;
  }

  get evictionsTotal(): number {
    return this.#evictionsTotal;
  }

  /** Commands issued at or before this time are stale: their ids may have been forgotten. */
  get floorMs(): number {
    return this.#floorMs;
  }

  /** Never lowers the floor. */
  raiseFloor(floorMs: number): void {
    this.#floorMs = Math.max(this.#floorMs, floorMs);
  }

  /** Freshness first, so that an old command never takes a place; "full" only for a fresh one. */
  judge(commandId: string, issuedAtMs: number, nowMs: number): ClaimVerdict | "full" {
    this.expire(nowMs);
    // Written so that a time that is not a number is stale.
    if (!(nowMs - issuedAtMs <= this.#options.freshnessMs)) return "stale";
    if (issuedAtMs > nowMs + FUTURE_SKEW_MS) return "future";
    if (this.#entries.has(commandId)) return "replayed";
    if (issuedAtMs <= this.#floorMs) return "stale";
    return this.#entries.size >= this.#options.capacity ? "full" : "fresh";
  }

  add(entry: NonceEntry): void {
    this.#entries.set(entry.commandId, entry);
  }

  /** Takes back an entry whose claim could not be made durable. */
  withdraw(commandId: string): void {
    this.#entries.delete(commandId);
  }

  /** Forgets entries older than their time to live; returns how many. */
  expire(nowMs: number): number {
    let removed = 0;
    for (const entry of this.#entries.values()) {
      if (entry.claimedAtMs + this.#options.ttlMs > nowMs) break;
      this.#entries.delete(entry.commandId);
      this.raiseFloor(entry.issuedAtMs);
      removed++;
    }
    this.#evictionsTotal += removed;
    return removed;
  }
}
