/** Two actors throw one message back and forth. An operation is a round trip. */
import { type ActorRef, cast, defineActor, protocol } from "esper-runtime";
import { type Begin, type Cast, closeStage } from "./stage.ts";

interface Ball {
  readonly from: ActorRef<{ readonly pong: Cast<number> }>;
  readonly sequence: number;
}

const PongProtocol = protocol("pong", { ping: cast<Ball>() });

const PingProtocol = protocol("ping", {
  start: cast<{ readonly pong: ActorRef<typeof PongProtocol.messages>; readonly count: number }>(),
  pong: cast<number>(),
});

const pong = defineActor(import.meta.url, PongProtocol, {
  setup: () => ({}),
  receive: {
    ping: (_state, { from, sequence }) => void from.cast("pong", sequence),
  },
});

interface Pinger {
  pong: ActorRef<typeof PongProtocol.messages> | null;
  count: number;
  next: number;
  faults: number;
}

const ping = defineActor(import.meta.url, PingProtocol, {
  setup: (): Pinger => ({ pong: null, count: 0, next: 0, faults: 0 }),
  receive: {
    start(state, start, { self }) {
      state.pong = start.pong;
      state.count = start.count;
      start.pong.cast("ping", { from: self, sequence: 0 });
    },
    pong(state, sequence, { self }) {
      if (sequence !== state.next) state.faults += 1;
      state.next += 1;
      if (state.next === state.count) closeStage(state.count, state.faults);
      else state.pong?.cast("ping", { from: self, sequence: state.next });
    },
  },
});

export const beginPingPong: Begin = (root, count) => {
  const target = root.spawn(pong);
  root.spawn(ping).cast("start", { pong: target, count });
};
