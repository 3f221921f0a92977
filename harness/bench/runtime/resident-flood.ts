/** What a flood does to the resident memory, beside a MessagePort; each side is a process. */
import { z } from "zod";
import { type RuntimeBench, scaled } from "./options.ts";
import { versus } from "./rounds.ts";
import { ratioRow } from "./row.ts";
import { runSide } from "./side-process.ts";

const MESSAGES = 1.5e6;
const AT_MOST = 1 / 10;
/** Below this the sampling of resident memory sees nothing but itself. */
const LEAST_MIB = 0.1;

const Growth = z.object({ growthMib: z.number(), rate: z.number() });

export const residentFlood: RuntimeBench = {
  name: "resident-flood",
  about: "growth of resident memory in a flood, beside a MessagePort",
  async run(options) {
    options.say("resident-flood");
    const script = new URL("./resident-flood-side.js", import.meta.url);
    const side = (name: string, argument: string) => ({
      name,
      unit: "MiB",
      async measure() {
        const args = [argument, scaled(MESSAGES, options)];
        const { growthMib } = await runSide(script, args, Growth);
        return Math.max(LEAST_MIB, growthMib);
      },
    });
    const { ours, peer } = await versus(
      side("esper", "esper"),
      side("MessagePort", "port"),
      options.rounds,
    );
    const claim = "resident growth in a flood / MessagePort";
    return [ratioRow(claim, ours, peer, { atMost: AT_MOST })];
  },
};
