/**
 * The threads of a system: starts them when they are needed, links every pair directly, tells all
 * others at once when one ends, and ends them. A thread that does not end within the limit is
 * reported and left behind; its replacement is started all the same.
 */
import { dehydrate, EsperError, invariant } from "../../protocols/errors.ts";
import type { Clock, Timer } from "../clock.ts";
import { Credits } from "./credits.ts";
import type { PlacedActor, ThreadDriver, ThreadHandle, TravellingControl } from "./driver.ts";
import type { Host } from "./host.ts";
import { MAIN } from "./plan.ts";
import type { HostSeed, Report, Route } from "./wire.ts";

/** How long a thread may take to load its actors, and to end after it was told. */
const READY_LIMIT_MS = 60_000;
export const TERMINATE_LIMIT_MS = 5_000;

export interface ThreadsParts {
  readonly driver: ThreadDriver;
  readonly clock: Clock;
  readonly main: Host;
  readonly mainCredits: SharedArrayBuffer;
  readonly actors: readonly (PlacedActor & { readonly thread: string })[];
  readonly routes: readonly Route[];
  /** What every host is seeded with, the thread's own part left out. */
  readonly seed: Omit<HostSeed, "thread" | "epoch" | "credits">;
  report(thread: string, report: Report): void;
  /** The thread is gone, and every host knows. */
  died(thread: string, code: number, cause: string): void;
  stuck(thread: string, limitMs: number): void;
}

interface Slot {
  readonly thread: string;
  readonly epoch: number;
  readonly credits: Credits;
  readonly handle: ThreadHandle;
  readonly ready: Promise<void>;
  readonly settleReady: (error: EsperError | null) => void;
  phase: "loading" | "ready" | "dead";
  watchdog: Timer;
}

export class Threads {
  readonly #parts: ThreadsParts;
  readonly #slots = new Map<string, Slot>();
  readonly #epochs = new Map<string, number>();

  constructor(parts: ThreadsParts) {
    this.#parts = parts;
  }

  /** Starts the thread unless it runs; resolves when its actors can be started. */
  ensure(thread: string): Promise<void> {
    if (thread === MAIN) return Promise.resolve();
    const slot = this.#slots.get(thread) ?? this.#spawn(thread);
    return slot.ready;
  }

  /** True when the thread can be told something. */
  isReady(thread: string): boolean {
    return thread === MAIN || this.#slots.get(thread)?.phase === "ready";
  }

  /** Does nothing when the thread is not there: its end has been, or will be, told by `died`. */
  control(thread: string, control: TravellingControl): void {
    if (thread === MAIN) this.#parts.main.control(control);
    else if (this.isReady(thread)) this.#slots.get(thread)?.handle.control(control);
  }

  /** Tells every host, the main one included. */
  broadcast(control: TravellingControl): void {
    this.#parts.main.control(control);
    for (const slot of this.#slots.values()) {
      if (slot.phase === "ready") slot.handle.control(control);
    }
  }

  /** Ends a thread; `died` follows, at the latest after the limit. */
  kill(thread: string): void {
    const slot = this.#slots.get(thread);
    if (slot !== undefined) void this.#terminate(slot);
  }

  /** Ends every thread; resolves when all are gone or were given up. */
  async killAll(): Promise<void> {
    await Promise.all([...this.#slots.values()].map((slot) => this.#terminate(slot)));
  }

  depth(route: Route): number {
    const memory = route.thread === MAIN ? this.#parts.mainCredits : null;
    const credits = memory === null ? this.#slots.get(route.thread)?.credits : new Credits(memory);
    return credits?.depth(route.slot) ?? 0;
  }

  /** Threads that can be told something. */
  get readyThreads(): readonly string[] {
    const ready = [...this.#slots.values()].filter(({ phase }) => phase === "ready");
    return [MAIN, ...ready.map(({ thread }) => thread)];
  }

  #spawn(thread: string): Slot {
    const { driver, clock, routes, seed } = this.#parts;
    const epoch = (this.#epochs.get(thread) ?? 0) + 1;
    this.#epochs.set(thread, epoch);
    const placed = this.#parts.actors.filter((actor) => actor.thread === thread);
    const credits = Credits.allocate(routes.filter((route) => route.thread === thread).length);
    const hostSeed: HostSeed = { ...seed, thread, epoch, credits: credits.memory };
    const handle = driver.spawn(hostSeed, placed, {
      report: (report) => this.#onReport(slot, report),
      failed: () => this.kill(thread),
      exited: (code, cause) => this.#onExit(slot, code, cause),
    });
    let settleReady: Slot["settleReady"] = () => {};
    const ready = new Promise<void>((resolve, reject) => {
      settleReady = (error) => (error === null ? resolve() : reject(error));
    });
    // The death of a thread is told by `died`; nobody has to wait for its readiness.
    ready.catch(() => {});
    const watchdog = clock.after(READY_LIMIT_MS, () => this.kill(thread), true);
    const base = { thread, epoch, credits, handle, ready, settleReady, watchdog };
    const slot: Slot = { ...base, phase: "loading" };
    this.#slots.set(thread, slot);
    return slot;
  }

  #onReport(slot: Slot, report: Report): void {
    if (slot.phase === "dead" && report.kind !== "log") return;
    if (report.kind === "ready") this.#onReady(slot);
    else this.#parts.report(slot.thread, report);
  }

  /** Links the thread with every other before anything in it starts. */
  #onReady(slot: Slot): void {
    slot.watchdog.cancel();
    const { driver, main, mainCredits } = this.#parts;
    const { thread, epoch, handle } = slot;
    const there = { thread, epoch, handle, credits: slot.credits.memory };
    const here = { thread: MAIN, epoch: 1, credits: mainCredits };
    const port = driver.connectHere(here, there);
    main.control({ kind: "link", thread, epoch, credits: there.credits, port });
    for (const other of this.#slots.values()) {
      if (other === slot || other.phase !== "ready") continue;
      driver.connect(there, { ...other, credits: other.credits.memory });
    }
    slot.phase = "ready";
    slot.settleReady(null);
  }

  #onExit(slot: Slot, code: number, cause: string): void {
    if (slot.phase === "dead") return;
    slot.phase = "dead";
    slot.watchdog.cancel();
    const { thread, epoch } = slot;
    this.#slots.delete(thread);
    this.broadcast({ kind: "down", thread, epoch });
    for (const route of this.#parts.routes) {
      if (route.thread !== thread) continue;
      this.#parts.main.addDeadLetters(route.name, slot.credits.close(route.slot));
    }
    const text = `the thread ${thread} ended: ${cause}`;
    slot.settleReady(new EsperError("ACTOR_RESTARTING", text, { thread, code }));
    this.#parts.died(thread, code, cause);
  }

  async #terminate(slot: Slot): Promise<void> {
    const { clock } = this.#parts;
    const gone = new Promise<boolean>((resolve) => {
      const timer = clock.after(TERMINATE_LIMIT_MS, () => resolve(false));
      const settle = (): void => {
        timer.cancel();
        resolve(true);
      };
      slot.handle.terminate().then(settle, (error: unknown) => {
        const { message } = dehydrate(error);
        this.#parts.main.log(
          "error",
          "runtime",
          { thread: slot.thread, error: message },
          "terminate failed",
        );
        settle();
      });
    });
    if (!(await gone)) this.#parts.stuck(slot.thread, TERMINATE_LIMIT_MS);
    this.#onExit(slot, 1, "terminated");
    invariant(slot.phase === "dead", `the thread ${slot.thread} is over`);
  }
}
