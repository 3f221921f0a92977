/** A producer that sends as fast as it is let, and a consumer that needs longer than that. */
import { type ActorContext, cast, defineActor, fields, protocol, u32 } from "esper-runtime";
import { CollectorProtocol } from "./collector.actors.ts";
import { instantMs, work } from "./instant.ts";
import { Order } from "./order.ts";

export const CONSUMER_WORK_US = 1.5;
const OFFER = { deadlineMs: 60_000 };

export const SlowProtocol = protocol("slow", {
  begin: cast<{ readonly count: number; readonly startedAtMs: number }>(),
  take: cast(fields({ sequence: u32 })),
});

export const EagerProtocol = protocol("eager", { start: cast<number>() });

interface Slow {
  order: Order;
  count: number;
  startedAtMs: number;
}

type Context = ActorContext<unknown, typeof SlowProtocol.messages>;

function finish({ order, count, startedAtMs }: Slow, context: Context): void {
  context.ref(CollectorProtocol, "collector").cast("report", {
    startedAtMs,
    endedAtMs: instantMs(),
    operations: count,
    faults: order.judge(count),
  });
}

export const slow = defineActor(import.meta.url, SlowProtocol, {
  mailbox: { capacity: 1_024, overflow: "wait" },
  setup: (): Slow => ({ order: new Order(), count: 0, startedAtMs: 0 }),
  receive: {
    begin(state, { count, startedAtMs }) {
      Object.assign(state, { order: new Order(), count, startedAtMs });
    },
    take(state, { sequence }, context) {
      state.order.arrived(sequence);
      work(CONSUMER_WORK_US);
      if (sequence + 1 === state.count) finish(state, context);
    },
  },
});

export const eager = defineActor(import.meta.url, EagerProtocol, {
  setup: (context) => context.ref(SlowProtocol, "slow"),
  receive: {
    async start(target, count) {
      await target.offer("begin", { count, startedAtMs: instantMs() }, OFFER);
      for (let sequence = 0; sequence < count; sequence++) {
        await target.offer("take", { sequence }, OFFER);
      }
    },
  },
});
