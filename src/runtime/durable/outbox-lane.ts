/**
 * The entries of one lane that wait to be sent, oldest first. Pure: time is an argument. It never
 * hands out an entry before those in front of it, except past ones that are on their way.
 */
import type { Lane } from "../../protocols/protocol.ts";
import { type LanePolicy, retryDelayMs } from "./outbox-policy.ts";
import type { LaneTotals } from "./outbox-record.ts";

/** An entry that waits to be sent. */
export interface WaitingEntry {
  readonly id: string;
  readonly lane: Lane;
  readonly subject: string;
  /** When it was issued. */
  readonly timeMs: number;
  readonly payload: Uint8Array;
  /** Its record in the log. */
  readonly sequence: number;
  /** Deliveries that failed. */
  readonly attempts: number;
}

/** How a lane stands. `fill` is 0 when it is empty and 1 when it takes no more. */
export interface LaneStatus extends LaneTotals {
  readonly records: number;
  readonly bytes: number;
  /** Entries that failed before and will be tried again. */
  readonly backlog: number;
  readonly fill: number;
}

/** The entry as the lane keeps it. */
export interface Place extends WaitingEntry {
  attempts: number;
  failedAtMs: number;
  /** The record of the last failure; 0 when there is none. */
  failSequence: number;
  /** When it was handed out; null while it waits here. */
  sentAtMs: number | null;
  /** True once its end is decided and on its way to the disk. */
  settling: boolean;
}

type Standing = "ready" | "away" | "waiting";

/** The queue of one lane, bounded by its policy. */
export class OutboxLane {
  readonly policy: LanePolicy;
  readonly #places = new Map<string, Place>();
  readonly #counts = { accepted: 0, acknowledged: 0, retries: 0, dead: 0 };
  #bytes = 0;
  /** Room taken by entries that are being written and by none yet. */
  #reservedRecords = 0;
  #reservedBytes = 0;

  constructor(policy: LanePolicy) {
    this.policy = policy;
  }

  get totals(): LaneTotals {
    return { ...this.#counts };
  }

  set totals(totals: LaneTotals) {
    Object.assign(this.#counts, totals);
  }

  get bytes(): number {
    return this.#bytes;
  }

  get records(): number {
    return this.#places.size;
  }

  count(what: keyof LaneTotals, by = 1): void {
    this.#counts[what] += by;
  }

  get(id: string): Place | undefined {
    return this.#places.get(id);
  }

  add(place: Place): void {
    this.#places.set(place.id, place);
    this.#bytes += place.payload.byteLength;
  }

  remove(id: string): Place | undefined {
    const place = this.#places.get(id);
    if (place === undefined) return undefined;
    this.#places.delete(id);
    this.#bytes -= place.payload.byteLength;
    // What was settling has given its room back already.
    if (place.settling) this.#free(-1, -place.payload.byteLength);
    return place;
  }

  /** From now on the entry is not handed out, and its room may be used. */
  settle(place: Place): void {
    if (place.settling) return;
    place.settling = true;
    this.#free(1, place.payload.byteLength);
  }

  #free(records: number, bytes: number): void {
    this.#reservedRecords -= records;
    this.#reservedBytes -= bytes;
  }

  /** Takes room for an entry that is being written; false when there is none. */
  reserve(bytes: number): boolean {
    const { recordsMax, bytesMax } = this.policy;
    if (this.#usedRecords + 1 > recordsMax || this.#usedBytes + bytes > bytesMax) return false;
    this.#free(-1, -bytes);
    return true;
  }

  release(bytes: number): void {
    this.#free(1, bytes);
  }

  get #usedRecords(): number {
    return this.#places.size + this.#reservedRecords;
  }

  get #usedBytes(): number {
    return this.#bytes + this.#reservedBytes;
  }

  /** Room that is taken, also by entries that are being written. */
  get used(): { readonly records: number; readonly bytes: number } {
    return { records: this.#usedRecords, bytes: this.#usedBytes };
  }

  /** The longest waiting entries that make room for so many bytes and for some more to come. */
  oldest(bytes: number): Place[] {
    const { recordsMax, bytesMax } = this.policy;
    const wantedRecords = this.#usedRecords - recordsMax + Math.max(1, Math.floor(recordsMax / 16));
    const wantedBytes = this.#usedBytes + bytes - bytesMax;
    const chosen: Place[] = [];
    let freed = 0;
    for (const place of this.#places.values()) {
      if (chosen.length >= wantedRecords && freed >= wantedBytes) break;
      if (place.settling) continue;
      chosen.push(place);
      freed += place.payload.byteLength;
    }
    return chosen;
  }

  /** What to send now, in order; what is handed out is away until it is answered for. */
  take(limit: number, nowMs: number): WaitingEntry[] {
    const taken: WaitingEntry[] = [];
    for (const place of this.#places.values()) {
      if (taken.length >= limit) break;
      if (place.settling) continue;
      const standing = this.#standing(place, nowMs);
      // Nothing overtakes an entry that waits for its next attempt.
      if (standing === "waiting") break;
      if (standing === "away") continue;
      place.sentAtMs = nowMs;
      taken.push(place);
    }
    return taken;
  }

  /** A clock that was set back makes an entry ready early, never late. */
  #standing(place: Place, nowMs: number): Standing {
    const { sentAtMs, failedAtMs, attempts } = place;
    if (sentAtMs !== null) {
      const waitedMs = nowMs - sentAtMs;
      return waitedMs < 0 || waitedMs >= this.policy.answerMs ? "ready" : "away";
    }
    if (attempts === 0) return "ready";
    const waitedMs = nowMs - failedAtMs;
    return waitedMs < 0 || waitedMs >= this.retryDelayMs(attempts) ? "ready" : "waiting";
  }

  /** The pause after so many failures; null when that was one too many. */
  retryDelayAfter(attempts: number): number | null {
    const { retriesMax } = this.policy;
    return retriesMax !== null && attempts > retriesMax ? null : this.retryDelayMs(attempts);
  }

  retryDelayMs(attempts: number): number {
    return retryDelayMs(this.policy, attempts);
  }

  /** Entries that are too old to be sent, in the order they came. */
  expired(nowMs: number): Place[] {
    const { expiresMs } = this.policy;
    if (expiresMs === null) return [];
    return [...this.#places.values()].filter(
      (place) => !place.settling && place.timeMs + expiresMs < nowMs,
    );
  }

  get status(): LaneStatus {
    const { recordsMax, bytesMax } = this.policy;
    let backlog = 0;
    for (const place of this.#places.values()) {
      if (place.attempts > 0 && !place.settling) backlog++;
    }
    return {
      ...this.#counts,
      records: this.#usedRecords,
      bytes: this.#usedBytes,
      backlog,
      fill: Math.min(1, Math.max(this.#usedRecords / recordsMax, this.#usedBytes / bytesMax)),
    };
  }
}
