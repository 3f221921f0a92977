/** Two actors on two threads throw one numbered message back and forth. */
import { type ActorRef, cast, defineActor, fields, protocol, u32 } from "esper-runtime";
import { CollectorProtocol } from "./collector.actors.ts";
import { instantMs } from "./instant.ts";

export const ThreadPongProtocol = protocol("thread-pong", {
  ping: cast(fields({ sequence: u32 })),
});

export const ThreadPingProtocol = protocol("thread-ping", {
  start: cast<number>(),
  pong: cast(fields({ sequence: u32 })),
});

export const threadPong = defineActor(import.meta.url, ThreadPongProtocol, {
  setup: (context) => context.ref(ThreadPingProtocol, "ping"),
  receive: { ping: (back, ball) => void back.cast("pong", ball) },
});

interface Pinger {
  readonly pong: ActorRef<typeof ThreadPongProtocol.messages>;
  count: number;
  next: number;
  faults: number;
  startedAtMs: number;
}

export const threadPing = defineActor(import.meta.url, ThreadPingProtocol, {
  setup: (context): Pinger => ({
    pong: context.ref(ThreadPongProtocol, "pong"),
    count: 0,
    next: 0,
    faults: 0,
    startedAtMs: 0,
  }),
  receive: {
    start(state, count) {
      Object.assign(state, { count, next: 0, faults: 0, startedAtMs: instantMs() });
      state.pong.cast("ping", { sequence: 0 });
    },
    pong(state, { sequence }, context) {
      if (sequence !== state.next) state.faults += 1;
      state.next += 1;
      if (state.next < state.count) {
        state.pong.cast("ping", { sequence: state.next });
        return;
      }
      context.ref(CollectorProtocol, "collector").cast("report", {
        startedAtMs: state.startedAtMs,
        endedAtMs: instantMs(),
        operations: state.count,
        faults: state.faults,
      });
    },
  },
});
