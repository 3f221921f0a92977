/** Memory of an idle actor, beside an idle process of Erlang. */
import { z } from "zod";
import { findErlang, ONE_SCHEDULER } from "../peers/erlang.ts";
import { type RuntimeBench, scaled } from "./options.ts";
import { interleave, type Side } from "./rounds.ts";
import { ratioRow, skippedRow } from "./row.ts";
import { runSide } from "./side-process.ts";

const ACTORS = 2e5;
const AT_MOST = 1 / 2;
const Bytes = z.object({ bytes: z.number().positive() });

export const idleActors: RuntimeBench = {
  name: "idle-actors",
  about: "memory of an idle actor, beside Erlang",
  async run(options) {
    options.say("idle-actors");
    const count = scaled(ACTORS, options);
    const erlang = await findErlang(options.directory, options.say);
    const script = new URL("./idle-actors-side.js", import.meta.url);
    const ours: Side = {
      name: "esper",
      unit: "bytes",
      measure: async () => (await runSide(script, [count], Bytes, ["--expose-gc"])).bytes,
    };
    const beam: Side[] =
      erlang === null
        ? []
        : [
            {
              name: "Erlang",
              unit: "bytes",
              measure: () => erlang.run(ONE_SCHEDULER, "idle_bytes", count),
            },
          ];
    const [own, peer] = await interleave([ours, ...beam], options.rounds);
    if (own === undefined) throw new Error("a side was not measured");
    const claim = "memory of an idle actor / Erlang";
    const bound = { atMost: AT_MOST };
    if (peer === undefined) return [skippedRow(claim, own, bound, "Erlang/OTP is not installed")];
    return [ratioRow(claim, own, peer, bound)];
  },
};
