/**
 * The heart of a thread: takes what arrived from other threads, gives the actors their turns, and
 * decides when to look again. Messages inside a thread cost a microtask, not a trip through the
 * event loop; after 4 ms of work in a row the event loop gets its turn, so timers and sockets are
 * never starved. An idle loop looks on for some microseconds before it parks, because waking a
 * parked thread costs fifty times more than finding it awake.
 */
import type { Clock } from "../clock.ts";
import { Fifo } from "../fifo.ts";

const SLICE_MS = 4;
/** Second bound of a slice, for clocks that stand still while work is done. */
const SLICE_MESSAGES = 65_536;
/** The clock is read at most this many messages apart. */
const MAX_STRIDE = 64;
/** A stride should take about this long, so that slow handlers are noticed at once. */
const STRIDE_MS = 0.05;
const TURNS_PER_POLL = 64;
/** Looks before the continuations of promises run: an answer may be one of them. */
const FIRST_LOOKS = 2;
/** Looks per slice of a spin; between slices the continuations of promises run. */
const LOOKS = 12;
/** After so many spins in vain only every eighth idle moment is spun. */
const MAX_VAIN_SPINS = 2;
const RETRY_SPIN = 8;

export interface Runnable {
  turn(): void;
}

/** The loop's view of the other threads. */
export interface Arrivals {
  /** Moves what arrived into the mailboxes; returns how many messages. */
  poll(): number;
  /** Moves urgent messages only, if there are any. Called between any two messages. */
  pollUrgent(): void;
  /** Cheap: true when `poll` would find something. */
  pending(): boolean;
  /** The loop works from now on. */
  resume(): void;
  /** The loop is about to rest; false when something arrived meanwhile. */
  park(): boolean;
}

export interface LoopParts {
  readonly clock: Clock;
  /** Null while the host has no neighbours. */
  readonly arrivals: Arrivals | null;
  /** How long an idle loop looks on, in milliseconds; 0 parks at once. */
  readonly spinMs: number;
  /** Runs a piece of the loop later; a piece is then one message long. Default: the platform. */
  readonly later?: ((run: () => void) => void) | undefined;
}

export class RunLoop {
  readonly #clock: Clock;
  readonly #arrivals: Arrivals | null;
  readonly #spinMs: number;
  readonly #kickLater: (run: () => void) => void;
  readonly #sliceLater: (run: () => void) => void;
  readonly #maxStride: number;
  readonly #sliceLimit: number;
  readonly #settles: boolean;
  readonly #ready = new Fifo<Runnable>();
  readonly #resolved = Promise.resolve();
  readonly #kicked = (): void => this.#onKick();
  readonly #spun = (): void => this.#spin();
  readonly #settled = (): void => this.#settle();
  readonly #sliceOver = (): void => this.#endSlice();
  #isKicked = false;
  #running = false;
  /** Between work and rest: what continues now, such as who got an answer, may bring more work. */
  #isSettling = false;
  /** The other threads know that this one looks for what they send. */
  #isAwake = false;
  #closed = false;
  #sliceEndsAtMs = Number.POSITIVE_INFINITY;
  #inSlice = false;
  #exhausted = false;
  #sliceMessages = 0;
  #stride = 1;
  #sinceClock = 0;
  #spinEndsAtMs = 0;
  #vainSpins = 0;
  #skippedSpins = 0;
  /** Coarse: the clock when it was last read by the loop. */
  nowMs: number;

  constructor({ clock, arrivals, spinMs, later }: LoopParts) {
    this.#clock = clock;
    this.#arrivals = arrivals;
    this.#spinMs = spinMs;
    this.#kickLater = later ?? ((run) => void this.#resolved.then(run));
    this.#sliceLater = later ?? setImmediate;
    this.#maxStride = later === undefined ? MAX_STRIDE : 1;
    this.#sliceLimit = later === undefined ? SLICE_MESSAGES : 1;
    this.#settles = later === undefined && arrivals !== null;
    this.nowMs = clock.monotonicMs();
  }

  /** The caller must not schedule what is scheduled already. */
  schedule(item: Runnable): void {
    this.#ready.push(item);
    if (!this.#running) this.kick();
  }

  /** Runs the loop in a microtask. */
  kick(): void {
    if (this.#isKicked || this.#closed) return;
    this.#isKicked = true;
    if (!this.#isSettling) this.#kickLater(this.#kicked);
  }

  /** A doorbell rang: other threads have sent something. */
  rung(): void {
    if (!this.#running && !this.#exhausted) this.#run();
  }

  /** Counts one handled message; true when the turn must end here. */
  spend(): boolean {
    this.#arrivals?.pollUrgent();
    this.#sinceClock += 1;
    if (this.#sinceClock < this.#stride) return false;
    return this.#readClock();
  }

  close(): void {
    this.#closed = true;
    this.#ready.clear();
  }

  #readClock(): boolean {
    const now = this.#clock.monotonicMs();
    const took = now - this.nowMs;
    if (took > STRIDE_MS) this.#stride = 1;
    else if (this.#stride < this.#maxStride) this.#stride *= 2;
    this.nowMs = now;
    this.#sliceMessages += this.#sinceClock;
    this.#sinceClock = 0;
    this.#exhausted = now >= this.#sliceEndsAtMs || this.#sliceMessages >= this.#sliceLimit;
    return this.#exhausted;
  }

  #onKick(): void {
    this.#isKicked = false;
    if (!this.#running && !this.#exhausted) this.#run();
  }

  #run(): void {
    if (this.#closed) return;
    this.#running = true;
    this.#beginSlice();
    const arrivals = this.#arrivals;
    if (!this.#isAwake) this.#wakeUp();
    let arrived = 0;
    while (!this.#exhausted) {
      const fresh = arrivals === null ? 0 : arrivals.poll();
      arrived += fresh;
      this.#runTurns();
      if (fresh === 0 && this.#ready.size === 0 && !this.#lookOn(arrived)) break;
    }
    this.#running = false;
    if (!this.#exhausted) this.#rest(arrived);
  }

  #wakeUp(): void {
    this.#isAwake = true;
    this.#arrivals?.resume();
  }

  #runTurns(): void {
    for (let ran = 0; ran < TURNS_PER_POLL && !this.#exhausted; ran++) {
      const next = this.#ready.shift();
      if (next === undefined) return;
      next.turn();
    }
  }

  /** A first, short look: an answer is often already under way. */
  #lookOn(arrived: number): boolean {
    if (arrived === 0 || this.#spinMs === 0 || this.#arrivals === null) return false;
    for (let look = 0; look < FIRST_LOOKS; look++) {
      if (this.#arrivals.pending()) return true;
    }
    return false;
  }

  #rest(arrived: number): void {
    if (arrived > 0 && this.#maySpin()) {
      this.#spinEndsAtMs = this.#clock.monotonicMs() + this.#spinMs;
      void this.#resolved.then(this.#spun);
    } else if (this.#settles) {
      this.#isSettling = true;
      void this.#resolved.then(this.#settled);
    } else this.#park();
  }

  #settle(): void {
    this.#isSettling = false;
    if (this.#isKicked) this.#onKick();
    else if (!this.#running) this.#park();
  }

  #maySpin(): boolean {
    if (this.#spinMs === 0) return false;
    if (this.#vainSpins < MAX_VAIN_SPINS) return true;
    this.#skippedSpins += 1;
    return this.#skippedSpins % RETRY_SPIN === 0;
  }

  #spin(): void {
    if (this.#running || this.#closed) return;
    const arrivals = this.#arrivals as Arrivals;
    for (let look = 0; look < LOOKS; look++) {
      if (!arrivals.pending()) continue;
      this.#vainSpins = 0;
      this.#run();
      return;
    }
    if (this.#clock.monotonicMs() < this.#spinEndsAtMs) void this.#resolved.then(this.#spun);
    else {
      this.#vainSpins += 1;
      this.#park();
    }
  }

  #park(): void {
    if (this.#arrivals === null || this.#isKicked || this.#ready.size > 0) return;
    this.#isAwake = false;
    if (!this.#arrivals.park()) this.kick();
  }

  /** One slice lasts until the event loop had its turn, over however many runs. */
  #beginSlice(): void {
    if (this.#inSlice) return;
    this.#inSlice = true;
    this.nowMs = this.#clock.monotonicMs();
    this.#sliceEndsAtMs = this.nowMs + SLICE_MS;
    this.#sliceMessages = 0;
    this.#sinceClock = 0;
    this.#sliceLater(this.#sliceOver);
  }

  #endSlice(): void {
    this.#inSlice = false;
    if (!this.#exhausted) return;
    // Also without work: the loop did not come to rest when its slice was used up.
    this.#exhausted = false;
    this.#run();
  }
}
