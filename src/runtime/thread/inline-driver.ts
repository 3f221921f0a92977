/**
 * Runs every host in the calling thread. A terminated host is cut off: nothing of it is heard, and
 * no timer of it fires. With a scheduler of its own, whatever would travel between two threads is
 * a step of that scheduler; without one, orders and reports arrive at once.
 */
import { invariant } from "../../protocols/errors.ts";
import type { Clock } from "../clock.ts";
import { type Connection, shareRings } from "./connection.ts";
import type { Placed, ThreadDriver, ThreadEvents, ThreadHandle, ThreadOrder } from "./driver.ts";
import { Host } from "./host.ts";
import {
  type InlineScheduler,
  inlineEnds,
  inMicrotask,
  type StepOrigin,
} from "./inline-connection.ts";
import type { Control } from "./wire.ts";

class InlineHandle implements ThreadHandle {
  readonly #host: Host;
  readonly #events: ThreadEvents;
  readonly #thread: string;
  readonly #scheduler: InlineScheduler | null;
  #alive = true;
  #ending: Promise<void> | null = null;

  constructor(
    { seed, actors }: ThreadOrder,
    events: ThreadEvents,
    clock: Clock,
    scheduler: InlineScheduler | null,
  ) {
    this.#thread = seed.thread;
    this.#events = events;
    this.#scheduler = scheduler;
    // What was reported before the end arrives, as it does from a worker.
    const report: ThreadEvents["report"] = (message) => {
      if (this.#alive) this.#step("report", () => events.report(message));
    };
    const own = { clock: this.#ownClock(clock), schedule: scheduler };
    this.#host = new Host({ seed, actors, report, ...own });
    void Promise.resolve().then(() => report({ kind: "ready" }));
  }

  control(control: Control): void {
    this.#step("control", () => {
      if (this.#alive) this.#host.control(control);
    });
  }

  terminate(cause = "terminated"): Promise<void> {
    this.#ending ??= new Promise((resolve) => {
      this.#step("end", () => {
        if (this.#alive) this.#end();
        this.#step("report", () => void Promise.resolve().then(() => this.#exited(cause, resolve)));
      });
    });
    return this.#ending;
  }

  rung(): void {
    if (this.#alive) this.#host.rung();
  }

  idleMs(): number {
    return 0;
  }

  busyMs(): number {
    return 0;
  }

  abandon(): void {
    this.#alive = false;
  }

  #end(): void {
    this.#alive = false;
    this.#host.close();
  }

  #exited(cause: string, resolve: () => void): void {
    this.#events.exited(1, cause);
    resolve();
  }

  #step(kind: StepOrigin["kind"], run: () => void): void {
    if (this.#scheduler === null) run();
    else this.#scheduler.later(run, { kind, thread: this.#thread });
  }

  /** The timers of a thread end with it. */
  #ownClock(clock: Clock): Clock {
    return {
      nowMs: () => clock.nowMs(),
      monotonicMs: () => clock.monotonicMs(),
      after: (delayMs, fire, background) => {
        const run = (): void => {
          if (this.#alive) fire();
        };
        return clock.after(delayMs, run, background);
      },
    };
  }
}

export function createInlineDriver(
  clock: Clock,
  scheduler: InlineScheduler | null = null,
): ThreadDriver {
  const bells = scheduler ?? inMicrotask;
  function link(to: ThreadHandle, connection: Connection): void {
    invariant(to instanceof InlineHandle, "an inline thread is linked with an inline thread");
    to.control({ kind: "link", connection });
  }
  return {
    separate: false,
    spares: 0,
    fillSpares: () => {},
    close: () => Promise.resolve(),
    spawn: (order, events) => new InlineHandle(order, events, clock, scheduler),
    connect(left, right) {
      const shared = shareRings(left, right, scheduler?.ringBytes);
      const [leftEnd, rightEnd] = inlineEnds(shared, wake(left), wake(right), bells);
      link(left.handle, leftEnd);
      link(right.handle, rightEnd);
    },
    connectHere(here, there, host) {
      const shared = shareRings(here, there, scheduler?.ringBytes);
      const [hereEnd, thereEnd] = inlineEnds(shared, () => host.rung(), wake(there), bells);
      link(there.handle, thereEnd);
      return hereEnd;
    },
  };
}

function wake({ handle }: Placed): () => void {
  return () => {
    if (handle instanceof InlineHandle) handle.rung();
  };
}
