/** piscina as a peer: the smallest possible task, in every configuration that could be best. */
import { fileURLToPath } from "node:url";
import { Piscina } from "piscina";
import type { Tick } from "../runtime/payloads.ts";
import { type Caller, callMany } from "./caller.ts";

/** The task, found by its name in this very module. */
export const echo = ({ sequence }: Tick): number => sequence;

const ATOMICS = ["sync", "async", "disabled"] as const;
const CONCURRENCY = [1, 32, 256] as const;
const PROBE_CALLS = 4_000;

function piscinaCaller(
  atomics: (typeof ATOMICS)[number],
  concurrentTasksPerWorker: number,
): Caller {
  const pool = new Piscina({
    filename: fileURLToPath(new URL("./piscina.js", import.meta.url)),
    name: "echo",
    minThreads: 1,
    maxThreads: 1,
    idleTimeout: 60_000,
    recordTiming: false,
    atomics,
    concurrentTasksPerWorker,
  });
  return {
    name: `piscina (atomics ${atomics}, ${concurrentTasksPerWorker} tasks a worker)`,
    call: (tick) => pool.run(tick) as Promise<number>,
    close: () => pool.destroy(),
  };
}

/** The configuration that is fastest here and now with `window` calls in flight. */
export async function bestPiscina(window: number): Promise<Caller> {
  let fastest: { readonly caller: Caller; readonly took: number } | null = null;
  for (const atomics of ATOMICS) {
    for (const concurrency of CONCURRENCY) {
      const caller = piscinaCaller(atomics, concurrency);
      await callMany(caller, PROBE_CALLS / 4, window);
      const startedAt = performance.now();
      await callMany(caller, PROBE_CALLS, window);
      const took = performance.now() - startedAt;
      if (fastest !== null && fastest.took <= took) await caller.close();
      else {
        await fastest?.caller.close();
        fastest = { caller, took };
      }
    }
  }
  if (fastest === null) throw new Error("no configuration was measured");
  return fastest.caller;
}
