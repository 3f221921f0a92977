/**
 * Fills the table in which a thread shows its actors: about ten times a second while its loop
 * turns, and once more when it goes to sleep with something to tell. It costs nothing per message
 * and never keeps a thread awake.
 */
import { getHeapStatistics } from "node:v8";
import type { Clock } from "../clock.ts";
import type { LaneNumber } from "../mailbox.ts";
import type { Cell } from "../thread/cell.ts";
import type { Cells } from "../thread/cells.ts";
import { LANE_COUNT, type SpawnedRow, type StatsTable, TOP_SPAWNED } from "../thread/stats.ts";
import { openPools } from "./pool-roll.ts";

export const PUBLISH_PERIOD_MS = 100;
const MEMORY_PERIOD_MS = 1_000;
/** Slots of spawned actors that are looked at in one publication. */
const SLOTS_A_LOOK = 2_048;

export class StatsPublisher {
  readonly #table: StatsTable;
  readonly #cells: Cells;
  readonly #clock: Clock;
  readonly #measures: boolean;
  #tree: readonly Cell[] = [];
  /** The message each actor waited in when last seen, and since when. */
  readonly #waits = new Map<Cell, { readonly message: object; readonly sinceMs: number }>();
  #memoryDueAtMs = 0;
  /** The last publication showed something that may be over by now. */
  #shows = false;
  #nextSlot = 0;
  #top: SpawnedRow[] = [];
  /** Plain, because the loop compares it in every round. */
  dueAtMs = 0;

  /** Without `measures` the memory of the process, which is not this thread's, is left out. */
  constructor(table: StatsTable, cells: Cells, clock: Clock, measures = true) {
    this.#table = table;
    this.#cells = cells;
    this.#clock = clock;
    this.#measures = measures;
  }

  publish(): void {
    const nowMs = this.#clock.monotonicMs();
    this.dueAtMs = nowMs + PUBLISH_PERIOD_MS;
    if (this.#tree.length === 0)
      this.#tree = [...this.#cells.tree()].filter(({ index }) => index >= 0);
    this.#shows = false;
    for (const cell of this.#tree) this.#showCell(cell, nowMs);
    const spawned = this.#cells.count - this.#tree.length;
    if (spawned > 0 || this.#top.length > 0 || this.#nextSlot > 0) this.#lookAtSpawned();
    if (this.#measures && nowMs >= this.#memoryDueAtMs) this.#measure(nowMs);
    this.#table.published(nowMs, spawned);
  }

  /** The loop is about to rest: what it last showed must not stand there for long. */
  beforeRest(nowMs: number): void {
    if (this.#shows || nowMs >= this.dueAtMs || this.#hasQueued()) this.publish();
  }

  #hasQueued(): boolean {
    for (const cell of this.#tree) if (cell.mailbox.size > 0) return true;
    return false;
  }

  #showCell(cell: Cell, nowMs: number): void {
    const { slot, mailbox, active, stashed } = cell;
    for (let lane = 0; lane < LANE_COUNT; lane++) {
      const number = lane as LaneNumber;
      this.#table.writeLane(slot, lane, mailbox.depth(number), mailbox.oldestQueuedAtMs(number));
    }
    if (active === null) this.#waits.delete(cell);
    else if (this.#waits.get(cell)?.message !== active) {
      this.#waits.set(cell, { message: active, sinceMs: nowMs });
    }
    const sinceMs = this.#waits.get(cell)?.sinceMs ?? 0;
    this.#table.writeActive(slot, stashed, active?.kind.index ?? null, sinceMs);
    if (active !== null || mailbox.size + stashed > 0) this.#shows = true;
  }

  /** A part of the slots each time; the result is shown when all have been looked at. */
  #lookAtSpawned(): void {
    const end = Math.min(this.#cells.end, this.#nextSlot + SLOTS_A_LOOK);
    for (let slot = this.#nextSlot; slot < end; slot++) {
      const cell = this.#cells.at(slot);
      if (cell !== undefined && cell.index < 0 && cell.mailbox.size > 0) this.#consider(cell);
    }
    this.#nextSlot = end;
    if (end < this.#cells.end) return;
    this.#table.writeTop(this.#top);
    this.#shows ||= this.#top.length > 0;
    this.#nextSlot = 0;
    this.#top = [];
  }

  #consider({ name, mailbox }: Cell): void {
    const depth = mailbox.size;
    const least = this.#top.at(-1);
    if (this.#top.length >= TOP_SPAWNED && least !== undefined && least.depth >= depth) return;
    const oldest = [0, 1, 2, 3].flatMap((lane) => {
      return mailbox.oldestQueuedAtMs(lane as LaneNumber) ?? [];
    });
    this.#top.push({ name, depth, oldestAtMs: oldest.length === 0 ? null : Math.min(...oldest) });
    this.#top.sort((left, right) => right.depth - left.depth);
    this.#top.length = Math.min(TOP_SPAWNED, this.#top.length);
  }

  #measure(nowMs: number): void {
    this.#memoryDueAtMs = nowMs + MEMORY_PERIOD_MS;
    const { heapUsed, external, arrayBuffers } = process.memoryUsage();
    this.#table.writeMemory({
      heapUsedBytes: heapUsed,
      heapLimitBytes: getHeapStatistics().heap_size_limit,
      externalBytes: external,
      arrayBuffersBytes: arrayBuffers,
    });
    const pools = openPools().map(({ name, account }) => {
      const { submitted, queued, running, completed, cancelled, timedOut, failed } = account();
      return {
        name,
        figures: [submitted, queued, running, completed, cancelled, timedOut, failed],
      };
    });
    this.#table.writePools(pools);
  }
}
