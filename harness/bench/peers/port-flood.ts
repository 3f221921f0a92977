/** The same flood over one MessagePort, which has no lanes: urgent messages wait in line. */
import {
  isMainThread,
  MessageChannel,
  type MessagePort,
  parentPort,
  Worker,
  workerData,
} from "node:worker_threads";
import { EMERGENCY_EVERY_MS, FLOOD_WINDOW, WORK_US } from "../runtime/flood-shape.ts";
import { work } from "../runtime/instant.ts";

type Message = { readonly sequence: number } | { readonly sentAt: number };

const microseconds = (): number => Number(process.hrtime.bigint()) / 1_000;

function consume(port: MessagePort, count: number): void {
  const latencies = new Float64Array(count);
  let alarms = 0;
  port.on("message", (message: Message) => {
    if ("sentAt" in message) {
      latencies[alarms++] = microseconds() - message.sentAt;
      if (alarms === count) parentPort?.postMessage(latencies);
      return;
    }
    work(WORK_US);
    if ((message.sequence + 1) % 512 === 0) port.postMessage(message.sequence + 1);
  });
}

function produce(port: MessagePort, count: number): void {
  let sent = 0;
  let left = count;
  const pump = (taken: number): void => {
    for (; left > 0 && sent < taken + FLOOD_WINDOW; sent++) port.postMessage({ sequence: sent });
  };
  port.on("message", pump);
  pump(0);
  const timer = setInterval(() => {
    left -= 1;
    if (left === 0) clearInterval(timer);
    port.postMessage({ sentAt: microseconds() });
  }, EMERGENCY_EVERY_MS);
}

if (!isMainThread) {
  const { port, role, count } = workerData as {
    readonly port: MessagePort;
    readonly role: "producer" | "consumer";
    readonly count: number;
  };
  if (role === "producer") produce(port, count);
  else consume(port, count);
}

/** Microseconds from sending to handling of `count` urgent messages behind the flood. */
export async function portFlood(count: number): Promise<Float64Array> {
  const { port1, port2 } = new MessageChannel();
  const start = (role: string, port: MessagePort): Worker =>
    new Worker(new URL("./port-flood.js", import.meta.url), {
      workerData: { role, port, count },
      transferList: [port],
    });
  const consumer = start("consumer", port2);
  const producer = start("producer", port1);
  try {
    return await new Promise((resolve, reject) => {
      consumer.once("message", resolve);
      consumer.once("error", reject);
      producer.once("error", reject);
    });
  } finally {
    await Promise.all([producer.terminate(), consumer.terminate()]);
  }
}
