/**
 * Reads a running system from outside: from shared memory and from what the main thread itself
 * keeps, asking no other thread and waiting for none. So it also shows what hangs.
 */
import { LANES } from "../../protocols/protocol.ts";
import { type Clock, sleep } from "../clock.ts";
import type { Standing } from "../supervision-tree.ts";
import type { SourceMeter } from "../telemetry/meter.ts";
import { describeWork } from "../thread/conductor.ts";
import { Credits, type Tally } from "../thread/credits.ts";
import { MAIN, type Plan } from "../thread/plan.ts";
import { type ActorRow, StatsTable } from "../thread/stats.ts";
import type { ActorStatus, SystemEvent } from "../thread/types.ts";
import type { Route } from "../thread/wire.ts";
import type { ActorSpec, SupervisorSpec } from "../topology.ts";
import { ThreadBlock } from "../wire/thread-block.ts";
import { DeadLetterLog } from "./dead-letter-log.ts";
import type * as shown from "./snapshot.ts";
import { SNAPSHOT_VERSION } from "./snapshot.ts";
import { ageMs, type LoopMark, missingThread, readThread } from "./thread-reading.ts";
import type { ThreadView } from "./thread-view.ts";

/** Memory of the main thread, as its host has it. */
export interface MainMemory {
  readonly block: SharedArrayBuffer;
  readonly credits: SharedArrayBuffer;
  readonly stats: SharedArrayBuffer;
  readonly rings: ReadonlyMap<number, readonly SharedArrayBuffer[]>;
}

export interface InspectorParts {
  readonly clock: Clock;
  readonly tree: SupervisorSpec;
  readonly plan: Plan;
  readonly tally: Tally;
  readonly main: MainMemory;
  /** The threads that are there, without the main one. */
  views(): readonly ThreadView[];
  standing(atMs: number): Standing;
  stateOf(actor: string): Pick<ActorStatus, "state" | "starts">;
  /** Asks every thread to publish what it has. */
  ask(): void;
  spares(): number;
  zombies(): number;
}

/** Totals at one moment, from which rates are made at a later one. */
interface Mark {
  readonly atMs: number;
  readonly processed: readonly number[];
  readonly loops: ReadonlyMap<string, LoopMark>;
}

/** What one reading works with. */
interface Reading {
  readonly nowMs: number;
  readonly before: Mark;
  readonly views: ReadonlyMap<string, ThreadView>;
}

const NO_ROW: ActorRow = {
  ...{ depths: [0, 0, 0, 0], oldestAtMs: [null, null, null, null] },
  ...{ stashed: 0, activeKind: null, activeSinceMs: 0 },
};
/** Rates over less time than this would jump about. */
const LEAST_RATE_MS = 250;
/** How long the threads get to answer; one that is busy is shown as it was. */
const ANSWER_LIMIT_MS = 60;
const LOOK_EVERY_MS = 5;

export class Inspector {
  readonly #parts: InspectorParts;
  readonly #main: Omit<ThreadView, "loop">;
  readonly #deadLetters = new DeadLetterLog();
  readonly #startedAtMs: number;
  #before: Mark;

  constructor(parts: InspectorParts) {
    this.#parts = parts;
    const { block, credits, stats, rings } = parts.main;
    this.#main = {
      ...{ thread: MAIN, threadId: 0, epoch: 1, phase: "ready", rings, silentMs: 0 },
      ...{ block: new ThreadBlock(block), credits: new Credits(credits) },
      stats: new StatsTable(stats),
    };
    this.#startedAtMs = parts.clock.monotonicMs();
    this.#before = { atMs: this.#startedAtMs, processed: [], loops: new Map() };
  }

  /** Must be told of every event of the system. */
  note(event: SystemEvent): void {
    if (event.kind !== "dead-letter") return;
    this.#deadLetters.add(this.#parts.clock.nowMs(), event.thread, event);
  }

  /** Rates are those since an earlier call, at least 250 ms ago, or since the start. */
  inspect(): shown.SystemSnapshot {
    const now = this.#mark();
    const snapshot = this.#read(this.#before);
    if (now.atMs - this.#before.atMs >= LEAST_RATE_MS) this.#before = now;
    return snapshot;
  }

  /** Rates are those of the next `overMs`; every thread is asked for its latest figures. */
  async inspectOver(overMs: number): Promise<shown.SystemSnapshot> {
    const before = this.#mark();
    if (overMs > 0) await sleep(this.#parts.clock, overMs);
    await this.#askAll();
    return this.#read(overMs > 0 ? before : this.#before);
  }

  /** What only the main thread can measure. */
  measure(meter: Pick<SourceMeter, "gauge">): void {
    for (const { thread, silentMs } of this.#parts.views()) {
      meter.gauge("runtime.heartbeat_age_ms", Math.round(silentMs), { thread });
    }
    meter.gauge("runtime.spares", this.#parts.spares());
    meter.gauge("runtime.zombies", this.#parts.zombies());
  }

  async #askAll(): Promise<void> {
    const { clock } = this.#parts;
    const askedAtMs = clock.monotonicMs();
    this.#parts.ask();
    const missing = (): boolean =>
      this.#parts
        .views()
        .some(({ phase, stats }) => phase === "ready" && stats.publishedAtMs < askedAtMs);
    while (missing() && clock.monotonicMs() - askedAtMs < ANSWER_LIMIT_MS) {
      await sleep(clock, LOOK_EVERY_MS);
    }
  }

  #views(): ThreadView[] {
    const { idle, active } = performance.eventLoopUtilization();
    const main = { ...this.#main, loop: { idleMs: idle, busyMs: active } };
    return [main, ...this.#parts.views()];
  }

  #mark(): Mark {
    const { clock, plan, tally } = this.#parts;
    const loops = this.#views().map(({ thread, epoch, loop }): [string, LoopMark] => {
      return [thread, { epoch, ...loop }];
    });
    const processed = plan.routes.map(({ index }) => tally.processed(index));
    return { atMs: clock.monotonicMs(), processed, loops: new Map(loops) };
  }

  #read(before: Mark): shown.SystemSnapshot {
    const { clock, plan, tree } = this.#parts;
    const nowMs = clock.monotonicMs();
    const views = new Map(this.#views().map((view) => [view.thread, view]));
    const reading: Reading = { nowMs, before, views };
    const threads = [MAIN, ...plan.threads];
    const nameOf = (id: number): string => threads[id] ?? `thread ${id}`;
    return {
      version: SNAPSHOT_VERSION,
      atMs: clock.nowMs(),
      uptimeMs: ageMs(nowMs, this.#startedAtMs),
      overMs: ageMs(nowMs, before.atMs),
      process: { pid: process.pid, rssBytes: process.memoryUsage.rss() },
      tree: this.#supervisor(tree, this.#parts.standing(nowMs), reading),
      threads: threads.map((name, id) => {
        const view = views.get(name);
        if (view === undefined) return missingThread(name, id);
        return readThread(view, nowMs, nameOf, before.loops.get(name));
      }),
      deadLetters: this.#deadLetters.read(),
      spares: this.#parts.spares(),
      zombies: this.#parts.zombies(),
    };
  }

  #supervisor(
    spec: SupervisorSpec,
    { name, failures: recent, children }: Standing,
    reading: Reading,
  ): shown.SupervisorSnapshot {
    const { strategy, intensity, periodMs } = spec;
    const below = Object.values(spec.children).flatMap((child, place): shown.TreeSnapshot[] => {
      const standing = children[place];
      if (standing === undefined) return [];
      return child.kind === "supervisor"
        ? [this.#supervisor(child, standing, reading)]
        : this.#actor(child, standing, reading);
    });
    const failures = { recent, intensity, periodMs };
    return { kind: "supervisor", name, strategy, failures, children: below };
  }

  #actor({ definition }: ActorSpec, standing: Standing, reading: Reading): shown.ActorSnapshot[] {
    const { plan, tally } = this.#parts;
    const route = plan.routes.find(({ name }) => name === standing.name);
    if (route === undefined) return [];
    const { name, protocol, thread, index } = route;
    const { restart, intensity, periodMs } = definition.supervision;
    const view = reading.views.get(thread);
    const row = view?.stats.readActor(route.slot) ?? NO_ROW;
    const processed = tally.processed(index);
    const seconds = Math.max(1, reading.nowMs - reading.before.atMs) / 1_000;
    const fresh = processed - (reading.before.processed[index] ?? 0);
    const actor: shown.ActorSnapshot = {
      ...{ kind: "actor", name, protocol, thread, restart },
      ...this.#parts.stateOf(name),
      failures: { recent: standing.failures, intensity, periodMs },
      mailbox: mailboxOf(route, view, row, reading.nowMs),
      ...{ processed, failed: tally.failed(index) },
      perSecond: Number((fresh / seconds).toPrecision(4)),
      current: this.#current(route, view, row, reading.nowMs),
    };
    return [actor];
  }

  #current(
    { index }: Route,
    view: ThreadView | undefined,
    row: ActorRow,
    nowMs: number,
  ): shown.CurrentSnapshot | null {
    const planned = this.#parts.plan.actors[index];
    if (view === undefined || planned === undefined) return null;
    const { actor, kind, handlerStartedAtMs } = view.block.read();
    if (actor === index) {
      const forMs = ageMs(nowMs, handlerStartedAtMs);
      return { message: describeWork(planned, kind), forMs, waiting: false };
    }
    if (row.activeKind === null) return null;
    const forMs = ageMs(nowMs, row.activeSinceMs);
    return { message: describeWork(planned, row.activeKind), forMs, waiting: true };
  }
}

function mailboxOf(
  { slot, capacity, overflow }: Route,
  view: ThreadView | undefined,
  { depths, oldestAtMs, stashed }: ActorRow,
  nowMs: number,
): shown.MailboxSnapshot {
  const depth = view?.credits.depth(slot) ?? 0;
  const lanes = LANES.map((lane, number): shown.LaneSnapshot => {
    const atMs = oldestAtMs[number] ?? null;
    const oldestMs = atMs === null ? null : ageMs(nowMs, atMs);
    return { lane, depth: depths[number] ?? 0, oldestMs };
  });
  const seen = lanes.reduce((sum, lane) => sum + lane.depth, 0);
  const onTheWay = Math.max(0, depth - seen);
  return { depth, capacity, overflow, onTheWay, stashed, lanes };
}
