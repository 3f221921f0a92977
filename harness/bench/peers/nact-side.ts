/** One benchmark of nact as a process: warms up, measures once, prints the rate. */
import { start, stop } from "nact";
import { bank } from "./nact-bank.ts";
import { big, chameneos, pingPong, requestReply } from "./nact-dialogue.ts";
import {
  counting,
  fanIn,
  forkJoin,
  forkJoinCreate,
  type NactBench,
  threadRing,
} from "./nact-simple.ts";

const BENCHES: Readonly<Record<string, NactBench>> = {
  "ping-pong": pingPong,
  counting,
  "fan-in": fanIn,
  "thread-ring": threadRing,
  "fork-join": forkJoin,
  "fork-join-create": forkJoinCreate,
  big,
  chameneos,
  bank,
  "request-reply": requestReply,
};

const [name = "", count = ""] = process.argv.slice(2);

function measure(operations: number): Promise<number> {
  const bench = BENCHES[name];
  if (bench === undefined) throw new Error(`no benchmark ${name}`);
  return new Promise((resolve, reject) => {
    const system = start();
    const startedAt = process.hrtime.bigint();
    bench(system, operations, (faults) => {
      const seconds = Number(process.hrtime.bigint() - startedAt) / 1e9;
      stop(system);
      if (faults > 0) reject(new Error(`${name}: ${faults} messages out of order`));
      else resolve(operations / seconds);
    });
  });
}

await measure(Math.ceil(Number(count) / 4));
const rate = await measure(Number(count));
console.log(JSON.stringify({ rate }));
process.exit(0);
