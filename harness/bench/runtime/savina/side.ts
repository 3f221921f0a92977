/** Our side of one in-thread benchmark as a process: warms up, measures once, prints the rate. */
import { actor } from "esper-runtime";
import { nextReport, rateOf } from "../collector.actors.ts";
import { withSystem } from "../start-system.ts";
import { root } from "./root.actors.ts";
import { RootProtocol } from "./stage.ts";

/** The optimising compiler has seen everything after this share of the work. */
const WARM_SHARE = 0.25;

const [bench = "", count = ""] = process.argv.slice(2);

const rate = await withSystem({ root: actor(root, { thread: "savina" }) }, async (system) => {
  const ref = system.ref(RootProtocol, "root");
  ref.cast("start", { bench, count: Math.ceil(Number(count) * WARM_SHARE) });
  await nextReport();
  ref.cast("start", { bench, count: Number(count) });
  return rateOf(await nextReport());
});
console.log(JSON.stringify({ rate }));
