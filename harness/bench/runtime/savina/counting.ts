/**
 * One producer, one counter that checks every number. The counter tells after each half window, so
 * its bounded mailbox is never asked for more than it has.
 */
import { type ActorRef, cast, defineActor, protocol } from "esper-runtime";
import { Order } from "../order.ts";
import { type Begin, type Cast, closeStage } from "./stage.ts";

const WINDOW = 1_000;
const HALF = WINDOW / 2;

interface Expect {
  readonly count: number;
  readonly producer: ActorRef<{ readonly taken: Cast<number> }>;
}

const CounterProtocol = protocol("counter", {
  expect: cast<Expect>(),
  count: cast<number>(),
});

const counter = defineActor(import.meta.url, CounterProtocol, {
  mailbox: { capacity: WINDOW + HALF, overflow: "reject" },
  setup: () => ({ order: new Order(), expect: null as Expect | null, last: 0, told: HALF - 1 }),
  receive: {
    expect(state, expect) {
      state.expect = expect;
      state.last = expect.count - 1;
    },
    count(state, sequence) {
      state.order.arrived(sequence);
      if (sequence === state.told) {
        state.told += HALF;
        state.expect?.producer.cast("taken", sequence + 1);
      }
      if (sequence === state.last) closeStage(sequence + 1, state.order.judge(sequence + 1));
    },
  },
});

interface Start {
  readonly counter: ActorRef<typeof CounterProtocol.messages>;
  readonly count: number;
}

const ProducerProtocol = protocol("count-producer", {
  start: cast<Start>(),
  taken: cast<number>(),
});

interface Producer {
  start: Start | null;
  sent: number;
}

function pump(state: Producer, taken: number): void {
  if (state.start === null) return;
  const { counter: target, count } = state.start;
  const until = Math.min(count, taken + WINDOW);
  for (; state.sent < until; state.sent++) target.cast("count", state.sent);
}

const producer = defineActor(import.meta.url, ProducerProtocol, {
  setup: (): Producer => ({ start: null, sent: 0 }),
  receive: {
    start(state, start) {
      state.start = start;
      pump(state, 0);
    },
    taken: pump,
  },
});

export const beginCounting: Begin = (root, count) => {
  const target = root.spawn(counter);
  const source = root.spawn(producer);
  target.cast("expect", { count, producer: source });
  source.cast("start", { counter: target, count });
};
