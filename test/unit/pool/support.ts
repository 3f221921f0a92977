/** A clock that only moves when told to, and workers that end a job only when told to. */
import type { Clock, Timer } from "../../../src/runtime/clock.ts";
import type {
  Crew,
  CrewEvents,
  CrewFigures,
  JobOrder,
  Outcome,
} from "../../../src/runtime/pool/crew.ts";

export class VirtualClock implements Clock {
  #nowMs = 1_000;
  readonly #timers = new Set<{ readonly atMs: number; readonly fire: () => void }>();

  nowMs(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, fire: () => void): Timer {
    const timer = { atMs: this.#nowMs + Math.max(0, delayMs), fire };
    this.#timers.add(timer);
    return { cancel: () => this.#timers.delete(timer) };
  }

  get pending(): number {
    return this.#timers.size;
  }

  /** Moves the time while no timer gets its turn, as a busy thread does. */
  stall(byMs: number): void {
    this.#nowMs += byMs;
  }

  /** Fires what falls due, in order, each at its own time; lets promises settle in between. */
  async advance(byMs: number): Promise<void> {
    const endsAtMs = this.#nowMs + byMs;
    for (;;) {
      const [next] = [...this.#timers].sort((left, right) => left.atMs - right.atMs);
      if (next === undefined || next.atMs > endsAtMs) break;
      this.#timers.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.fire();
      await settle();
    }
    this.#nowMs = endsAtMs;
    await settle();
  }
}

/** Lets every promise that can settle do so. */
export async function settle(): Promise<void> {
  for (let hop = 0; hop < 10; hop++) await Promise.resolve();
}

export interface FakeCrewOptions {
  readonly slots: number;
  readonly forceable?: boolean;
  /** False for workers that a forced end does not reach in time. */
  readonly dies?: boolean;
}

export class FakeCrew implements Crew {
  readonly forceable: boolean;
  readonly started: JobOrder[] = [];
  readonly running = new Map<number, JobOrder>();
  readonly noticed: number[] = [];
  readonly forced: number[] = [];
  closed = false;
  refuse: Error | null = null;
  readonly #events: CrewEvents;
  readonly #slots: number;
  readonly #dies: boolean;

  constructor(events: CrewEvents, { slots, forceable = true, dies = true }: FakeCrewOptions) {
    this.#events = events;
    this.#slots = slots;
    this.forceable = forceable;
    this.#dies = dies;
  }

  hasRoom(): boolean {
    return this.running.size < this.#slots;
  }

  start(order: JobOrder): void {
    if (this.refuse !== null) throw this.refuse;
    this.started.push(order);
    this.running.set(order.id, order);
  }

  notice(id: number): void {
    this.noticed.push(id);
  }

  force(id: number): void {
    this.forced.push(id);
    if (!this.#dies) return;
    void Promise.resolve().then(() => this.end(id, { kind: "lost", cause: "terminated" }));
  }

  figures(): CrewFigures {
    return { workers: this.#slots, replaced: 0 };
  }

  async close(): Promise<void> {
    this.closed = true;
  }

  end(id: number, outcome: Outcome): void {
    if (this.running.delete(id)) this.#events.ended(id, outcome);
  }

  /** Ends the job that was started as the `index`-th. */
  answer(index: number, value: unknown): void {
    this.end(this.started[index]?.id ?? -1, { kind: "value", value });
  }
}
