/** Encodes bodies of many shapes as fast as it can; the main thread decodes them. */
import { parentPort, workerData } from "node:worker_threads";
import { BodyCodec } from "../../dist/runtime/wire/body-codec.js";
import { StructureTable } from "../../dist/runtime/wire/structures.js";

const { memory, seed, count, start } = workerData;
const refs = {
  isRef: () => false,
  toWire: () => ({ address: 0, generation: 0, fingerprint: 0 }),
  fromWire: () => ({}),
};
const codec = new BodyCodec(new StructureTable(memory), refs);

/** Every worker meets the same shapes, each in another order. */
function payload(index) {
  const shape = (index * seed) % 211;
  const entries = Array.from({ length: (shape % 6) + 1 }, (_, key) => [`k${shape}-${key}`, index]);
  return { index, shape, rows: [Object.fromEntries(entries), Object.fromEntries(entries)] };
}

const gate = new Int32Array(start);
Atomics.add(gate, 1, 1);
Atomics.wait(gate, 0, 0, 5_000);
for (let index = 0; index < count; index += 1) {
  const value = payload(index);
  const { buffer, start: from, end } = codec.encode(value);
  const bytes = Uint8Array.from(buffer.subarray(from, end));
  parentPort.postMessage({ bytes, text: JSON.stringify(value) });
}
