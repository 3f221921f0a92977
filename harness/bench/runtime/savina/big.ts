/** Each of 120 actors pings random others and answers their pings: many-to-many traffic. */
import { type ActorRef, cast, createRandom, defineActor, protocol } from "esper-runtime";
import { type Begin, type Cast, closeStage } from "./stage.ts";

const ACTORS = 120;

interface Ping {
  readonly from: ActorRef<{ readonly pong: Cast<number> }>;
  readonly sequence: number;
}
type Neighbour = ActorRef<{ readonly ping: Cast<Ping> }>;
type Judge = ActorRef<{ readonly done: Cast<number> }>;

interface Start {
  readonly all: readonly Neighbour[];
  readonly judge: Judge;
  readonly count: number;
  readonly index: number;
}

const MemberProtocol = protocol("big-member", {
  start: cast<Start>(),
  ping: cast<Ping>(),
  pong: cast<number>(),
});

interface Member {
  start: Start | null;
  /** A private stream: drawing from the run's streams would measure them instead. */
  draw: number;
  sequence: number;
  faults: number;
}

/** Xorshift: the next neighbour costs a few nanoseconds, in every peer alike. */
function pingNext(state: Member, self: ActorRef<typeof MemberProtocol.messages>): void {
  if (state.start === null) return;
  let draw = state.draw;
  draw ^= draw << 13;
  draw ^= draw >>> 17;
  draw ^= draw << 5;
  state.draw = draw;
  const target = state.start.all[(draw >>> 0) % ACTORS];
  target?.cast("ping", { from: self, sequence: state.sequence });
}

const member = defineActor(import.meta.url, MemberProtocol, {
  setup: (): Member => ({ start: null, draw: 1, sequence: 0, faults: 0 }),
  receive: {
    start(state, start, { self }) {
      state.start = start;
      state.draw = createRandom(start.index, "bench:big").integer(2 ** 31) + 1;
      pingNext(state, self);
    },
    ping: (_state, { from, sequence }) => void from.cast("pong", sequence),
    pong(state, sequence, { self }) {
      if (sequence !== state.sequence) state.faults += 1;
      state.sequence += 1;
      const done = state.sequence === state.start?.count;
      if (done) state.start?.judge.cast("done", state.faults);
      else pingNext(state, self);
    },
  },
});

const JudgeProtocol = protocol("big-judge", {
  expect: cast<number>(),
  done: cast<number>(),
});

const judge = defineActor(import.meta.url, JudgeProtocol, {
  setup: () => ({ expected: 0, done: 0, faults: 0 }),
  receive: {
    expect(state, count) {
      state.expected = count;
    },
    done(state, faults) {
      state.done += 1;
      state.faults += faults;
      if (state.done === ACTORS) closeStage(state.expected, state.faults);
    },
  },
});

export const beginBig: Begin = (root, count) => {
  const each = Math.ceil(count / ACTORS);
  const referee = root.spawn(judge);
  referee.cast("expect", each * ACTORS);
  const all = Array.from({ length: ACTORS }, () => root.spawn(member));
  all.forEach((ref, index) => {
    ref.cast("start", { all, judge: referee, count: each, index });
  });
};
