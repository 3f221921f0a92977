/**
 * What one message costs, beside the plain asynchronous call it replaces: an actor call and an
 * actor cast inside one thread, with the full mailbox, deadlines and metrics.
 */
import { add, complete, configure, cycle, suite } from "benny";
import {
  ActorSystem,
  actor,
  call,
  cast,
  defineActor,
  protocol,
  type RunEnvironment,
  supervisor,
  systemClock,
} from "esper-runtime";
import { z } from "zod";
import type { Verdict } from "../lib/verdict.ts";

const EchoProtocol = protocol("echo", {
  double: call<number, number>(),
  note: cast<number>({ lane: "bulk" }),
});

const echo = defineActor(import.meta.url, EchoProtocol, {
  config: z.strictObject({}),
  mailbox: { capacity: 1_000_000 },
  setup: () => ({ sum: 0 }),
  receive: {
    double: (_state, value) => 2 * value,
    note(state, value) {
      state.sum += value;
    },
  },
});

/** Nothing of a run is needed to pass messages. */
const environment = { runId: "bench", incarnation: 1, seed: 1 } as RunEnvironment;
const DEADLINE_MS = 1_000;
const BATCH = 100;
/** An in-thread call may cost this many microseconds, so that a step of 1 ms can afford several. */
const MAX_CALL_US = 20;

export async function benchMessages(): Promise<{
  readonly figures: unknown;
  readonly verdicts: readonly Verdict[];
}> {
  const system = await ActorSystem.start({
    tree: supervisor({ children: { echo: actor(echo, { thread: "main" }) } }),
    run: environment,
    clock: systemClock,
    log: () => {},
    threads: "inline",
    encodeLocal: false,
  });
  const ref = system.ref(EchoProtocol);
  const plain = async (value: number): Promise<number> => 2 * value;
  const result = await suite(
    "messages",
    add(`plain async call x ${BATCH}`, async () => {
      for (let index = 0; index < BATCH; index++) await plain(index);
    }),
    add(`actor call x ${BATCH}`, async () => {
      for (let index = 0; index < BATCH; index++) {
        await ref.call("double", index, { deadlineMs: DEADLINE_MS });
      }
    }),
    add(`actor cast x ${BATCH}, then one call`, async () => {
      for (let index = 0; index < BATCH; index++) ref.cast("note", index);
      await ref.call("double", 1, { deadlineMs: DEADLINE_MS });
    }),
    configure({ cases: { maxTime: 2 } }),
    cycle(),
    complete(),
  );
  await system.stop({ graceMs: DEADLINE_MS });
  const figures = result.results.map(({ name, ops, margin }) => ({
    name,
    microseconds_per_message: 1e6 / (ops * BATCH),
    margin_percent: margin,
  }));
  const callUs = figures[1]?.microseconds_per_message ?? Number.POSITIVE_INFINITY;
  return {
    figures,
    verdicts: [
      {
        promise: `an actor call within a thread at most ${MAX_CALL_US} us`,
        measured: `${callUs.toFixed(2)} us`,
        kept: callUs <= MAX_CALL_US,
      },
    ],
  };
}
