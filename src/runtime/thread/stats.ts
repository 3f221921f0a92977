/**
 * What a thread publishes about its actors in shared memory, several times a second and never per
 * message. The table belongs to one start of one thread and is written by that thread alone with
 * plain stores, so others may read it while the thread hangs; what they read is advice.
 */

/** Lanes of a mailbox: system, emergency, control, bulk. */
export const LANE_COUNT = 4;
/** Spawned actors that are named, those with the most messages. */
export const TOP_SPAWNED = 8;
/** Pools of one thread that are shown. */
export const SHOWN_POOLS = 8;
/** Figures of a pool's account, in the order of `PoolFigures`. */
export const POOL_FIGURES = 7;

const PUBLISHED_AT_MS = 0;
const SPAWNED = 1;
const MEMORY = 2;
const HEADER = 8;
const ROW = 2 * LANE_COUNT + 3;
const STASHED = 2 * LANE_COUNT;
const ACTIVE_KIND = STASHED + 1;
const ACTIVE_SINCE_MS = STASHED + 2;
const NONE = -1;
const TEXT_BYTES = 64;
const TOP = 2;

/** Messages of one actor as its thread last saw them. Times on the monotonic clock. */
export interface ActorRow {
  readonly depths: readonly number[];
  /** When the oldest message of each lane was queued, null in an empty lane. */
  readonly oldestAtMs: readonly (number | null)[];
  readonly stashed: number;
  /** Index of the message whose handler waits for something, null when there is none. */
  readonly activeKind: number | null;
  readonly activeSinceMs: number;
}

/** A spawned actor with messages. */
export interface SpawnedRow {
  readonly name: string;
  readonly depth: number;
  readonly oldestAtMs: number | null;
}

/** Memory of the thread's isolate, in bytes. */
export interface MemoryRow {
  readonly heapUsedBytes: number;
  readonly heapLimitBytes: number;
  readonly externalBytes: number;
  readonly arrayBuffersBytes: number;
}

/** A pool and its account: submitted, queued, running, completed, cancelled, timed out, failed. */
export interface PoolRow {
  readonly name: string;
  readonly figures: readonly number[];
}

/** Memory for the table of a thread with `actors` actors of the tree. */
export function statsMemory(actors: number): SharedArrayBuffer {
  const floats = HEADER + actors * ROW + TOP_SPAWNED * TOP + SHOWN_POOLS * POOL_FIGURES;
  return new SharedArrayBuffer(floats * 8 + (TOP_SPAWNED + SHOWN_POOLS) * TEXT_BYTES);
}

/** A view on one thread's table; only that thread may use the writing methods. */
export class StatsTable {
  readonly #floats: Float64Array;
  readonly #texts: Uint8Array;
  readonly #topAt: number;
  readonly #poolsAt: number;

  /** `memory` is made by `statsMemory`; how many actors it is for follows from its size. */
  constructor(memory: SharedArrayBuffer) {
    const textBytes = (TOP_SPAWNED + SHOWN_POOLS) * TEXT_BYTES;
    const floats = (memory.byteLength - textBytes) >> 3;
    this.#floats = new Float64Array(memory, 0, floats);
    this.#texts = new Uint8Array(memory, floats * 8);
    this.#poolsAt = floats - SHOWN_POOLS * POOL_FIGURES;
    this.#topAt = this.#poolsAt - TOP_SPAWNED * TOP;
  }

  /** When the thread last published, 0 before the first time. */
  get publishedAtMs(): number {
    return this.#floats[PUBLISHED_AT_MS] as number;
  }

  published(nowMs: number, spawned: number): void {
    this.#floats[SPAWNED] = spawned;
    this.#floats[PUBLISHED_AT_MS] = nowMs;
  }

  get spawned(): number {
    return this.#floats[SPAWNED] as number;
  }

  /** One lane of the actor in `slot`; `oldestAtMs` is null when the lane is empty. */
  writeLane(slot: number, lane: number, depth: number, oldestAtMs: number | null): void {
    const at = HEADER + (slot - 1) * ROW;
    this.#floats[at + lane] = depth;
    this.#floats[at + LANE_COUNT + lane] = oldestAtMs ?? NONE;
  }

  writeActive(slot: number, stashed: number, kind: number | null, sinceMs: number): void {
    const at = HEADER + (slot - 1) * ROW;
    this.#floats[at + STASHED] = stashed;
    this.#floats[at + ACTIVE_KIND] = kind ?? NONE;
    this.#floats[at + ACTIVE_SINCE_MS] = sinceMs;
  }

  readActor(slot: number): ActorRow {
    const at = HEADER + (slot - 1) * ROW;
    const floats = [...this.#floats.subarray(at, at + ROW)];
    const never = this.publishedAtMs === 0;
    const kind = floats[ACTIVE_KIND] as number;
    return {
      depths: floats.slice(0, LANE_COUNT),
      oldestAtMs: floats
        .slice(LANE_COUNT, 2 * LANE_COUNT)
        .map((oldest) => (never || oldest < 0 ? null : oldest)),
      stashed: floats[STASHED] as number,
      activeKind: never || kind < 0 ? null : kind,
      activeSinceMs: floats[ACTIVE_SINCE_MS] as number,
    };
  }

  writeMemory(memory: MemoryRow): void {
    const { heapUsedBytes, heapLimitBytes, externalBytes, arrayBuffersBytes } = memory;
    this.#floats.set([heapUsedBytes, heapLimitBytes, externalBytes, arrayBuffersBytes], MEMORY);
  }

  /** Null before the thread has measured it. */
  readMemory(): MemoryRow | null {
    const figures = this.#floats.subarray(MEMORY, HEADER);
    const [heapUsedBytes = 0, heapLimitBytes = 0, externalBytes = 0, arrayBuffersBytes = 0] =
      figures;
    if (heapLimitBytes === 0) return null;
    return { heapUsedBytes, heapLimitBytes, externalBytes, arrayBuffersBytes };
  }

  writeTop(rows: readonly SpawnedRow[]): void {
    for (let place = 0; place < TOP_SPAWNED; place++) {
      const row = rows[place];
      this.#writeText(place, row?.name ?? "");
      this.#floats[this.#topAt + place * TOP] = row?.depth ?? 0;
      this.#floats[this.#topAt + place * TOP + 1] = row?.oldestAtMs ?? NONE;
    }
  }

  readTop(): SpawnedRow[] {
    const rows: SpawnedRow[] = [];
    for (let place = 0; place < TOP_SPAWNED; place++) {
      const depth = this.#floats[this.#topAt + place * TOP] as number;
      if (depth === 0) continue;
      const oldest = this.#floats[this.#topAt + place * TOP + 1] as number;
      rows.push({ name: this.#readText(place), depth, oldestAtMs: oldest < 0 ? null : oldest });
    }
    return rows;
  }

  writePools(rows: readonly PoolRow[]): void {
    for (let place = 0; place < SHOWN_POOLS; place++) {
      const row = rows[place];
      this.#writeText(TOP_SPAWNED + place, row?.name ?? "");
      if (row !== undefined) this.#floats.set(row.figures, this.#poolsAt + place * POOL_FIGURES);
    }
  }

  readPools(): PoolRow[] {
    const rows: PoolRow[] = [];
    for (let place = 0; place < SHOWN_POOLS; place++) {
      const name = this.#readText(TOP_SPAWNED + place);
      const at = this.#poolsAt + place * POOL_FIGURES;
      const figures = [...this.#floats.subarray(at, at + POOL_FIGURES)];
      if (name !== "") rows.push({ name, figures });
    }
    return rows;
  }

  #writeText(place: number, text: string): void {
    const room = this.#texts.subarray(place * TEXT_BYTES, (place + 1) * TEXT_BYTES);
    room.fill(0);
    // The encoder takes no view of shared memory; it never cuts a character in half.
    const bytes = new Uint8Array(TEXT_BYTES);
    const { written } = new TextEncoder().encodeInto(text, bytes);
    room.set(bytes.subarray(0, written));
  }

  #readText(place: number): string {
    const room = this.#texts.slice(place * TEXT_BYTES, (place + 1) * TEXT_BYTES);
    const end = room.indexOf(0);
    return new TextDecoder().decode(Uint8Array.from(end < 0 ? room : room.subarray(0, end)));
  }
}
