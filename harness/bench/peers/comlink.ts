/** comlink as a peer: a proxy to an object in a worker, over its own adapter for Node. */
import { createRequire } from "node:module";
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { type Endpoint, expose, wrap } from "comlink";
import type { Tick } from "../runtime/payloads.ts";
import type { Caller } from "./caller.ts";

interface Api {
  echo(tick: Tick): number;
}

/** The adapter's typings do not fit its module format. */
type Adapt = (port: Worker | typeof parentPort) => Endpoint;
const adapt = createRequire(import.meta.url)("comlink/dist/umd/node-adapter.js") as Adapt;

if (!isMainThread) {
  const api: Api = { echo: ({ sequence }) => sequence };
  expose(api, adapt(parentPort));
}

/** Calls from the main thread to one worker. */
export function comlinkCaller(): Caller {
  const worker = new Worker(new URL("./comlink.js", import.meta.url));
  const api = wrap<Api>(adapt(worker));
  return {
    name: "comlink",
    call: (tick) => api.echo(tick),
    close: async () => void (await worker.terminate()),
  };
}
