/**
 * The threads of a system: starts them when they are needed, links every pair directly, tells all
 * others at once when one ends, and ends them. A thread that hangs is ended; one that does not end
 * is a zombie: it is cut off and left behind, and its replacement is started all the same.
 */
import { dehydrate, EsperError, invariant } from "../../protocols/errors.ts";
import type { Clock, Timer } from "../clock.ts";
import type { ThreadView } from "../inspect/thread-view.ts";
import { CancellationToken } from "../token.ts";
import type { TokenHandle } from "../token-table.ts";
import { ThreadBlock, threadBlockMemory } from "../wire/thread-block.ts";
import type { Member } from "./connection.ts";
import { Credits } from "./credits.ts";
import type {
  Placed,
  PlacedActor,
  ThreadDriver,
  ThreadHandle,
  TravellingControl,
} from "./driver.ts";
import type { Host } from "./host.ts";
import { KeptMailboxes, type KeptRingsBySender } from "./kept-mailboxes.ts";
import { NameTable } from "./names.ts";
import { afterPatience } from "./patience.ts";
import { MAIN } from "./plan.ts";
import { StatsTable, statsMemory } from "./stats.ts";
import type { ThreadPolicy } from "./thread-options.ts";
import { newTokenMemory, type TokenMemory } from "./token-memory.ts";
import { type Sighting, Watchdog } from "./watchdog.ts";
import type { HostSeed, Report, Route } from "./wire.ts";

/** How long a thread may take to load its actors, and to end after it was told. */
const READY_LIMIT_MS = 60_000;
const TERMINATE_LIMIT_MS = 250;
/** What a handler gets to finish its message before its thread is ended. */
const IN_HAND_LIMIT_MS = 20;
/** Spawned actors of a thread that other threads can reach. */
export const SPAWNED_ROWS = 4_096;

/** What differs from thread to thread. */
export type OfThread = "thread" | "threadId" | "epoch" | "credits" | "block" | "stats" | "tokens";

export interface ThreadsParts {
  readonly driver: ThreadDriver;
  readonly clock: Clock;
  readonly main: Host;
  /** The main thread, as the others meet it. */
  readonly mainMember: Member;
  readonly actors: readonly (PlacedActor & { readonly thread: string })[];
  readonly routes: readonly Route[];
  readonly policies: ReadonlyMap<string, ThreadPolicy>;
  /** What every host is seeded with, the thread's own part left out. */
  readonly seed: Omit<HostSeed, OfThread>;
  report(thread: string, report: Report): void;
  /** The thread is gone, and every host knows. */
  died(thread: string, code: number, cause: string): void;
  /** An actor of the thread is being started or stopped. */
  isChanging(thread: string): boolean;
  stuck(sighting: Sighting): void;
  /** A thread was left behind, or, `ended`, one that had been has ended after all. */
  zombie(thread: string, zombies: number, ended: boolean): void;
}

interface Slot {
  readonly thread: string;
  readonly threadId: number;
  readonly epoch: number;
  readonly credits: Credits;
  /** The table of the thread's tokens. */
  readonly memory: TokenMemory;
  readonly block: ThreadBlock;
  readonly policy: ThreadPolicy;
  readonly stats: StatsTable;
  readonly rings: Map<number, readonly SharedArrayBuffer[]>;
  /** What an earlier start had not read, until it is linked; null for mailboxes in the heap. */
  readonly kept: KeptRingsBySender | null;
  /** The tokens of its actors, by name. */
  readonly tokens: Map<string, TokenHandle>;
  readonly handle: ThreadHandle;
  readonly ready: Promise<void>;
  readonly settleReady: (error: EsperError | null) => void;
  phase: "loading" | "ready" | "dead";
  ending: boolean;
  loading: Timer;
}

export class Threads {
  readonly #parts: ThreadsParts;
  readonly #slots = new Map<string, Slot>();
  readonly #epochs = new Map<string, number>();
  readonly #zombies = new Set<Slot>();
  readonly #watchdog: Watchdog;
  readonly #lasting: TravellingControl[] = [];
  readonly #kept: KeptMailboxes;

  constructor(parts: ThreadsParts) {
    this.#parts = parts;
    this.#kept = new KeptMailboxes(parts.routes, (actor, count) =>
      parts.main.addDeadLetters(actor, count),
    );
    this.#watchdog = new Watchdog({
      clock: parts.clock,
      transitionLimitMs: parts.seed.setupLimitMs,
      isChanging: (thread) => parts.isChanging(thread),
      ask: (thread) => this.control(thread, { kind: "beat" }),
      idleMs: (thread) => this.#slots.get(thread)?.handle.idleMs() ?? 0,
      stuck: (sighting) => this.#onStuck(sighting),
      end: ({ thread, ageMs }) =>
        this.kill(thread, `the thread was stuck for ${Math.round(ageMs)} ms`),
    });
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

  /** Tells every host, the main one included; what is for good, also those that come later. */
  broadcast(control: TravellingControl): void {
    if (control.kind === "retired") {
      this.#lasting.push(control);
      this.#kept.retire(control.actor);
    }
    this.#parts.main.control(control);
    for (const slot of this.#slots.values()) {
      if (slot.phase === "ready") slot.handle.control(control);
    }
  }

  /** Ends a thread; `died` follows, at the latest after the limit. */
  kill(thread: string, cause = "terminated"): void {
    const slot = this.#slots.get(thread);
    if (slot !== undefined) void this.#terminate(slot, cause);
  }

  /** Ends every thread and the reserve; resolves when all are gone or were given up. */
  async killAll(): Promise<void> {
    this.#kept.close();
    const ends = [...this.#slots.values()].map((slot) => this.#terminate(slot, "terminated"));
    await Promise.all([...ends, this.#withinLimit(this.#parts.driver.close())]);
  }

  /** Makes the reserve of loaded threads; called when every actor is up. */
  fillSpares(): void {
    this.#parts.driver.fillSpares();
  }

  /** Loaded threads in reserve. */
  get spares(): number {
    return this.#parts.driver.spares;
  }

  /** Threads that were told to end and have not yet. */
  get zombies(): number {
    return this.#zombies.size;
  }

  /** The threads that were started and are not gone, the main one left out. */
  views(): ThreadView[] {
    return [...this.#slots.values()].map((slot): ThreadView => {
      const { thread, threadId, epoch, phase, block, credits, stats, rings, handle } = slot;
      const loop = { idleMs: handle.idleMs(), busyMs: handle.busyMs() };
      const silentMs = this.#watchdog.ageMs(thread);
      return { thread, threadId, epoch, phase, block, credits, stats, rings, loop, silentMs };
    });
  }

  depth(route: Route): number {
    const memory = route.thread === MAIN ? this.#parts.mainMember.credits : null;
    const credits = memory === null ? this.#slots.get(route.thread)?.credits : new Credits(memory);
    return credits?.depth(route.slot) ?? this.#kept.depth(route.thread);
  }

  /** Threads that can be told something. */
  get readyThreads(): readonly string[] {
    const ready = [...this.#slots.values()].filter(({ phase }) => phase === "ready");
    return [MAIN, ...ready.map(({ thread }) => thread)];
  }

  #spawn(thread: string): Slot {
    const { driver, clock, routes, seed, policies } = this.#parts;
    const epoch = (this.#epochs.get(thread) ?? 0) + 1;
    this.#epochs.set(thread, epoch);
    const hosted = this.#parts.actors.filter((actor) => actor.thread === thread);
    const actors = routes.filter((route) => route.thread === thread);
    const threadId = actors[0]?.threadId;
    invariant(threadId !== undefined, `the thread ${thread} has an actor`);
    const direct = this.#kept.take(thread);
    const credits = direct?.credits ?? Credits.allocate(actors.length + 1 + SPAWNED_ROWS);
    const block = new ThreadBlock(threadBlockMemory());
    const tokens = newTokenMemory();
    const policy = policies.get(thread);
    invariant(policy !== undefined, `the thread ${thread} has a policy`);
    const stats = statsMemory(actors.length);
    const shared = { credits: credits.memory, block: block.memory, stats, tokens };
    const own = { ...seed, thread, threadId, epoch, ...shared };
    const order = { seed: own, actors: hosted, policy };
    const handle = driver.spawn(order, {
      report: (report) => this.#onReport(slot, report),
      failed: () => void this.#terminate(slot, "failed"),
      exited: (code, cause) => this.#onExit(slot, code, cause),
    });
    let settleReady: Slot["settleReady"] = () => {};
    const ready = new Promise<void>((resolve, reject) => {
      settleReady = (error) => (error === null ? resolve() : reject(error));
    });
    // The death of a thread is told by `died`; nobody has to wait for its readiness.
    ready.catch(() => {});
    const loading = afterPatience(clock, READY_LIMIT_MS, () =>
      this.kill(thread, `the thread was not ready after ${READY_LIMIT_MS} ms`),
    );
    const base = { thread, threadId, epoch, credits, block, policy, memory: tokens, handle, ready };
    const slot: Slot = {
      ...base,
      stats: new StatsTable(stats),
      rings: new Map(),
      kept: direct?.rings ?? null,
      tokens: new Map(),
      settleReady,
      loading,
      phase: "loading",
      ending: false,
    };
    this.#slots.set(thread, slot);
    return slot;
  }

  #onReport(slot: Slot, report: Report): void {
    if (slot.phase === "dead" && report.kind !== "log") return;
    if (report.kind === "ready") this.#onReady(slot);
    else {
      if (report.kind === "started") slot.tokens.set(report.actor, report.token);
      this.#parts.report(slot.thread, report);
    }
  }

  /** Links the thread with every other before anything in it starts. */
  #onReady(slot: Slot): void {
    slot.loading.cancel();
    const { driver, main, mainMember } = this.#parts;
    const { thread, block, policy } = slot;
    const there = placed(slot);
    if (slot.kept !== null) {
      slot.handle.control({ kind: "orphans", rings: this.#kept.orphansOf(thread) });
    }
    main.control({ kind: "link", connection: driver.connectHere(mainMember, there, main) });
    for (const other of this.#slots.values()) {
      if (other === slot || other.phase !== "ready") continue;
      driver.connect(there, placed(other));
    }
    slot.phase = "ready";
    // Faults that came while it was loading.
    slot.handle.control({ kind: "arm", faults: this.#parts.seed.faults });
    if (driver.separate) this.#watchdog.watch(thread, block, policy);
    for (const control of this.#lasting) slot.handle.control(control);
    slot.settleReady(null);
  }

  #onExit(slot: Slot, code: number, cause: string): void {
    if (slot.phase === "dead") {
      if (this.#zombies.delete(slot)) this.#parts.zombie(slot.thread, this.zombies, true);
      return;
    }
    slot.phase = "dead";
    slot.loading.cancel();
    const { thread, epoch } = slot;
    this.#watchdog.unwatch(thread);
    this.#slots.delete(thread);
    const kept = this.#zombies.has(slot) ? null : this.#kept.keep(slot, this.#senders());
    this.#kept.senderIsOver(slot);
    this.broadcast({ kind: "down", thread, epoch, kept });
    new NameTable(this.#parts.seed.names).sweep(slot.threadId);
    if (kept === null) this.#loseMailboxes(slot);
    const text = `the thread ${thread} ended: ${cause}`;
    slot.settleReady(new EsperError("ACTOR_RESTARTING", text, { thread, code }));
    this.#parts.died(thread, code, cause);
  }

  #loseMailboxes({ thread, credits }: Slot): void {
    this.#kept.lose(thread);
    for (const route of this.#parts.routes) {
      if (route.thread !== thread) continue;
      this.#parts.main.addDeadLetters(route.name, credits.close(route.slot));
    }
  }

  /** All threads that have rings to others. */
  #senders(): Pick<Member, "threadId" | "rings">[] {
    return [this.#parts.mainMember, ...this.#slots.values()];
  }

  /** The actor that hangs is told by its token; when it heeds it, it is failed and restarted. */
  #onStuck(sighting: Sighting): void {
    const { thread, actor: row, ageMs } = sighting;
    this.#parts.stuck(sighting);
    const actor = this.#parts.routes[row]?.name;
    const token = actor === undefined ? undefined : this.#slots.get(thread)?.tokens.get(actor);
    if (actor === undefined || token === undefined) return;
    CancellationToken.attach(token).cancel();
    this.control(thread, { kind: "stuck", actor, ageMs });
  }

  async #terminate(slot: Slot, cause: string): Promise<void> {
    if (slot.phase === "dead") return;
    const first = !slot.ending;
    slot.ending = true;
    if (first && slot.kept !== null) await this.#betweenMessages(slot);
    const gone = await this.#withinLimit(slot.handle.terminate(cause));
    if (gone) this.#onExit(slot, 1, cause);
    else if (first) this.#leaveBehind(slot, cause);
  }

  /** A message that is nearly done is not begun a second time for want of a moment. */
  async #betweenMessages(slot: Slot): Promise<void> {
    slot.block.condemn();
    const { clock } = this.#parts;
    for (let waitedMs = 0; waitedMs < IN_HAND_LIMIT_MS; waitedMs++) {
      if (!this.#kept.isInHand(slot, this.#senders())) return;
      await new Promise<void>((resolve) => void clock.after(1, resolve));
    }
  }

  #leaveBehind(slot: Slot, cause: string): void {
    if (slot.phase === "dead") return;
    slot.block.condemn();
    slot.handle.abandon();
    this.#zombies.add(slot);
    this.#parts.zombie(slot.thread, this.zombies, false);
    this.#onExit(slot, 1, `${cause}; it did not end and was left behind`);
  }

  /** False when it did not happen within the limit on an end. */
  #withinLimit(end: Promise<void>): Promise<boolean> {
    const { clock, main } = this.#parts;
    return new Promise((resolve) => {
      const timer = afterPatience(clock, TERMINATE_LIMIT_MS, () => resolve(false));
      const settle = (): void => {
        timer.cancel();
        resolve(true);
      };
      end.then(settle, (error: unknown) => {
        timer.cancel();
        const fields = { error: dehydrate(error).message };
        main.log("error", "runtime", fields, "terminate failed");
        resolve(false);
      });
    });
  }
}

function placed({ credits, block, memory, kept, ...slot }: Slot): Placed {
  const { thread, threadId, epoch, handle, rings } = slot;
  const shared = { credits: credits.memory, block: block.memory, tokens: memory };
  const direct = kept === null ? {} : { direct: true, kept };
  return { thread, threadId, epoch, ...shared, handle, rings, ...direct };
}
