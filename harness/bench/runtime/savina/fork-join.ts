/**
 * Fork-join, in two measures: how fast sixty actors get their share of messages, and how fast
 * actors are made, handle one message and are gone.
 */
import { type ActorContext, type ActorRef, cast, defineActor, protocol } from "esper-runtime";
import { Order } from "../order.ts";
import { type Begin, type Cast, closeStage } from "./stage.ts";

const WORKERS = 60;
const BURST = 200;
const ANGLE = 37.2;

type Join = ActorRef<{ readonly joined: Cast<number>; readonly taken: Cast<null> }>;

const WorkerProtocol = protocol("fork-join-worker", {
  expect: cast<{ readonly join: Join; readonly count: number }>(),
  work: cast<number>(),
});

const worker = defineActor(import.meta.url, WorkerProtocol, {
  setup: () => ({ order: new Order(), join: null as Join | null, count: 0, work: 0 }),
  receive: {
    expect(state, { join, count }) {
      state.join = join;
      state.count = count;
    },
    work(state, sequence) {
      state.order.arrived(sequence);
      state.work += Math.sin(ANGLE) * Math.sin(ANGLE);
      if (sequence === state.count - 1) state.join?.cast("joined", state.order.judge(state.count));
      else if ((sequence + 1) % BURST === 0) state.join?.cast("taken", null);
    },
  },
});

interface Fork {
  readonly workers: readonly ActorRef<typeof WorkerProtocol.messages>[];
  readonly count: number;
}

const ForkProtocol = protocol("fork", {
  start: cast<Fork>(),
  /** One worker has taken its burst. */
  taken: cast<null>(),
  joined: cast<number>(),
});

interface Forking {
  fork: Fork | null;
  sent: number;
  taken: number;
  joined: number;
  faults: number;
}

function burst(state: Forking): void {
  if (state.fork === null) return;
  const { workers, count } = state.fork;
  const until = Math.min(count, state.sent + BURST);
  for (; state.sent < until; state.sent++) {
    for (const ref of workers) ref.cast("work", state.sent);
  }
}

const fork = defineActor(import.meta.url, ForkProtocol, {
  setup: (): Forking => ({ fork: null, sent: 0, taken: 0, joined: 0, faults: 0 }),
  receive: {
    start(state, start) {
      state.fork = start;
      burst(state);
    },
    taken(state) {
      state.taken += 1;
      if (state.taken % WORKERS === 0) burst(state);
    },
    joined(state, faults) {
      state.joined += 1;
      state.faults += faults;
      if (state.joined === WORKERS) closeStage(WORKERS * (state.fork?.count ?? 0), state.faults);
    },
  },
});

export const beginForkJoin: Begin = (root, count) => {
  const each = Math.ceil(count / WORKERS);
  const join = root.spawn(fork);
  const workers = Array.from({ length: WORKERS }, () => root.spawn(worker));
  for (const ref of workers) ref.cast("expect", { join, count: each });
  join.cast("start", { workers, count: each });
};

const MayflyProtocol = protocol("mayfly", {
  live: cast<ActorRef<{ readonly gone: Cast<null> }>>(),
});

const mayfly = defineActor(import.meta.url, MayflyProtocol, {
  setup: () => ({}),
  receive: {
    live(_state, nest, context) {
      nest.cast("gone", null);
      context.stop();
    },
  },
});

const NestProtocol = protocol("nest", { start: cast<number>(), gone: cast<null>() });

const WAVE = 250;

interface Nest {
  count: number;
  made: number;
  gone: number;
}

const nest = defineActor(import.meta.url, NestProtocol, {
  setup: (): Nest => ({ count: 0, made: 0, gone: 0 }),
  receive: {
    start(state, count, context) {
      state.count = count;
      wave(state, context);
    },
    gone(state, _payload, context) {
      state.gone += 1;
      if (state.gone === state.count) closeStage(state.count, state.made - state.gone);
      else if (state.gone === state.made) wave(state, context);
    },
  },
});

/** Spawns as many as the nest's mailbox has room to hear of. */
function wave(state: Nest, context: ActorContext<unknown, typeof NestProtocol.messages>): void {
  const until = Math.min(state.count, state.made + WAVE);
  for (; state.made < until; state.made++) context.spawn(mayfly).cast("live", context.self);
}

export const beginForkJoinCreate: Begin = (root, count) => {
  root.spawn(nest).cast("start", count);
};
