/**
 * Calls from the main thread to one other thread as a process: ours beside MessagePort, comlink,
 * piscina and comedy in one benny suite. Arguments: window, calls an operation, rounds, seconds,
 * the folder of comedy or "-".
 */
import { actor } from "esper-runtime";
import { type Caller, callMany } from "../peers/caller.ts";
import { comedyCaller } from "../peers/comedy.ts";
import { comlinkCaller } from "../peers/comlink.ts";
import { bestPiscina } from "../peers/piscina.ts";
import { portCaller } from "../peers/port-rpc.ts";
import { bennyRounds } from "./benny-rounds.ts";
import { CALL_OPTIONS, EchoProtocol, echo } from "./calls.actors.ts";
import { withSystem } from "./start-system.ts";

const [window = 1, calls = 1, rounds = 3, seconds = 0.5] = process.argv.slice(2, 6).map(Number);
const directory = process.argv[6] ?? "-";

const figures = await withSystem({ echo: actor(echo, { thread: "two" }) }, async (system) => {
  const ref = system.ref(EchoProtocol, "echo");
  const none = async (): Promise<void> => {};
  const comedy = directory === "-" ? null : await comedyCaller(directory);
  const callers: Caller[] = [
    {
      name: "esper typed",
      call: async ({ sequence, at, priority, loss }) => {
        const tick = { sequence, at, from: 7, rank: 3, priority, loss };
        return (await ref.call("typed", tick, CALL_OPTIONS)).sequence;
      },
      close: none,
    },
    {
      name: "esper body",
      call: (tick) => ref.call("plain", tick, CALL_OPTIONS),
      close: none,
    },
    portCaller(),
    comlinkCaller(),
    await bestPiscina(window),
    ...(comedy === null ? [] : [comedy]),
  ];
  const sides = callers.map((caller) => ({
    name: caller.name,
    calls,
    operation: () => callMany(caller, calls, window),
  }));
  for (const { operation } of sides) await operation();
  const measured = await bennyRounds(`calls, ${window} in flight`, sides, rounds, seconds);
  for (const caller of callers) await caller.close();
  return measured;
});
console.log(JSON.stringify(figures));
process.exit(0);
