/** How long an emergency waits behind a flood of bulk messages to the same actor. */
import { actor } from "esper-runtime";
import { portFlood } from "../peers/port-flood.ts";
import { nextLatencies } from "./collector.actors.ts";
import { FlooderProtocol, flooded, flooder } from "./emergency.actors.ts";
import { WORK_US } from "./flood-shape.ts";
import { percentilesOf } from "./histogram.ts";
import { type RuntimeBench, scaled } from "./options.ts";
import { versus } from "./rounds.ts";
import { plainRow, ratioRow } from "./row.ts";
import { withSystem } from "./start-system.ts";

const ALARMS = 300;
const P50_AT_MOST_US = 50;
const P99_AT_MOST_US = 1_000 + WORK_US;

export const emergency: RuntimeBench = {
  name: "emergency",
  about: "an emergency behind a flood of bulk messages, beside one MessagePort",
  run(options) {
    options.say("emergency");
    const count = scaled(ALARMS, options);
    const children = {
      flooded: actor(flooded, { thread: "two" }),
      flooder: actor(flooder, { thread: "one" }),
    };
    return withSystem(children, async (system) => {
      const kept = { ours: [] as number[], peer: [] as number[] };
      const side = (
        which: "ours" | "peer",
        name: string,
        measure: () => Promise<Float64Array>,
      ) => ({
        name,
        unit: "us",
        async measure() {
          const latencies = await measure();
          kept[which].push(...latencies);
          return percentilesOf(latencies).p50;
        },
      });
      const ours = (): Promise<Float64Array> => {
        system.ref(FlooderProtocol, "flooder").cast("start", count);
        return nextLatencies();
      };
      await ours();
      const figures = await versus(
        side("ours", "esper", ours),
        side("peer", "one MessagePort", () => portFlood(count)),
        options.rounds,
      );
      const own = { ...figures.ours, percentiles: percentilesOf(kept.ours) };
      const peer = { ...figures.peer, percentiles: percentilesOf(kept.peer) };
      const { p99 } = own.percentiles;
      return [
        plainRow("emergency behind a bulk flood, p50", own, { atMost: P50_AT_MOST_US }),
        plainRow("emergency behind a bulk flood, p99", own, { atMost: P99_AT_MOST_US }, p99),
        ratioRow("emergency behind a bulk flood, p50 / MessagePort", own, peer, null),
      ];
    });
  },
};
