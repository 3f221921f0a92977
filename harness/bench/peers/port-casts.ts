/**
 * The platform's own way between two threads: `postMessage` over a MessagePort, with the same
 * payloads, the same bounded number in flight and the same checks as the actors.
 */
import {
  isMainThread,
  MessageChannel,
  type MessagePort,
  parentPort,
  Worker,
  workerData,
} from "node:worker_threads";
import { Order } from "../runtime/order.ts";
import {
  ackEvery,
  isWhole,
  type Kind,
  makeTelemetry,
  makeTick,
  makeTypedTick,
  numberBlock,
  readBlock,
  type Telemetry,
  WINDOW,
} from "../runtime/payloads.ts";

/** "transfer" gives the buffer away instead of copying it. */
export type PortKind = Kind | "transfer";

const microseconds = (): number => Number(process.hrtime.bigint()) / 1_000;
const kindOf = (kind: PortKind): Kind => (kind === "transfer" ? "block" : kind);

const POST: Readonly<Record<PortKind, (port: MessagePort, sequence: number) => void>> = {
  typed: (port, sequence) => port.postMessage(makeTypedTick(sequence)),
  plain: (port, sequence) => port.postMessage(makeTick(sequence)),
  nested: (port, sequence) => port.postMessage(makeTelemetry(sequence)),
  block: (port, sequence) => port.postMessage({ sequence, body: numberBlock(sequence) }),
  transfer(port, sequence) {
    const body = new Uint8Array(numberBlock(sequence));
    port.postMessage({ sequence, body }, [body.buffer]);
  },
};

interface Numbered {
  readonly sequence: number;
}

function isSound(message: Numbered, kind: PortKind): boolean {
  if (kind === "plain" || kind === "typed") return "loss" in message && message.loss === 0.125;
  if (kind === "nested") return isWhole(message as Telemetry);
  const body = "body" in message ? message.body : null;
  return body instanceof Uint8Array && readBlock(body) === message.sequence;
}

function produce(port: MessagePort, kind: PortKind): void {
  const post = POST[kind];
  const window = WINDOW[kindOf(kind)];
  parentPort?.on("message", (count: number) => {
    let sent = 0;
    const pump = (taken: number): void => {
      const until = Math.min(count, taken + window);
      for (; sent < until; sent++) post(port, sent);
    };
    port.removeAllListeners("message");
    port.on("message", pump);
    parentPort?.postMessage(microseconds());
    pump(0);
  });
}

function consume(port: MessagePort, kind: PortKind): void {
  const batch = ackEvery(kindOf(kind));
  let count = 0;
  let order = new Order();
  parentPort?.on("message", (expected: number) => {
    count = expected;
    order = new Order();
    parentPort?.postMessage({ ready: true });
  });
  port.on("message", (message: Numbered) => {
    order.arrived(isSound(message, kind) ? message.sequence : -1);
    if (order.expected % batch === 0) port.postMessage(order.expected);
    if (order.expected !== count) return;
    parentPort?.postMessage({ endedAt: microseconds(), faults: order.judge(count) });
  });
}

if (!isMainThread) {
  const { port, kind, role } = workerData as {
    readonly port: MessagePort;
    readonly kind: PortKind;
    readonly role: "producer" | "consumer";
  };
  if (role === "producer") produce(port, kind);
  else consume(port, kind);
}

const nextMessage = <T>(worker: Worker): Promise<T> =>
  new Promise((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
  });

/** Two threads joined by a port. */
export class PortPair {
  readonly #producer: Worker;
  readonly #consumer: Worker;

  constructor(kind: PortKind) {
    const { port1, port2 } = new MessageChannel();
    const start = (role: string, port: MessagePort): Worker =>
      new Worker(new URL("./port-casts.js", import.meta.url), {
        workerData: { role, kind, port },
        transferList: [port],
      });
    this.#producer = start("producer", port1);
    this.#consumer = start("consumer", port2);
  }

  /** Messages a second. */
  async measure(count: number): Promise<number> {
    const ready = nextMessage<{ readonly ready: true }>(this.#consumer);
    this.#consumer.postMessage(count);
    await ready;
    const started = nextMessage<number>(this.#producer);
    const ended = nextMessage<{ readonly endedAt: number; readonly faults: number }>(
      this.#consumer,
    );
    this.#producer.postMessage(count);
    const [startedAt, { endedAt, faults }] = await Promise.all([started, ended]);
    if (faults > 0) throw new Error(`${faults} messages out of order`);
    return (count / (endedAt - startedAt)) * 1e6;
  }

  async close(): Promise<void> {
    await Promise.all([this.#producer.terminate(), this.#consumer.terminate()]);
  }
}
