/**
 * What a field report costs the thread that decides: encoding it, sending it, and taking the answer
 * that says it is on the device. The wait in between costs that thread nothing.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { actor, fieldReports, walWriter } from "esper-runtime";
import { nextLatencies, nextReport } from "../runtime/collector.actors.ts";
import { percentilesOf } from "../runtime/histogram.ts";
import { plainRow } from "../runtime/row.ts";
import { withSystem } from "../runtime/start-system.ts";
import { type DurableBench, scaled } from "./options.ts";
import { DeciderProtocol, decider } from "./reports.actors.ts";

const DECISIONS = 4_000;
const WARM_UP = 2_000;
const AT_MOST_US = 20;
/** Reports wait here for a receiver that never comes. */
const LANES = { bulk: { whenFull: "drop-oldest" } } as const;

export const reports: DurableBench = {
  name: "reports",
  about: "what a field report costs the deciding thread",
  async run(options) {
    options.say("reports");
    const directory = mkdtempSync(join(options.directory, "reports-"));
    const config = () => ({ directory, strict: true, retentionHours: 24, lanes: LANES });
    const children = {
      wal: actor(walWriter, { thread: "durable", config }),
      reports: actor(fieldReports, { thread: "durable", config: () => ({ observationWindow: 3 }) }),
      decider: actor(decider, { thread: "control" }),
    };
    try {
      return await withSystem(children, async (system) => {
        const ref = system.ref(DeciderProtocol, "decider");
        const busy: number[] = [];
        const sent: number[] = [];
        const one = async (count: number) => {
          ref.cast("decide", { count });
          const latencies = await nextLatencies();
          const { busyUs = Number.NaN } = await nextReport();
          return { latencies, busyUs };
        };
        await one(scaled(WARM_UP, options));
        for (let round = 0; round < options.rounds; round++) {
          const { latencies, busyUs } = await one(scaled(DECISIONS, options));
          busy.push(busyUs);
          for (const latency of latencies) sent.push(latency);
        }
        const percentiles = percentilesOf(sent);
        const whole = { name: "esper, busy time", unit: "us", rounds: busy };
        const part = { name: "esper p50", unit: "us", rounds: [percentiles.p50], percentiles };
        return [
          plainRow("a field report, all of the deciding thread's time", whole, {
            atMost: AT_MOST_US,
          }),
          plainRow("of it, encoding and sending", part, { atMost: AT_MOST_US }),
        ];
      });
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  },
};
