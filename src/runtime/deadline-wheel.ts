/**
 * Deadlines by the million with one timer: a hierarchical timing wheel of linked entries. Adding
 * and removing take constant time and allocate nothing. A deadline never fires early, and late by
 * at most one slot (2 ms) beyond the clock's own timer; the timer is armed for the earliest slot
 * that has an entry, and a removed entry leaves it as it is.
 */
import { InvariantViolation } from "../protocols/errors.ts";
import { type Clock, MAX_DELAY_MS, type Timer } from "./clock.ts";

/** The width of a slot in milliseconds, and so the precision. */
export const SLOT_MS = 2;
/** Five levels of 64 slots reach 2^30 ticks: 24 days. */
const LEVELS = 5;
const BITS = 6;
const SLOTS = 1 << BITS;
const HORIZON = 1 << (LEVELS * BITS);
/** Once the wheel has turned this far, ticks are counted from a later origin. */
const REBASE_AT = HORIZON / 2;
/** Two lists beside the slots: entries about to expire, and entries to be placed again. */
const DUE = LEVELS * SLOTS;
const AGAIN = DUE + 1;
const NOWHERE = -1;
/** Later than every tick. */
const NEVER = 2 ** 31 - 1;

/** Extend it and say what happens at the deadline; the wheel keeps its links in the object. */
export abstract class DeadlineEntry {
  /** Monotonic milliseconds; set by the wheel, Infinity before. */
  deadlineAtMs = Number.POSITIVE_INFINITY;
  // Plain fields: they are the wheel's, and in the message path. Nobody else touches them.
  /** @internal */
  wheelSlot = NOWHERE;
  /** @internal */
  wheelNext: DeadlineEntry | null = null;
  /** @internal */
  wheelBefore: DeadlineEntry | null = null;

  /** True while a wheel holds the entry. */
  get armed(): boolean {
    return this.wheelSlot !== NOWHERE;
  }

  /** Runs once, at or after `deadlineAtMs`; the entry is out of the wheel by then. */
  abstract expire(nowMs: number): void;
}

/** The pending deadlines of one thread. */
export class DeadlineWheel {
  readonly #clock: Clock;
  readonly #background: boolean;
  #timer: Timer | null = null;
  // Plain fields: measured faster than #private ones in the message path.
  private originMs: number;
  /** The first tick that is not done. */
  private current = 0;
  /** The tick the timer is armed for. */
  private armedTick = NEVER;
  private entries = 0;
  /** The first entry of every slot, and of the two lists beside them. */
  private readonly first = new Array<DeadlineEntry | null>(AGAIN + 1).fill(null);
  /** One bit a slot that has entries. */
  private readonly filled = new Int32Array(SLOTS);

  /** With `background` the deadlines alone do not keep the process alive. */
  constructor(clock: Clock, background = false) {
    this.#clock = clock;
    this.#background = background;
    this.originMs = clock.monotonicMs();
  }

  /** Entries that wait. */
  get size(): number {
    return this.entries;
  }

  /** Arms `entry` for `atMs` on the monotonic clock; one that is armed is moved. */
  add(entry: DeadlineEntry, atMs: number): void {
    if (Number.isNaN(atMs)) throw new InvariantViolation("a deadline is a point in time");
    if (entry.wheelSlot !== NOWHERE) this.unlink(entry);
    else this.entries += 1;
    entry.deadlineAtMs = atMs;
    const start = this.place(entry);
    if (start < this.armedTick) this.#arm(start);
  }

  /** Takes `entry` out; false when it is not armed. */
  remove(entry: DeadlineEntry): boolean {
    if (entry.wheelSlot === NOWHERE) return false;
    this.unlink(entry);
    this.entries -= 1;
    if (this.entries === 0 && !this.#background) this.#disarm();
    return true;
  }

  /**
   * Expires everything that is due; a busy thread calls it between messages, its timers being late.
   * All that is due expires even if an entry throws; the first failure is rethrown at the end.
   */
  advance(nowMs: number): void {
    const failures: unknown[] = [];
    const target = Math.floor((nowMs - this.originMs) / SLOT_MS);
    // A clock may have jumped by months; no tick lies beyond the horizon.
    const last = Math.min(target, HORIZON);
    for (let tick = this.earliest(); tick <= last; tick = this.earliest()) {
      this.current = Math.max(this.current, tick);
      this.cascade();
      this.expireSlot(nowMs, failures);
    }
    this.current = Math.max(this.current, target + 1);
    if (this.current >= REBASE_AT) this.rebase();
    this.placeAll(AGAIN);
    this.#rearm();
    if (failures.length > 0) throw failures[0];
  }

  /** Forgets every entry without expiring it. */
  close(): void {
    this.#disarm();
    for (let list = 0; list < this.first.length; list++) {
      for (let entry = this.head(list); entry !== null; entry = this.head(list)) this.unlink(entry);
    }
    this.entries = 0;
  }

  #arm(tick: number): void {
    this.#disarm();
    this.armedTick = tick;
    const leftMs = this.originMs + tick * SLOT_MS - this.#clock.monotonicMs();
    const delayMs = Math.min(MAX_DELAY_MS, Math.max(0, Math.ceil(leftMs)));
    this.#timer = this.#clock.after(delayMs, () => this.#fire(), this.#background);
  }

  #disarm(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.armedTick = NEVER;
  }

  #fire(): void {
    this.#timer = null;
    // Nothing arms meanwhile: the earliest is known once all that is due has expired.
    this.armedTick = NOWHERE;
    this.advance(this.#clock.monotonicMs());
  }

  /** After a turn of the wheel: no timer for nothing, and one for what waits. */
  #rearm(): void {
    if (this.entries === 0) {
      if (this.#timer === null || !this.#background) this.#disarm();
    } else if (this.#timer === null) this.#arm(this.earliest());
  }

  /**
   * Links `entry` into a slot: on level 0 if its tick and the current one differ in their lowest
   * digit (of 64) only, on level n if digit n is the highest that differs. So a slot holds the
   * ticks of one stretch, always ahead. Returns the first tick of that stretch.
   */
  private place(entry: DeadlineEntry): number {
    const { current } = this;
    const exact = Math.ceil((entry.deadlineAtMs - this.originMs) / SLOT_MS);
    // What lies beyond the horizon waits at its end, and is placed again from there.
    const tick = Math.max(current, Math.min(HORIZON - 1, exact));
    const shift = shiftOf(tick ^ current);
    const slot = (shift / BITS) * SLOTS + ((tick >> shift) & (SLOTS - 1));
    this.link(entry, slot);
    const word = slot >> 5;
    this.filled[word] = (this.filled[word] ?? 0) | (1 << (slot & 31));
    return (tick >> shift) << shift;
  }

  private link(entry: DeadlineEntry, list: number): void {
    const next = this.head(list);
    entry.wheelSlot = list;
    entry.wheelNext = next;
    if (next !== null) next.wheelBefore = entry;
    this.first[list] = entry;
  }

  private unlink(entry: DeadlineEntry): void {
    const { wheelSlot: list, wheelNext: next, wheelBefore: before } = entry;
    if (next !== null) next.wheelBefore = before;
    if (before !== null) before.wheelNext = next;
    else {
      this.first[list] = next;
      if (next === null && list < DUE) {
        const word = list >> 5;
        this.filled[word] = (this.filled[word] ?? 0) & ~(1 << (list & 31));
      }
    }
    entry.wheelSlot = NOWHERE;
    entry.wheelNext = null;
    entry.wheelBefore = null;
  }

  private head(list: number): DeadlineEntry | null {
    return this.first[list] ?? null;
  }

  /** The first tick of the earliest slot that has entries, or NEVER. */
  private earliest(): number {
    let earliest = NEVER;
    for (let level = 0; level < LEVELS; level++) {
      const low = this.filled[level * 2] ?? 0;
      const bits = low !== 0 ? low : (this.filled[level * 2 + 1] ?? 0);
      if (bits === 0) continue;
      const digit = 31 - Math.clz32(bits & -bits) + (low !== 0 ? 0 : 32);
      const above = (level + 1) * BITS;
      const start = ((this.current >> above) << above) | (digit << (level * BITS));
      earliest = Math.min(earliest, start);
    }
    return earliest;
  }

  /** Spreads the slots of the higher levels that the wheel has reached over the lower ones. */
  private cascade(): void {
    for (let level = LEVELS - 1; level > 0; level--) {
      const digit = (this.current >> (level * BITS)) & (SLOTS - 1);
      this.placeAll(level * SLOTS + digit);
    }
  }

  /** Expires what is in the slot of the current tick, which is then done. */
  private expireSlot(nowMs: number, failures: unknown[]): void {
    this.move(this.current & (SLOTS - 1), DUE);
    this.current += 1;
    for (let entry = this.head(DUE); entry !== null; entry = this.head(DUE)) {
      this.unlink(entry);
      if (entry.deadlineAtMs > nowMs) {
        this.link(entry, AGAIN);
        continue;
      }
      this.entries -= 1;
      try {
        entry.expire(nowMs);
      } catch (failure) {
        failures.push(failure);
      }
    }
  }

  /** Counts ticks from the current one on, so that they never outgrow 30 bits. */
  private rebase(): void {
    for (let slot = 0; slot < DUE; slot++) this.move(slot, AGAIN);
    this.originMs += this.current * SLOT_MS;
    this.current = 0;
    if (this.#timer !== null) this.#disarm();
  }

  private move(from: number, to: number): void {
    for (let entry = this.head(from); entry !== null; entry = this.head(from)) {
      this.unlink(entry);
      this.link(entry, to);
    }
  }

  private placeAll(list: number): void {
    for (let entry = this.head(list); entry !== null; entry = this.head(list)) {
      this.unlink(entry);
      this.place(entry);
    }
  }
}

/** The place of the highest digit of 64 in `difference`, in bits. */
function shiftOf(difference: number): number {
  if (difference < 1 << BITS) return 0;
  if (difference < 1 << (2 * BITS)) return BITS;
  if (difference < 1 << (3 * BITS)) return 2 * BITS;
  return difference < 1 << (4 * BITS) ? 3 * BITS : 4 * BITS;
}
