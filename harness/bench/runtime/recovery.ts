/**
 * From a failure to the next message handled: an actor within its thread, a thread with a spare
 * ready, and a thread caught in an endless loop with a limit of 100 ms.
 */
import { ActorSystem, actor, supervisor, systemClock } from "esper-runtime";
import { collector, nextReport } from "./collector.actors.ts";
import { percentilesOf } from "./histogram.ts";
import { instantMs } from "./instant.ts";
import { type BenchOptions, type RuntimeBench, scaled } from "./options.ts";
import { DoomedProtocol, doomed, NurseryProtocol, nursery } from "./recovery.actors.ts";
import { type Bound, plainRow, type Row } from "./row.ts";
import { withSystem } from "./start-system.ts";

const RESTARTS = 400;
const RESTART_AT_MOST_US = 20;
const CRASHES = 21;
const CRASH_AT_MOST_MS = 25;
const LOOPS = 12;
const LOOP_LIMIT_MS = 100;
const LOOP_AT_MOST_MS = 200;
const DEADLINE_MS = 5_000;
/** A spare loads the modules of the tree before it is ready. */
const SPARE_LIMIT_MS = 10_000;
const LOOK_EVERY_MS = 20;

const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

async function restartRow(options: BenchOptions): Promise<Row> {
  options.say("recovery: an actor");
  const children = { nursery: actor(nursery, { thread: "one" }) };
  return withSystem(children, async (system) => {
    const took: number[] = [];
    for (let trial = scaled(RESTARTS, options); trial > 0; trial--) {
      system.ref(NurseryProtocol, "nursery").cast("once", null);
      const { tookUs = Number.NaN } = await nextReport();
      took.push(tookUs);
    }
    const percentiles = percentilesOf(took);
    const figure = { name: "esper", unit: "us", rounds: [percentiles.p50], percentiles };
    return plainRow("first restart of an actor, p50", figure, { atMost: RESTART_AT_MOST_US });
  });
}

async function spareReady(system: ActorSystem): Promise<void> {
  const limitAtMs = instantMs() + SPARE_LIMIT_MS;
  while (system.spares === 0) {
    if (instantMs() > limitAtMs) throw new Error("no spare became ready");
    await pause(LOOK_EVERY_MS);
  }
}

/** Milliseconds from the failure to the first message of the next life. */
async function failOnce(how: "crash" | "loop"): Promise<number> {
  const board = new SharedArrayBuffer(8);
  const system = await ActorSystem.start({
    tree: supervisor({
      children: {
        collector: actor(collector, { thread: "main" }),
        doomed: actor(doomed, { thread: "two", config: () => ({ board }) }),
      },
    }),
    clock: systemClock,
    log: () => {},
    spares: 1,
    threadOptions: { two: { stuckMs: LOOP_LIMIT_MS, graceMs: 0 } },
  });
  try {
    await spareReady(system);
    const ref = system.ref(DoomedProtocol, "doomed");
    await ref.call("ask", null, { deadlineMs: DEADLINE_MS });
    ref.cast(how, null);
    const options = { deadlineMs: DEADLINE_MS, onRestart: "retry" as const };
    const { handledAtMs, starts } = await ref.call("ask", null, options);
    const [failedAtMs = Number.NaN] = new Float64Array(board);
    if (starts !== 2 || !(failedAtMs > 0)) throw new Error(`life ${starts} answered`);
    return handledAtMs - failedAtMs;
  } finally {
    await system.stop({ graceMs: DEADLINE_MS });
  }
}

async function failRow(
  claim: string,
  how: "crash" | "loop",
  trials: number,
  bound: Bound,
): Promise<Row> {
  const took: number[] = [];
  for (let trial = 0; trial < trials; trial++) took.push(await failOnce(how));
  const percentiles = percentilesOf(took.map((milliseconds) => 1_000 * milliseconds));
  const figure = { name: "esper", unit: "ms", rounds: took, percentiles };
  return plainRow(claim, figure, bound, percentiles.p95 / 1_000);
}

export const recovery: RuntimeBench = {
  name: "recovery",
  about: "from a failure to the next message handled: actor, thread, endless loop",
  async run(options) {
    const restart = await restartRow(options);
    options.say("recovery: a thread");
    const crash = await failRow(
      "crash of a thread with a spare, p95",
      "crash",
      scaled(CRASHES, options),
      { atMost: CRASH_AT_MOST_MS },
    );
    options.say("recovery: an endless loop");
    const loop = await failRow(
      `endless loop with a limit of ${LOOP_LIMIT_MS} ms, p95`,
      "loop",
      scaled(LOOPS, options),
      { atMost: LOOP_AT_MOST_MS },
    );
    return [restart, crash, loop];
  },
};
