/**
 * Request and reply by hand over a MessagePort: numbered requests, a map of those that wait. It is
 * what a careful engineer writes without a library: the least a call between threads can cost.
 */
import {
  isMainThread,
  MessageChannel,
  type MessagePort,
  parentPort,
  Worker,
  workerData,
} from "node:worker_threads";
import { makeTypedTick, type Tick, type TypedTick } from "../runtime/payloads.ts";
import type { Caller } from "./caller.ts";

type Request = readonly [id: number, tick: Tick | TypedTick];
type Reply = readonly [id: number, sequence: number];

/** The asking end of a port. */
class PortClient {
  readonly #waiting = new Map<number, (sequence: number) => void>();
  readonly #post: (request: Request) => void;
  #id = 0;

  constructor(port: MessagePort | Worker) {
    this.#post = (request) => port.postMessage(request);
    port.on("message", ([id, sequence]: Reply) => {
      this.#waiting.get(id)?.(sequence);
      this.#waiting.delete(id);
    });
  }

  call(tick: Tick | TypedTick): Promise<number> {
    return new Promise((resolve) => {
      const id = ++this.#id;
      this.#waiting.set(id, resolve);
      this.#post([id, tick]);
    });
  }
}

function serve(port: MessagePort): void {
  port.on("message", ([id, { sequence }]: Request) => port.postMessage([id, sequence]));
}

interface Timing {
  readonly count: number;
  readonly pauseMs: number;
}

/** Times one call after the other; sends the microseconds to the main thread. */
async function time(client: PortClient, { count, pauseMs }: Timing): Promise<Float64Array> {
  const latencies = new Float64Array(count);
  for (let sequence = 0; sequence < count; sequence++) {
    if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
    const startedAt = performance.now();
    const reply = await client.call(makeTypedTick(sequence));
    latencies[sequence] = (performance.now() - startedAt) * 1_000;
    if (reply !== sequence) throw new Error(`the reply ${reply} is foreign`);
  }
  return latencies;
}

if (!isMainThread && parentPort !== null) {
  const main = parentPort;
  const { port, role } = workerData as { port: MessagePort | null; role: "client" | "server" };
  if (role === "server") serve(port ?? main);
  else if (port !== null) {
    const client = new PortClient(port);
    main.on("message", async (timing: Timing) => main.postMessage(await time(client, timing)));
  }
}

const script = new URL("./port-rpc.js", import.meta.url);

/** Calls from the main thread to one worker. */
export function portCaller(): Caller {
  const worker = new Worker(script, { workerData: { port: null, role: "server" } });
  const client = new PortClient(worker);
  return {
    name: "MessagePort RPC",
    call: (tick) => client.call(tick),
    close: async () => void (await worker.terminate()),
  };
}

/** Calls between two workers, timed one by one. */
export class PortCalls {
  readonly #client: Worker;
  readonly #server: Worker;

  constructor() {
    const { port1, port2 } = new MessageChannel();
    const start = (role: string, port: MessagePort): Worker =>
      new Worker(script, { workerData: { role, port }, transferList: [port] });
    this.#client = start("client", port1);
    this.#server = start("server", port2);
  }

  /** Microseconds of each call. */
  measure(timing: Timing): Promise<Float64Array> {
    return new Promise((resolve, reject) => {
      this.#client.once("message", resolve);
      this.#client.once("error", reject);
      this.#client.postMessage(timing);
    });
  }

  async close(): Promise<void> {
    await Promise.all([this.#client.terminate(), this.#server.terminate()]);
  }
}
