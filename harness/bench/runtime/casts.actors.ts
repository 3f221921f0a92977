/**
 * One-way messages between two threads: a producer that keeps a bounded number in flight, and a
 * consumer that checks every number and acknowledges in batches.
 */

import type { ActorContext, ActorRef } from "esper-runtime";
import { borrowed, cast, defineActor, f64, fields, protocol, u32 } from "esper-runtime";
import { CollectorProtocol } from "./collector.actors.ts";
import { instantMs } from "./instant.ts";
import { Order } from "./order.ts";
import {
  ackEvery,
  isWhole,
  type Kind,
  makeTelemetry,
  makeTick,
  makeTypedTick,
  numberBlock,
  readBlock,
  type Telemetry,
  type Tick,
  WINDOW,
} from "./payloads.ts";

export const ConsumerProtocol = protocol("cast-consumer", {
  begin: cast<{ readonly kind: Kind; readonly count: number; readonly startedAtMs: number }>(),
  typed: cast(fields({ sequence: u32, at: f64, from: u32, rank: u32, priority: u32, loss: f64 })),
  plain: cast<Tick>(),
  nested: cast<Telemetry>(),
  block: cast(fields({ sequence: u32, body: borrowed })),
});

export const ProducerProtocol = protocol("cast-producer", {
  start: cast<{ readonly kind: Kind; readonly count: number }>(),
  taken: cast<number>(),
});

type ConsumerRef = ActorRef<typeof ConsumerProtocol.messages>;

const SEND: Readonly<Record<Kind, (to: ConsumerRef, sequence: number) => boolean>> = {
  typed: (to, sequence) => to.cast("typed", makeTypedTick(sequence)),
  plain: (to, sequence) => to.cast("plain", makeTick(sequence)),
  nested: (to, sequence) => to.cast("nested", makeTelemetry(sequence)),
  block: (to, sequence) => to.cast("block", { sequence, body: numberBlock(sequence) }),
};

interface Producer {
  readonly consumer: ConsumerRef;
  send: (to: ConsumerRef, sequence: number) => boolean;
  window: number;
  count: number;
  sent: number;
  taken: number;
}

function pump(state: Producer): void {
  const until = Math.min(state.count, state.taken + state.window);
  for (; state.sent < until; state.sent++) {
    // The window is smaller than the mailbox: a refusal would be a broken measurement.
    if (!state.send(state.consumer, state.sent)) throw new Error(`refused at ${state.sent}`);
  }
}

export const castProducer = defineActor(import.meta.url, ProducerProtocol, {
  setup: (context): Producer => ({
    consumer: context.ref(ConsumerProtocol, "consumer"),
    send: SEND.typed,
    window: 0,
    count: 0,
    sent: 0,
    taken: 0,
  }),
  receive: {
    start(state, { kind, count }) {
      Object.assign(state, { send: SEND[kind], window: WINDOW[kind], count, sent: 0, taken: 0 });
      state.consumer.cast("begin", { kind, count, startedAtMs: instantMs() });
      pump(state);
    },
    taken(state, taken) {
      // The last word of the measurement before may come after this one has begun.
      if (taken > state.sent) return;
      state.taken = taken;
      pump(state);
    },
  },
});

interface Consumer {
  readonly producer: ActorRef<typeof ProducerProtocol.messages>;
  order: Order;
  count: number;
  batch: number;
  startedAtMs: number;
}

type Context = ActorContext<unknown, typeof ConsumerProtocol.messages>;

/** Counts one arrival; acknowledges a batch, reports the last. */
function arrived(state: Consumer, sequence: number, context: Context): void {
  state.order.arrived(sequence);
  if ((sequence + 1) % state.batch === 0) state.producer.cast("taken", sequence + 1);
  if (sequence + 1 !== state.count) return;
  context.ref(CollectorProtocol, "collector").cast("report", {
    startedAtMs: state.startedAtMs,
    endedAtMs: instantMs(),
    operations: state.count,
    faults: state.order.judge(state.count),
  });
}

export const castConsumer = defineActor(import.meta.url, ConsumerProtocol, {
  mailbox: { capacity: 4_096, overflow: "reject" },
  setup: (context): Consumer => ({
    producer: context.ref(ProducerProtocol, "producer"),
    order: new Order(),
    count: 0,
    batch: 1,
    startedAtMs: 0,
  }),
  receive: {
    begin(state, { kind, count, startedAtMs }) {
      const order = new Order();
      Object.assign(state, { order, count, batch: ackEvery(kind), startedAtMs });
    },
    typed(state, tick, context) {
      arrived(state, tick.loss === 0.125 ? tick.sequence : -1, context);
    },
    plain(state, tick, context) {
      arrived(state, tick.loss === 0.125 ? tick.sequence : -1, context);
    },
    nested(state, telemetry, context) {
      arrived(state, isWhole(telemetry) ? telemetry.sequence : -1, context);
    },
    block(state, { sequence, body }, context) {
      arrived(state, readBlock(body) === sequence ? sequence : -1, context);
    },
  },
});
