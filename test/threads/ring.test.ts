/** The ring under real threads: sleeps, wraps, counter overflow, and ends that are terminated. */
import { MessageChannel, Worker } from "node:worker_threads";
import { afterEach, describe, expect, it } from "vitest";
import {
  HEAD,
  RingConsumer,
  RingProducer,
  ringMemory,
  TAIL,
} from "../../dist/runtime/wire/ring.js";
import { SlabOwner } from "../../dist/runtime/wire/slab.js";
import { threadBlockMemory } from "../../dist/runtime/wire/thread-block.js";
import { createRandom } from "../../src/runtime/random.ts";
import { fillRecord, isRecord, recordBytes } from "./ring-record.mjs";

const WORKER = new URL("ring-worker.mjs", import.meta.url);
const KIB = 1_024;
/** Deaths of each kind; `ESPER_TEST_ROUNDS=200` for the long run. */
const ROUNDS = Number(process.env["ESPER_TEST_ROUNDS"] ?? 5);
const LIMIT_MS = 20_000 + ROUNDS * 2_000;

const running = new Set<Worker>();

afterEach(async () => {
  await Promise.all([...running].map((worker) => worker.terminate()));
  running.clear();
});

function start(role: string, data: object, transferList: never[] = []): Worker {
  const worker = new Worker(WORKER, { workerData: { role, ...data }, transferList });
  running.add(worker);
  return worker;
}

function answer(worker: Worker): Promise<unknown> {
  return new Promise((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
  });
}

async function end(worker: Worker): Promise<void> {
  running.delete(worker);
  await worker.terminate();
}

/** A ring whose counters pass 2^31 soon. */
function ring(capacityBytes: number): SharedArrayBuffer {
  const memory = ringMemory(capacityBytes);
  const words = new Int32Array(memory, 0, 64);
  words[TAIL] = 2 ** 31 - 16 * KIB;
  words[HEAD] = 2 ** 31 - 16 * KIB;
  return memory;
}

/** Time passes in a busy wait, so that a thread is ended at a moment of no meaning. */
function spin(turns: number): void {
  const word = new Int32Array(1);
  for (let turn = 0; turn < turns; turn++) Atomics.add(word, 0, 1);
}

describe("two threads that sleep whenever they can", () => {
  it.each([
    [KIB, 60_000],
    [16 * KIB, 150_000],
  ])("exchange every record in order (ring of %i bytes)", async (capacity, count) => {
    const memory = ring(capacity);
    const blocks = { sender: threadBlockMemory(), receiver: threadBlockMemory() };
    const { port1, port2 } = new MessageChannel();
    const shared = { memory, count, seed: 77 };
    const receiver = start(
      "receive",
      { ...shared, own: blocks.receiver, peer: blocks.sender, bell: port1 },
      [port1 as never],
    );
    const sender = start(
      "send",
      { ...shared, own: blocks.sender, peer: blocks.receiver, bell: port2 },
      [port2 as never],
    );
    const [received, sent] = await Promise.all([answer(receiver), answer(sender)]);
    expect(received).toMatchObject({ received: count, wrong: 0 });
    expect(sent).toMatchObject({ sent: count });
    const { sleeps } = received as { sleeps: number };
    expect(sleeps + (sent as { sleeps: number }).sleeps).toBeGreaterThan(10);
  });
});

/** Reads all there is; the number of the next record expected, or throws at a wrong one. */
function drain(consumer: RingConsumer, first: number, seed: number): number {
  let number = first;
  for (let at = consumer.next(); at !== -1; at = consumer.next()) {
    const whole =
      consumer.length === recordBytes(number, seed) &&
      isRecord(consumer.u8, at, consumer.length, number);
    if (!whole) throw new Error(`record ${number} is not whole`);
    consumer.advance();
    if ((number & 31) === 0) consumer.release();
    number++;
  }
  consumer.release();
  return number;
}

describe("a producer terminated while it writes", () => {
  it(
    `leaves only whole records, and its replacement goes on (${ROUNDS} deaths)`,
    async () => {
      const random = createRandom(5, "producer deaths");
      const memory = ring(4 * KIB);
      const consumer = new RingConsumer(memory);
      let number = 1;
      for (let round = 0; round < ROUNDS; round++) {
        const worker = start("flood", { memory, first: number, seed: round });
        await answer(worker);
        const before = number;
        const stop = before + 100 + Math.floor(random.next() * 3_000);
        while (number < stop) number = drain(consumer, number, round);
        const ended = end(worker);
        // The dying thread still writes: it must find room, or it would die waiting for it.
        for (let turn = 0; turn < 40; turn++) {
          number = drain(consumer, number, round);
          spin(Math.floor(random.next() * 2_000));
        }
        await ended;
        number = drain(consumer, number, round);
      }
      expect(number).toBeGreaterThan(ROUNDS * 100);
      expect(consumer.usedBytes).toBe(0);
    },
    LIMIT_MS,
  );
});

describe("a consumer terminated while it handles records in place", () => {
  it(
    `loses none, and repeats one at most for each death (${ROUNDS} deaths)`,
    async () => {
      const seed = 9;
      const memory = ring(4 * KIB);
      const producer = new RingProducer(memory);
      const most = ROUNDS * 4_000;
      const handled = new Int32Array(new SharedArrayBuffer((most + 1) * 4));
      const wrong = new Int32Array(new SharedArrayBuffer(4));
      let number = 1;
      const sendOne = (): boolean => {
        const bytes = recordBytes(number, seed);
        const at = producer.reserve(bytes);
        if (at === -1) return false;
        fillRecord(producer.u8, at, bytes, number);
        producer.publish();
        number++;
        return true;
      };
      for (let round = 0; round < ROUNDS; round++) {
        const worker = start("handle", { memory, handled, wrong, seed });
        await answer(worker);
        const stop = Math.min(most, number + 500 + ((round * 997) % 3_000));
        while (number < stop) sendOne();
        const ended = end(worker);
        for (let n = 0; n < 20 && number < most; n++) sendOne();
        await ended;
      }
      const last = start("handle", { memory, handled, wrong, seed });
      await answer(last);
      while (producer.usedBytes > 0) await new Promise(setImmediate);
      await end(last);
      const counts = handled.subarray(1, number);
      expect([wrong[0], counts.indexOf(0)]).toEqual([0, -1]);
      const repeats = counts.reduce((sum, count) => sum + count - 1, 0);
      expect(repeats).toBeLessThanOrEqual(ROUNDS);
    },
    LIMIT_MS,
  );
});

describe("large bodies between threads", () => {
  it("are read whole in place while their slots go round", async () => {
    const memory = ring(4 * KIB);
    const { port1, port2 } = new MessageChannel();
    const owner = new SlabOwner({ thread: 0, epoch: 1, limitBytes: 2 * KIB * KIB });
    owner.onArena((arena) => port1.postMessage(arena));
    const data = { memory, arenas: port2, thread: 1 };
    const finished = answer(start("borrow", data, [port2 as never]));
    const producer = new RingProducer(memory);
    const reserve = (bytes: number): number => {
      let at = producer.reserve(bytes);
      while (at === -1) at = producer.reserve(bytes);
      return at;
    };
    for (let number = 1; number <= 1_500; number++) {
      const bytes = 1_000 + ((number * 7_919) % 15_000);
      let handle = owner.put(bytes, 1);
      while (handle === null) handle = owner.put(bytes, 1);
      const { u8, offset } = owner.place(handle);
      fillRecord(u8, offset, bytes, number);
      const at = reserve(8);
      producer.i32.set([handle.place, handle.generation], at >> 2);
      producer.publish();
    }
    reserve(0);
    producer.publish();
    expect(await finished).toEqual({ bodies: 1_500, wrong: 0 });
    expect(owner.slotsOut).toBe(0);
    port1.close();
  });
});
