/**
 * A flood of bulk messages, each of which takes its handler some microseconds, and now and then an
 * emergency on its way to the same actor.
 */

import { type ActorRef, cast, defineActor, f64, fields, protocol, u32 } from "esper-runtime";
import { CollectorProtocol } from "./collector.actors.ts";
import { EMERGENCY_EVERY_MS, FLOOD_WINDOW, WORK_US } from "./flood-shape.ts";
import { instantMs, work } from "./instant.ts";
import { Order } from "./order.ts";

const ACK_EVERY = 512;

export const FloodedProtocol = protocol("flooded", {
  expect: cast<number>(),
  bulk: cast(fields({ sequence: u32 }), { lane: "bulk" }),
  alarm: cast(fields({ sentAtMs: f64 }), { lane: "emergency" }),
});

export const FlooderProtocol = protocol("flooder", {
  start: cast<number>(),
  taken: cast<number>(),
});

interface Flooded {
  readonly flooder: ActorRef<typeof FlooderProtocol.messages>;
  /** Goes on over all rounds: what is left of one flood arrives in the next. */
  readonly order: Order;
  latencies: Float64Array;
  alarms: number;
}

export const flooded = defineActor(import.meta.url, FloodedProtocol, {
  mailbox: { capacity: 2 * FLOOD_WINDOW, overflow: "reject" },
  setup: (context): Flooded => ({
    flooder: context.ref(FlooderProtocol, "flooder"),
    order: new Order(),
    latencies: new Float64Array(0),
    alarms: 0,
  }),
  receive: {
    expect(state, count) {
      state.latencies = new Float64Array(count);
      state.alarms = 0;
    },
    bulk(state, { sequence }) {
      state.order.arrived(sequence);
      work(WORK_US);
      if ((sequence + 1) % ACK_EVERY === 0) state.flooder.cast("taken", sequence + 1);
    },
    alarm(state, { sentAtMs }, context) {
      state.latencies[state.alarms++] = (instantMs() - sentAtMs) * 1_000;
      if (state.alarms !== state.latencies.length) return;
      const to = context.ref(CollectorProtocol, "collector");
      if (state.order.faults > 0) throw new Error("the flood came out of order");
      to.cast("latencies", state.latencies);
    },
  },
});

interface Flooder {
  readonly target: ActorRef<typeof FloodedProtocol.messages>;
  sent: number;
  taken: number;
  alarmsLeft: number;
}

function pump(state: Flooder): void {
  for (; state.sent < state.taken + FLOOD_WINDOW; state.sent++) {
    // A lane of the transport may be full before the mailbox is: the next batch goes on from here.
    if (!state.target.cast("bulk", { sequence: state.sent })) return;
  }
}

export const flooder = defineActor(import.meta.url, FlooderProtocol, {
  setup: (context): Flooder => ({
    target: context.ref(FloodedProtocol, "flooded"),
    sent: 0,
    taken: 0,
    alarmsLeft: 0,
  }),
  receive: {
    start(state, count, context) {
      state.alarmsLeft = count;
      state.target.cast("expect", count);
      pump(state);
      const timer = context.every(EMERGENCY_EVERY_MS, () => {
        state.alarmsLeft -= 1;
        if (state.alarmsLeft === 0) timer.cancel();
        state.target.cast("alarm", { sentAtMs: instantMs() });
      });
    },
    taken(state, taken) {
      state.taken = taken;
      if (state.alarmsLeft > 0) pump(state);
    },
  },
});
