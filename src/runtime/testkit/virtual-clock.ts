/**
 * A clock that moves only when it is told to. Timers fire in the order of their times, and equal
 * ones in the order in which they were set; no real time passes and none is read.
 */
import { invariant } from "../../protocols/errors.ts";
import { type Clock, MAX_DELAY_MS, type Timer } from "../clock.ts";

/** What the wall clock shows at the beginning: noon of the first day of 2025, UTC. */
const WALL_START_MS = 1_735_732_800_000;
/** A monotonic clock that begins at zero would hide faults that need an origin. */
const START_MS = 100_000;

/** A timer whose time has come. */
export interface DueTimer {
  readonly delayMs: number;
  readonly cancelled: boolean;
  /** Does what the timer was set for. */
  fire(): void;
}

class VirtualTimer implements Timer, DueTimer {
  readonly delayMs: number;
  readonly dueAtMs: number;
  readonly fire: () => void;
  cancelled = false;
  readonly #withdraw: (timer: VirtualTimer) => void;

  constructor(
    delayMs: number,
    dueAtMs: number,
    fire: () => void,
    withdraw: (timer: VirtualTimer) => void,
  ) {
    this.delayMs = delayMs;
    this.dueAtMs = dueAtMs;
    this.fire = fire;
    this.#withdraw = withdraw;
  }

  cancel(): void {
    if (this.cancelled) return;
    this.cancelled = true;
    this.#withdraw(this);
  }
}

/** See the head of this file. */
export class VirtualClock implements Clock {
  /** Earliest last, so that the next is popped. */
  readonly #timers: VirtualTimer[] = [];
  #nowMs = START_MS;

  nowMs(): number {
    return WALL_START_MS + this.#nowMs - START_MS;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, fire: () => void): Timer {
    invariant(!Number.isNaN(delayMs), "a timer's delay is a number of milliseconds");
    const delay = Math.min(MAX_DELAY_MS, Math.max(0, delayMs));
    const timer = new VirtualTimer(delay, this.#nowMs + delay, fire, (gone) => this.#drop(gone));
    this.#timers.splice(this.#placeOf(timer.dueAtMs), 0, timer);
    return timer;
  }

  /** Timers that wait. */
  get waiting(): number {
    return this.#timers.length;
  }

  /** When the next timer is due, on the monotonic clock; null when none waits. */
  get nextDueAtMs(): number | null {
    return this.#timers.at(-1)?.dueAtMs ?? null;
  }

  /** Moves the time on and fires nothing. */
  passTo(atMs: number): void {
    invariant(atMs >= this.#nowMs, `the time ${atMs} is not before ${this.#nowMs}`);
    this.#nowMs = atMs;
  }

  /** Takes the earliest timer out if its time has come. */
  takeDue(): DueTimer | null {
    const next = this.#timers.at(-1);
    if (next === undefined || next.dueAtMs > this.#nowMs) return null;
    this.#timers.pop();
    return next;
  }

  /** Moves the time on by `ms`, and fires what comes due on the way, each at its own time. */
  advance(ms: number): void {
    const endMs = this.#nowMs + ms;
    for (let next = this.nextDueAtMs; next !== null && next <= endMs; next = this.nextDueAtMs) {
      this.passTo(Math.max(this.#nowMs, next));
      this.takeDue()?.fire();
    }
    this.passTo(endMs);
  }

  /** The first place whose timer is not later: after the later ones, before its equals. */
  #placeOf(dueAtMs: number): number {
    let low = 0;
    let high = this.#timers.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#timers[middle] as VirtualTimer).dueAtMs > dueAtMs) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #drop(timer: VirtualTimer): void {
    const at = this.#timers.indexOf(timer);
    if (at >= 0) this.#timers.splice(at, 1);
  }
}
