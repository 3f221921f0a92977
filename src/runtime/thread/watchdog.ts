/**
 * Finds threads that hang, from the main thread, which never computes. A thread hangs when its
 * heartbeat stands still although it was asked to beat: in a handler that does not return, or in
 * what runs after an `await`. An actor that merely waits is never stuck. Time in which the main
 * thread itself stood still does not count.
 */
import type { Clock, Timer } from "../clock.ts";
import type { ThreadBlock } from "../wire/thread-block.ts";
import { OCCUPATION } from "./occupation.ts";
import type { ThreadPolicy } from "./thread-options.ts";

/** How often the watchdog looks. */
export const WATCH_PERIOD_MS = 10;
/** Most of the time between two looks that is held against a thread. */
const MOST_COUNTED_MS = 2 * WATCH_PERIOD_MS;
/** A thread that hangs between two messages gets longer, because it gets no grace. */
const NOWHERE_FACTOR = 1.5;

/** What a thread is held up by. */
export interface Sighting {
  readonly thread: string;
  /** Row of the actor, or -1 when the thread hangs between two messages. */
  readonly actor: number;
  /** Index of the message, or one of `OCCUPATION`. */
  readonly kind: number;
  readonly ageMs: number;
}

export interface WatchdogParts {
  readonly clock: Clock;
  /** How long a setup or a stop may hold its thread; both have limits of their own. */
  readonly transitionLimitMs: number;
  /** True while an actor of the thread is being started or stopped. */
  isChanging(thread: string): boolean;
  /** Asks the thread to beat as soon as its loop turns. */
  ask(thread: string): void;
  /** How long the thread's loop has waited for events, ever; goes on while it waits. */
  idleMs(thread: string): number;
  /** The thread hangs: whoever holds it is to be told. */
  stuck(sighting: Sighting): void;
  /** The thread still hangs after the grace: it is to be ended. */
  end(sighting: Sighting): void;
}

interface Watched {
  readonly thread: string;
  readonly block: ThreadBlock;
  readonly policy: ThreadPolicy;
  heartbeat: number;
  /** How long the heartbeat has stood still. */
  ageMs: number;
  /** The idle time of its loop when it was asked to beat. */
  idleWhenAskedMs: number | null;
  /** The age at which the thread is ended; set when its holder was told. */
  endsAtMs: number | null;
  ended: boolean;
}

/** A thread of which nothing bad is known. */
const CALM = { ageMs: 0, idleWhenAskedMs: null, endsAtMs: null } as const;

export class Watchdog {
  readonly #parts: WatchdogParts;
  readonly #watched = new Map<string, Watched>();
  #timer: Timer | null = null;
  #lookedAtMs = 0;

  constructor(parts: WatchdogParts) {
    this.#parts = parts;
  }

  watch(thread: string, block: ThreadBlock, policy: ThreadPolicy): void {
    const { heartbeat } = block.read();
    const watched = { thread, block, policy, heartbeat, ...CALM, ended: false };
    this.#watched.set(thread, watched);
    if (this.#timer !== null) return;
    this.#lookedAtMs = this.#parts.clock.monotonicMs();
    this.#arm();
  }

  unwatch(thread: string): void {
    this.#watched.delete(thread);
    if (this.#watched.size > 0) return;
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** For how long the heartbeat of a thread has stood still. */
  ageMs(thread: string): number {
    return this.#watched.get(thread)?.ageMs ?? 0;
  }

  #arm(): void {
    this.#timer = this.#parts.clock.after(WATCH_PERIOD_MS, () => this.#look(), true);
  }

  #look(): void {
    const nowMs = this.#parts.clock.monotonicMs();
    const passedMs = Math.min(MOST_COUNTED_MS, nowMs - this.#lookedAtMs);
    this.#lookedAtMs = nowMs;
    this.#arm();
    for (const watched of [...this.#watched.values()]) this.#lookAt(watched, passedMs);
  }

  #lookAt(watched: Watched, passedMs: number): void {
    const { thread, block, policy } = watched;
    const { heartbeat, kind, ...shown } = block.read();
    const actor = shown.actor ?? -1;
    if (heartbeat !== watched.heartbeat) {
      Object.assign(watched, { heartbeat, ...CALM });
      return;
    }
    watched.ageMs += passedMs;
    const { ageMs } = watched;
    if (watched.idleWhenAskedMs === null && ageMs >= policy.stuckMs / 2) {
      watched.idleWhenAskedMs = this.#parts.idleMs(thread);
      this.#parts.ask(thread);
    }
    const sighting: Sighting = { thread, actor, kind, ageMs };
    const due = ageMs >= this.#limitMs(sighting, policy);
    if (due && actor < 0 && this.#merelyWaits(watched)) {
      Object.assign(watched, CALM);
      return;
    }
    if (watched.endsAtMs === null && due) {
      // Between two messages there is nobody who could heed a token.
      watched.endsAtMs = ageMs + (actor < 0 ? 0 : policy.graceMs);
      this.#parts.stuck(sighting);
    }
    const { endsAtMs, ended } = watched;
    if (endsAtMs === null || ended || ageMs < endsAtMs) return;
    watched.ended = true;
    this.#parts.end(sighting);
  }

  /** Without a processor a thread cannot beat, but its loop has been waiting, not working. */
  #merelyWaits({ thread, idleWhenAskedMs }: Watched): boolean {
    return idleWhenAskedMs === null || this.#parts.idleMs(thread) > idleWhenAskedMs;
  }

  #limitMs({ thread, actor, kind }: Sighting, { stuckMs }: ThreadPolicy): number {
    const { transitionLimitMs, isChanging } = this.#parts;
    const patience = Math.max(stuckMs, transitionLimitMs);
    if (actor < 0) return isChanging(thread) ? patience : stuckMs * NOWHERE_FACTOR;
    const changing = kind === OCCUPATION.setup || kind === OCCUPATION.stop;
    return changing ? patience : stuckMs;
  }
}
