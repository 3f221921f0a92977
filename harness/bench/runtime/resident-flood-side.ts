/**
 * One side of the flood as a process of its own, because what it measures is the resident memory
 * of the whole process: "esper", whose producer is made to wait, or "port", whose is not.
 */
import { actor } from "esper-runtime";
import { unboundedPortFlood } from "../peers/port-resident.ts";
import { nextReport, rateOf } from "./collector.actors.ts";
import { EagerProtocol, eager, slow } from "./resident-flood.actors.ts";
import { withSystem } from "./start-system.ts";

const SAMPLE_MS = 20;
const MIB = 2 ** 20;

const [side = "", count = ""] = process.argv.slice(2);

/** Growth in MiB of the resident memory while `flood` runs. */
async function growth(flood: () => Promise<number>): Promise<void> {
  const before = process.memoryUsage.rss();
  let highest = before;
  const sampler = setInterval(() => {
    highest = Math.max(highest, process.memoryUsage.rss());
  }, SAMPLE_MS);
  const rate = await flood();
  clearInterval(sampler);
  console.log(JSON.stringify({ growthMib: (highest - before) / MIB, rate }));
}

if (side === "port") {
  const flood = await unboundedPortFlood();
  await flood(Number(count) / 20);
  await growth(() => flood(Number(count)));
} else {
  const children = {
    slow: actor(slow, { thread: "two" }),
    eager: actor(eager, { thread: "one" }),
  };
  await withSystem(children, async (system) => {
    const flood = async (messages: number): Promise<number> => {
      system.ref(EagerProtocol, "eager").cast("start", messages);
      return rateOf(await nextReport());
    };
    await flood(Math.ceil(Number(count) / 20));
    await growth(() => flood(Number(count)));
  });
}
process.exit(0);
