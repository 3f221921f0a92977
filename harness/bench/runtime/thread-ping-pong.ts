/** Ping-pong between two threads, beside two Erlang processes pinned to two schedulers. */
import { actor } from "esper-runtime";
import { findErlang, TWO_SCHEDULERS, TWO_SPINNING } from "../peers/erlang.ts";
import { nextReport, rateOf } from "./collector.actors.ts";
import { type RuntimeBench, scaled } from "./options.ts";
import { interleave, type Side } from "./rounds.ts";
import { best, ratioRow, skippedRow } from "./row.ts";
import { withSystem } from "./start-system.ts";
import { ThreadPingProtocol, threadPing, threadPong } from "./thread-ping-pong.actors.ts";

const OURS = 6e5;
const ERLANG = 1e5;
const UNIT = "round trips/s";

export const threadPingPong: RuntimeBench = {
  name: "thread-ping-pong",
  about: "ping-pong between two threads, beside two pinned Erlang schedulers",
  async run(options) {
    options.say("thread-ping-pong");
    const erlang = await findErlang(options.directory, options.say);
    const emulators = erlang === null ? [] : [TWO_SCHEDULERS, TWO_SPINNING];
    const beam = emulators.map(
      (emulator): Side => ({
        name: `Erlang, pinned, ${emulator.name}`,
        unit: UNIT,
        measure: async () =>
          (await erlang?.run(emulator, "ping_pong_pinned", scaled(ERLANG, options))) ?? Number.NaN,
      }),
    );
    const children = {
      pong: actor(threadPong, { thread: "two" }),
      ping: actor(threadPing, { thread: "one" }),
    };
    return withSystem(children, async (system) => {
      const ours: Side = {
        name: "esper",
        unit: UNIT,
        async measure() {
          system.ref(ThreadPingProtocol, "ping").cast("start", scaled(OURS, options));
          return rateOf(await nextReport());
        },
      };
      await ours.measure();
      const [own, ...others] = await interleave([ours, ...beam], options.rounds);
      if (own === undefined) throw new Error("a side was not measured");
      const claim = "ping-pong over two threads / Erlang on two pinned schedulers";
      const bound = { atLeast: 3 };
      if (others.length === 0) {
        return [skippedRow(claim, own, bound, "Erlang/OTP is not installed")];
      }
      return [ratioRow(claim, own, best(others, "higher"), bound)];
    });
  },
};
