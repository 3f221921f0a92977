/**
 * Where the cancelled jobs run: workers of their own, shared workers, actors of other threads. Each
 * side knows what it promises beyond what all of them do.
 */
import {
  type ActorSpec,
  ActorSystem,
  actor,
  createRandom,
  openPool,
  type Pool,
  supervisor,
  systemClock,
} from "esper-runtime";
import { Board } from "./board.ts";
import { StepperProtocol, stepper } from "./cancellation.actors.ts";
import { soakJobs } from "./cancellation-jobs.ts";
import { type Life, live } from "./life.ts";

export interface Side {
  readonly name: string;
  /** Lives `jobs` lives at once. */
  round(round: number): Promise<readonly Life[]>;
  /** Steps a job may finish after its caller was told. */
  readonly stepsAfter: number;
  /** Codes of errors that are a promised end. */
  readonly codes: readonly string[];
  readonly board: Board;
  /** How often the books did not balance. */
  readonly imbalances: () => number;
  /** Bytes left in its threads after a collection there; 0 where nobody can be asked. */
  collect(): Promise<number>;
  /** What it counted, for the report. */
  figures(): Readonly<Record<string, unknown>>;
  close(): Promise<void>;
}

export interface SideOptions {
  readonly jobs: number;
  readonly seed: number;
}

const WORKERS = 2;
const GRACE_MS = 15;
const FORCED_SLACK_MS = 100;
const TOLD_MS = 50;
const STUBBORN_SHARE = 0.01;
/** A stubborn call costs a thread; so there is one in every so many rounds. */
const STUBBORN_EVERY = 4;
const STUBBORN_PLACE = 7;
/** Far above what a collection takes on a machine that others use too. */
const STUCK = { stuckMs: 500, graceMs: 50 };
const CALL_MS = 10_000;
const POLL_MS = 2;

type SoakPool = Pool<typeof soakJobs.functions>;

function imbalance(pool: SoakPool): number {
  const { submitted, queued, running, completed, cancelled, timedOut, failed } = pool.account();
  return submitted - (queued + running + completed + cancelled + timedOut + failed);
}

async function until(condition: () => boolean, limitMs: number): Promise<void> {
  const endsAtMs = systemClock.monotonicMs() + limitMs;
  while (!condition()) {
    if (systemClock.monotonicMs() > endsAtMs) throw new Error(`not so: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Jobs of a pool; in shared workers nothing is forced, so there none is stubborn. */
export async function poolSide(options: SideOptions, cooperative: boolean): Promise<Side> {
  const name = cooperative ? "pool, shared workers" : "pool, one job a worker";
  const random = createRandom(options.seed, `soak:${name}`);
  const board = Board.allocate(options.jobs);
  const pool = await openPool(soakJobs, {
    ...{ kind: "threads", workers: WORKERS, clock: systemClock, graceMs: GRACE_MS, cooperative },
    queueCapacity: options.jobs,
  });
  let imbalances = 0;
  const changed = (): void => {
    if (imbalance(pool) !== 0) imbalances += 1;
  };
  const conditions = {
    ...{ board, random, changed, graceMs: GRACE_MS, settleMs: FORCED_SLACK_MS },
    stubborn: (place: number) =>
      !cooperative && (place === STUBBORN_PLACE || random.next() < STUBBORN_SHARE),
    submit: (job, order, about) => pool.run(job, { ...order, memory: board.memory }, about),
  } satisfies Parameters<typeof live>[0];
  return {
    ...{ name, board, stepsAfter: cooperative ? 1 : 0, codes: ["CANCELLED", "DEADLINE_EXCEEDED"] },
    async round() {
      board.clear();
      const lives = Array.from({ length: options.jobs }, (_, place) => live(conditions, place));
      const lived = await Promise.all(lives);
      await until(() => pool.statistics().lingering === 0 && pool.account().running === 0, CALL_MS);
      return lived;
    },
    imbalances: () => imbalances,
    collect: async () => 0,
    figures: () => ({ account: pool.account(), statistics: pool.statistics() }),
    close: () => pool.close(),
  };
}

/** Calls of actors in two other threads; a stubborn one is ended by the watchdog. */
export async function actorSide(options: SideOptions): Promise<Side> {
  const name = "calls of actors";
  const random = createRandom(options.seed, `soak:${name}`);
  const board = Board.allocate(options.jobs);
  const names = ["one", "two"];
  const children = Object.fromEntries(
    names.map((thread): [string, ActorSpec] => [
      thread,
      actor(stepper, { thread, config: () => ({ memory: board.memory }) }),
    ]),
  );
  let threadsLost = 0;
  const system = await ActorSystem.start({
    tree: supervisor({ intensity: 1_000, periodMs: 50, children }),
    clock: systemClock,
    log: () => {},
    onEvent: (event) => {
      if (event.kind === "thread-exit") threadsLost += 1;
    },
    threadOptions: Object.fromEntries(names.map((thread) => [thread, STUCK])),
  });
  const refs = names.map((thread) => system.ref(StepperProtocol, thread));
  let imbalances = 0;
  let isStubbornRound = false;
  const idle = (): boolean =>
    system.status().every(({ state, mailboxDepth }) => state === "running" && mailboxDepth === 0);
  const conditions = {
    ...{ board, random, graceMs: 0, settleMs: TOLD_MS },
    changed: () => {},
    stubborn: (place: number) => isStubbornRound && place === STUBBORN_PLACE,
    submit(job, order, about) {
      const ref = refs[order.place % refs.length];
      if (ref === undefined) throw new Error("there are two actors");
      return ref.call(job, order, about);
    },
  } satisfies Parameters<typeof live>[0];
  return {
    ...{ name, board, stepsAfter: 1 },
    // A call that was with a stubborn one in its thread is lost with it.
    codes: ["CANCELLED", "DEADLINE_EXCEEDED", "ACTOR_RESTARTING", "HANDLER_TIMEOUT"],
    async round(round) {
      board.clear();
      isStubbornRound = round % STUBBORN_EVERY === 0;
      const lost = threadsLost;
      const lives = Array.from({ length: options.jobs }, (_, place) => live(conditions, place));
      const lived = await Promise.all(lives);
      const stubborn = lived.some(({ order, written }) => order.stubborn && written > 0);
      if (stubborn) await until(() => threadsLost > lost, CALL_MS);
      await until(idle, CALL_MS);
      // Every place of a mailbox is given back, whatever became of its message.
      for (const ref of refs) if (ref.depth !== 0) imbalances += 1;
      return lived;
    },
    imbalances: () => imbalances,
    async collect() {
      const left = await Promise.all(
        refs.map((ref) => ref.call("collect", null, { deadlineMs: CALL_MS, onRestart: "retry" })),
      );
      return left.reduce((sum, bytes) => sum + bytes, 0);
    },
    figures: () => ({ threadsLost, status: system.status() }),
    close: () => system.stop({ graceMs: CALL_MS }),
  };
}
