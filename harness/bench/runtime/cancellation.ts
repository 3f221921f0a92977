/** How soon a busy worker notices that its work was cancelled, and what asking costs it. */
import { type ActorSystem, actor, CancellationToken, createRandom } from "esper-runtime";
import { BusyProtocol, busy } from "./cancellation.actors.ts";
import { percentilesOf } from "./histogram.ts";
import { instantMs } from "./instant.ts";
import { type BenchOptions, type RuntimeBench, scaled } from "./options.ts";
import { interleave } from "./rounds.ts";
import { plainRow, type Row } from "./row.ts";
import { withSystem } from "./start-system.ts";

const TRIALS = 400;
const POLLS = 2e7;
const DEADLINE_MS = 10_000;
const NOTICE_AT_MOST_US = 200;
const POLL_AT_MOST_NS = 20;
/** The computation runs at least this long before it is cancelled, and up to twice as long. */
const HEAD_START_MS = 1;

const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Microseconds from `cancel()` in this thread to the loop's end in the other. */
async function notice(system: ActorSystem, headStartMs: number): Promise<number> {
  const ref = system.ref(BusyProtocol, "busy");
  const token = new CancellationToken();
  const outcome = ref.call("compute", null, { deadlineMs: DEADLINE_MS, token }).then(
    () => "answered",
    () => "cancelled",
  );
  await pause(headStartMs);
  const cancelledAtMs = instantMs();
  token.cancel();
  if ((await outcome) !== "cancelled") throw new Error("a cancelled call was answered");
  const last = await ref.call("lastNotice", null, { deadlineMs: DEADLINE_MS });
  if (last.polls === 0) return notice(system, headStartMs + HEAD_START_MS);
  if (!(last.noticedAtMs >= cancelledAtMs)) throw new Error("the computation did not notice");
  return (last.noticedAtMs - cancelledAtMs) * 1_000;
}

async function noticeRow(system: ActorSystem, options: BenchOptions): Promise<Row> {
  const random = createRandom(options.seed, "bench:cancellation");
  const all: number[] = [];
  const side = {
    name: "esper",
    unit: "us",
    async measure() {
      const latencies: number[] = [];
      for (let trial = scaled(TRIALS, options); trial > 0; trial--) {
        latencies.push(await notice(system, HEAD_START_MS * (1 + random.next())));
      }
      all.push(...latencies);
      return percentilesOf(latencies).p99;
    },
  };
  const [ours] = await interleave([side], options.rounds);
  if (ours === undefined) throw new Error("a side was not measured");
  const figure = { ...ours, percentiles: percentilesOf(all) };
  const bound = { atMost: NOTICE_AT_MOST_US };
  return plainRow("a polling busy worker notices a cancellation, p99", figure, bound);
}

async function pollRow(system: ActorSystem, options: BenchOptions): Promise<Row> {
  const ref = system.ref(BusyProtocol, "busy");
  const side = {
    name: "esper",
    unit: "ns",
    measure: () =>
      ref.call("pollCost", scaled(POLLS, options), {
        deadlineMs: DEADLINE_MS,
        token: new CancellationToken(),
      }),
  };
  await side.measure();
  const [ours] = await interleave([side], options.rounds);
  if (ours === undefined) throw new Error("a side was not measured");
  return plainRow("one poll of a token of another thread", ours, { atMost: POLL_AT_MOST_NS });
}

export const cancellation: RuntimeBench = {
  name: "cancellation",
  about: "a busy worker that polls its token: the time to notice, the cost to ask",
  run(options) {
    options.say("cancellation");
    return withSystem({ busy: actor(busy, { thread: "one" }) }, async (system) => [
      await noticeRow(system, options),
      await pollRow(system, options),
    ]);
  },
};
