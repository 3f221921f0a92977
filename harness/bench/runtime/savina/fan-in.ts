/** Eight producers, one consumer that checks the order of each of them and sets their pace. */
import { type ActorRef, cast, defineActor, protocol } from "esper-runtime";
import { Order } from "../order.ts";
import { type Begin, type Cast, closeStage } from "./stage.ts";

const PRODUCERS = 8;
const WINDOW = 200;
const HALF = WINDOW / 2;

interface Item {
  readonly producer: number;
  readonly sequence: number;
}

interface Expect {
  readonly count: number;
  readonly producers: readonly ActorRef<{ readonly taken: Cast<number> }>[];
}

const SinkProtocol = protocol("fan-in-sink", { expect: cast<Expect>(), take: cast<Item>() });

interface Sink {
  readonly orders: readonly Order[];
  expect: Expect;
  taken: number;
}

function judge({ orders, expect, taken }: Sink): void {
  const each = expect.count / PRODUCERS;
  closeStage(
    taken,
    orders.reduce((sum, order) => sum + order.judge(each), 0),
  );
}

const sink = defineActor(import.meta.url, SinkProtocol, {
  mailbox: { capacity: 2 * PRODUCERS * WINDOW, overflow: "reject" },
  setup: (): Sink => ({
    orders: Array.from({ length: PRODUCERS }, () => new Order()),
    expect: { count: 0, producers: [] },
    taken: 0,
  }),
  receive: {
    expect(state, expect) {
      state.expect = expect;
    },
    take(state, { producer, sequence }) {
      state.orders[producer]?.arrived(sequence);
      state.taken += 1;
      const next = sequence + 1;
      if (next % HALF === 0) state.expect.producers[producer]?.cast("taken", next);
      if (state.taken === state.expect.count) judge(state);
    },
  },
});

interface Start {
  readonly sink: ActorRef<typeof SinkProtocol.messages>;
  readonly producer: number;
  readonly count: number;
}

const SourceProtocol = protocol("fan-in-source", { start: cast<Start>(), taken: cast<number>() });

interface Source {
  start: Start | null;
  sent: number;
}

function pump(state: Source, taken: number): void {
  if (state.start === null) return;
  const { sink: target, producer, count } = state.start;
  const until = Math.min(count, taken + WINDOW);
  for (; state.sent < until; state.sent++) {
    target.cast("take", { producer, sequence: state.sent });
  }
}

const source = defineActor(import.meta.url, SourceProtocol, {
  setup: (): Source => ({ start: null, sent: 0 }),
  receive: {
    start(state, start) {
      state.start = start;
      pump(state, 0);
    },
    taken: pump,
  },
});

export const beginFanIn: Begin = (root, count) => {
  const each = Math.ceil(count / PRODUCERS);
  const target = root.spawn(sink);
  const producers = Array.from({ length: PRODUCERS }, () => root.spawn(source));
  target.cast("expect", { count: each * PRODUCERS, producers });
  producers.forEach((ref, producer) => {
    ref.cast("start", { sink: target, producer, count: each });
  });
};
