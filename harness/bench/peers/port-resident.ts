/** The flood over a MessagePort: nothing tells the producer that the consumer is behind. */
import {
  isMainThread,
  MessageChannel,
  type MessagePort,
  parentPort,
  Worker,
  workerData,
} from "node:worker_threads";
import { work } from "../runtime/instant.ts";
import { Order } from "../runtime/order.ts";

const WORK_US = 1.5;
/** The producer yields now and then, as a well-behaved one does. */
const BURST = 2_000;

const microseconds = (): number => Number(process.hrtime.bigint()) / 1_000;

async function produce(port: MessagePort, count: number): Promise<void> {
  for (let sequence = 0; sequence < count; sequence++) {
    port.postMessage({ sequence });
    if (sequence % BURST === 0) await new Promise((resolve) => setImmediate(resolve));
  }
}

function consume(port: MessagePort): void {
  let order = new Order();
  let count = 0;
  parentPort?.on("message", (expected: number) => {
    count = expected;
    order = new Order();
  });
  port.on("message", ({ sequence }: { readonly sequence: number }) => {
    order.arrived(sequence);
    work(WORK_US);
    if (sequence + 1 === count) parentPort?.postMessage(order.judge(count));
  });
}

if (!isMainThread) {
  const { port, role } = workerData as { port: MessagePort; role: "producer" | "consumer" };
  if (role === "producer") {
    parentPort?.on("message", (count: number) => void produce(port, count));
  } else consume(port);
}

/** Starts two threads; what it returns floods one from the other and tells messages a second. */
export async function unboundedPortFlood(): Promise<(count: number) => Promise<number>> {
  const { port1, port2 } = new MessageChannel();
  const start = (role: string, port: MessagePort): Worker =>
    new Worker(new URL("./port-resident.js", import.meta.url), {
      workerData: { role, port },
      transferList: [port],
    });
  const consumer = start("consumer", port2);
  const producer = start("producer", port1);
  await Promise.all(
    [consumer, producer].map(
      (worker) => new Promise((resolve) => void worker.once("online", resolve)),
    ),
  );
  return async (count) => {
    const startedAt = microseconds();
    consumer.postMessage(count);
    const faults = await new Promise<number>((resolve) => {
      consumer.once("message", resolve);
      producer.postMessage(count);
    });
    if (faults > 0) throw new Error(`${faults} messages out of order`);
    return (count / (microseconds() - startedAt)) * 1e6;
  };
}
