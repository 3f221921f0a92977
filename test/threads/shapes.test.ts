/** Record shapes shared by real threads that race for their numbers, and die while they do. */
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { expect, it } from "vitest";
import { BodyCodec } from "../../dist/runtime/wire/body-codec.js";
import { StructureTable, structureMemory } from "../../dist/runtime/wire/structures.js";

const WORKER = fileURLToPath(new URL("./shapes-worker.mjs", import.meta.url));
const MESSAGES = 3_000;
/** Prime to 211, so that every worker meets all shapes. */
const SEEDS = [1, 5, 17];

interface Sent {
  readonly bytes: Uint8Array;
  readonly text: string;
}

const refs = {
  isRef: () => false,
  toWire: () => ({ address: 0, generation: 0, fingerprint: 0 }),
  fromWire: () => ({}),
};

/** Starts the workers at the same moment; one of them may be ended after so many messages. */
async function race(memory: SharedArrayBuffer, endAfter: number): Promise<number> {
  const codec = new BodyCodec(new StructureTable(memory), refs);
  const start = new SharedArrayBuffer(8);
  const gate = new Int32Array(start);
  let decoded = 0;
  const workers = SEEDS.map((seed) => {
    const worker = new Worker(WORKER, { workerData: { memory, seed, count: MESSAGES, start } });
    let received = 0;
    worker.on("message", ({ bytes, text }: Sent) => {
      expect(JSON.stringify(codec.decode(bytes, 0, bytes.length))).toBe(text);
      decoded += 1;
      received += 1;
      if (seed === SEEDS[0] && received === endAfter) void worker.terminate();
    });
    return worker;
  });
  const ended = workers.map(
    (worker) =>
      new Promise<void>((resolve, reject) => {
        worker.once("exit", () => resolve());
        worker.once("error", reject);
      }),
  );
  const deadline = performance.now() + 5_000;
  while (Atomics.load(gate, 1) < SEEDS.length && performance.now() < deadline) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  Atomics.store(gate, 0, 1);
  Atomics.notify(gate, 0);
  await Promise.all(ended);
  return decoded;
}

it("threads that race for numbers always understand each other", async () => {
  const memory = structureMemory();
  expect(await race(memory, Number.POSITIVE_INFINITY)).toBe(MESSAGES * SEEDS.length);
  const shapes = new StructureTable(memory).load().map((keys) => JSON.stringify(keys));
  expect(shapes.length).toBeGreaterThan(100);
  expect(new Set(shapes).size).toBe(shapes.length);
});

it("threads that are ended at any moment harm no other thread's shapes", async () => {
  for (let round = 0; round < 5; round += 1) {
    const memory = structureMemory();
    expect(await race(memory, 1 + round * 40)).toBeGreaterThan(MESSAGES * 2);
    expect(() => new StructureTable(memory).load()).not.toThrow();
  }
});
