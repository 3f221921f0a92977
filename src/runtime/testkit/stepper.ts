/**
 * Chooses what runs next, one step at a time, from a seed alone: the loop of a thread for one
 * message, a doorbell, an order, a report, a timer that is due. Steps of one origin keep their
 * order; between origins any order may come, long delays of one of them included. Time passes
 * when nothing is left to do, and now and then a little before.
 */
import { Fifo } from "../fifo.ts";
import { createRandom, type Random } from "../random.ts";
import type { InlineScheduler, StepOrigin } from "../thread/inline-connection.ts";
import { Trace } from "./trace.ts";
import type { DueTimer, VirtualClock } from "./virtual-clock.ts";

/** Most steps between two changes of what is quick and what is slow. */
const LONGEST_MOOD = 128;
/** The slowest origin is this many powers of two slower than the quickest. */
const MOOD_RANGE = 6;
/** How far time may run ahead of work that is not done, and how seldom it does. */
const LONGEST_JUMP_MS = 20;
const JUMP_ONE_IN = 64;
const NEVER = Number.POSITIVE_INFINITY;

/** How often a step is interrupted where it may be, and how deep interruptions go. */
const INTERRUPT_ONE_IN = 4;
const DEEPEST_INTERRUPTION = 2;

/** One thing that may happen next. `thread` is empty for timers and actions. */
export interface Step extends Omit<StepOrigin, "kind"> {
  readonly kind: StepOrigin["kind"] | "timer" | "action";
  /** As it stands in the trace. */
  readonly what: string;
}

interface Task {
  readonly run: () => void;
  /** Counts the tasks; the oldest has the lowest. */
  readonly number: number;
  readonly timer: DueTimer | null;
}

class Queue {
  readonly step: Step;
  readonly tasks = new Fifo<Task>();
  mood = -1;
  weight = 1;

  constructor(step: Step) {
    this.step = step;
  }

  get head(): Task {
    return this.tasks.at(0) as Task;
  }
}

/** Chooses steps. */
export type StepMatch = (step: Step) => boolean;

interface Drop {
  readonly matches: StepMatch;
  left: number;
}

interface Planned {
  readonly atStep: number;
  readonly what: string;
  readonly action: () => void;
}

export interface StepperOptions {
  readonly clock: VirtualClock;
  readonly seed: number;
  /** After so many steps the oldest one always comes first. */
  readonly chaos: number;
  readonly ringBytes: number | undefined;
}

/** See the head of this file. */
export class Stepper implements InlineScheduler {
  readonly trace = new Trace();
  readonly ringBytes: number | undefined;
  readonly #clock: VirtualClock;
  readonly #startMs: number;
  readonly #random: Random;
  readonly #chaos: number;
  readonly #queues = new Map<string, Queue>();
  /** Those with tasks. */
  readonly #ready: Queue[] = [];
  readonly #held = new Set<StepMatch>();
  readonly #drops: Drop[] = [];
  /** Earliest first. */
  readonly #planned: Planned[] = [];
  /** The threads that are in the middle of a step, the interrupted ones first. */
  readonly #running: string[] = [];
  #numbered = 0;
  #dueTimers = 0;
  #mood = 0;
  #moodLeft = 0;

  constructor({ clock, seed, chaos, ringBytes }: StepperOptions) {
    this.#clock = clock;
    this.#startMs = clock.monotonicMs();
    this.#random = createRandom(seed, "interleaving");
    this.#chaos = chaos;
    this.ringBytes = ringBytes;
  }

  readonly later = (run: () => void, origin: StepOrigin): void => {
    const { kind, thread, from } = origin;
    const what = from === undefined ? `${kind} ${thread}` : `${kind} ${from} > ${thread}`;
    if (kind === "bell" && this.#isDropped({ ...origin, what })) return;
    const queue = this.#queues.get(what) ?? this.#open({ ...origin, what });
    this.#push(queue, run, null);
  };

  /** Runs an action of the test as a step of its own, at once. */
  act(what: string, action: () => void): void {
    this.#note(`action: ${what}`);
    action();
  }

  /** Runs an action of the test as a step, `steps` steps from now or when nothing else is left. */
  plan(steps: number, what: string, action: () => void): void {
    this.#planned.push({ atStep: this.trace.length + steps, what, action });
    this.#planned.sort((left, right) => left.atStep - right.atStep);
  }

  /** While it holds, matching steps wait; undo it with what is returned. */
  hold(matches: StepMatch): () => void {
    this.#held.add(matches);
    return () => void this.#held.delete(matches);
  }

  /** The next `count` matching doorbells are never heard. */
  drop(matches: StepMatch, count: number): void {
    this.#drops.push({ matches, left: count });
  }

  /**
   * One step; what it woke runs before the next. False when nothing is left to do by `horizonMs`,
   * to which the time has then passed if something waits for later.
   */
  step(horizonMs: number): boolean {
    for (;;) {
      if (this.#actAsPlanned(this.trace.length)) return true;
      this.#jump(horizonMs);
      this.#collectDue();
      const queue = this.#choose();
      if (queue === null) {
        if (this.#actAtRest(horizonMs)) return true;
        if (this.#pass(horizonMs)) continue;
        return false;
      }
      const task = this.#take(queue);
      if (task.timer?.cancelled) continue;
      this.#note(queue.step.what);
      this.#runAs(queue.step.thread, task);
      return true;
    }
  }

  /**
   * In the middle of a step: now and then another thread does one of its own here. Only where
   * threads may truly interleave, which is at their accesses to shared memory.
   */
  interrupt(): void {
    const depth = this.#running.length;
    if (depth === 0 || depth > DEEPEST_INTERRUPTION || !this.#isChaotic) return;
    if (this.#running.includes("") || this.#random.integer(INTERRUPT_ONE_IN) > 0) return;
    const others = this.#ready.filter(
      ({ step }) =>
        (step.kind === "loop" || step.kind === "bell") && !this.#running.includes(step.thread),
    );
    if (others.length === 0) return;
    const queue = this.#draw(others);
    this.#note(`  meanwhile ${queue.step.what}`);
    this.#runAs(queue.step.thread, this.#take(queue));
  }

  #runAs(thread: string, task: Task): void {
    this.#running.push(thread);
    try {
      task.run();
    } finally {
      this.#running.pop();
    }
  }

  #note(what: string): void {
    this.trace.add(this.#clock.monotonicMs() - this.#startMs, what);
  }

  /** With no more steps now, what is planned for later ones comes now or after the next timer. */
  #actAtRest(horizonMs: number): boolean {
    if (this.#planned.length === 0) return false;
    const next = this.#clock.nextDueAtMs;
    const isLast = next === null || next > horizonMs;
    return (isLast || this.#random.integer(2) === 0) && this.#actAsPlanned(NEVER);
  }

  #actAsPlanned(untilStep: number): boolean {
    const [next] = this.#planned;
    if (next === undefined || next.atStep > untilStep) return false;
    this.#planned.shift();
    this.act(next.what, next.action);
    return true;
  }

  get #isChaotic(): boolean {
    return this.trace.length < this.#chaos;
  }

  #open(step: Step): Queue {
    const queue = new Queue(step);
    this.#queues.set(step.what, queue);
    return queue;
  }

  #push(queue: Queue, run: () => void, timer: DueTimer | null): void {
    if (queue.tasks.size === 0) this.#ready.push(queue);
    queue.tasks.push({ run, timer, number: this.#numbered });
    this.#numbered += 1;
  }

  #take(queue: Queue): Task {
    const task = queue.tasks.shift() as Task;
    if (task.timer !== null) this.#dueTimers -= 1;
    if (queue.tasks.size > 0) return task;
    this.#ready.splice(this.#ready.indexOf(queue), 1);
    // Delays may all be different: their queues would only pile up.
    if (queue.step.kind === "timer") this.#queues.delete(queue.step.what);
    return task;
  }

  #collectDue(): void {
    for (let due = this.#clock.takeDue(); due !== null; due = this.#clock.takeDue()) {
      const timer = due;
      const what = `timer of ${Number(timer.delayMs.toFixed(3))} ms`;
      const queue = this.#queues.get(what) ?? this.#open({ kind: "timer", thread: "", what });
      this.#dueTimers += 1;
      this.#push(queue, () => timer.fire(), timer);
    }
  }

  /** Time runs a little ahead of the work; never past a timer that has not fired. */
  #jump(horizonMs: number): void {
    if (!this.#isChaotic || this.#dueTimers > 0 || this.#random.integer(JUMP_ONE_IN) > 0) return;
    const next = this.#clock.nextDueAtMs;
    if (next === null || next > horizonMs) return;
    if (next - this.#clock.monotonicMs() <= LONGEST_JUMP_MS) this.#passTo(next);
  }

  /** Nothing is left to do now: false when nothing will be by the horizon. */
  #pass(horizonMs: number): boolean {
    const next = this.#clock.nextDueAtMs;
    if (next === null) return false;
    this.#passTo(Math.min(next, horizonMs));
    return next <= horizonMs;
  }

  #passTo(atMs: number): void {
    this.#clock.passTo(Math.max(atMs, this.#clock.monotonicMs()));
  }

  #choose(): Queue | null {
    const open = this.#held.size === 0 ? this.#ready : this.#ready.filter((one) => this.#free(one));
    const [first] = open;
    if (first === undefined) return null;
    if (open.length === 1) return first;
    return this.#isChaotic ? this.#draw(open) : oldest(open);
  }

  #free({ step }: Queue): boolean {
    for (const matches of this.#held) if (matches(step)) return false;
    return true;
  }

  /** By weights that last for a while, so that one origin may starve or race ahead. */
  #draw(open: readonly Queue[]): Queue {
    if (this.#moodLeft === 0) {
      this.#mood += 1;
      this.#moodLeft = 1 + this.#random.integer(LONGEST_MOOD);
    }
    this.#moodLeft -= 1;
    let sum = 0;
    for (const queue of open) sum += this.#weightOf(queue);
    let left = this.#random.next() * sum;
    for (const queue of open) {
      left -= queue.weight;
      if (left < 0) return queue;
    }
    return open[open.length - 1] as Queue;
  }

  #weightOf(queue: Queue): number {
    if (queue.mood !== this.#mood) {
      queue.mood = this.#mood;
      queue.weight = 2 ** (-MOOD_RANGE * this.#random.next());
    }
    return queue.weight;
  }

  #isDropped(step: Step): boolean {
    const drop = this.#drops.find(({ matches, left }) => left > 0 && matches(step));
    if (drop === undefined) return false;
    drop.left -= 1;
    this.#note(`${step.what} (dropped)`);
    return true;
  }
}

function oldest(open: readonly Queue[]): Queue {
  return open.reduce((first, queue) => (queue.head.number < first.head.number ? queue : first));
}
