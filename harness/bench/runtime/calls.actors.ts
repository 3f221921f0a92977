/** Calls between two threads: one actor that answers, one that times each of its calls. */
import { call, cast, defineActor, f64, fields, protocol, u32 } from "esper-runtime";
import { CollectorProtocol } from "./collector.actors.ts";
import { instantMs } from "./instant.ts";
import { makeTypedTick, type Tick } from "./payloads.ts";

export const CALL_OPTIONS = { deadlineMs: 30_000 };

export const EchoProtocol = protocol("echo", {
  typed: call(
    fields({ sequence: u32, at: f64, from: u32, rank: u32, priority: u32, loss: f64 }),
    fields({ sequence: u32 }),
  ),
  plain: call<Tick, number>(),
});

export const echo = defineActor(import.meta.url, EchoProtocol, {
  setup: () => ({}),
  receive: {
    typed: (_state, { sequence }) => ({ sequence }),
    plain: (_state, { sequence }) => sequence,
  },
});

export const CallerProtocol = protocol("caller", {
  /** One call after the other; `pauseMs` between them lets both threads park. */
  start: cast<{ readonly count: number; readonly pauseMs: number }>(),
});

export const caller = defineActor(import.meta.url, CallerProtocol, {
  setup: (context) => context.ref(EchoProtocol, "echo"),
  receive: {
    async start(echoRef, { count, pauseMs }, context) {
      const latencies = new Float64Array(count);
      for (let sequence = 0; sequence < count; sequence++) {
        if (pauseMs > 0) {
          await new Promise<void>((resolve) => void context.after(pauseMs, resolve));
        }
        const startedAtMs = instantMs();
        const reply = await echoRef.call("typed", makeTypedTick(sequence), CALL_OPTIONS);
        latencies[sequence] = (instantMs() - startedAtMs) * 1_000;
        if (reply.sequence !== sequence) throw new Error(`the reply ${reply.sequence} is foreign`);
      }
      context.ref(CollectorProtocol, "collector").cast("latencies", latencies);
    },
  },
});
