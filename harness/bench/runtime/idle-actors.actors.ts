/** Many actors that do nothing, and the memory they take. */
import { cast, defineActor, protocol } from "esper-runtime";
import { CollectorProtocol } from "./collector.actors.ts";

const IdleProtocol = protocol("idle", { wake: cast<number>() });

const idle = defineActor(import.meta.url, IdleProtocol, {
  setup: () => ({ woken: 0 }),
  receive: {
    wake(state, value) {
      state.woken += value;
    },
  },
});

export const CrowdProtocol = protocol("crowd", { spawn: cast<number>() });

/** Everything this thread holds: its heap, and memory beside the heap. */
function heldBytes(): number {
  if (globalThis.gc === undefined) throw new Error("needs --expose-gc");
  for (let turn = 0; turn < 3; turn++) void globalThis.gc();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

export const crowd = defineActor(import.meta.url, CrowdProtocol, {
  setup: () => ({ refs: [] as unknown[] }),
  receive: {
    spawn(state, count, context) {
      // The array that keeps the references is made before the first measurement.
      state.refs = new Array<unknown>(count).fill(null);
      const before = heldBytes();
      for (let index = 0; index < count; index++) state.refs[index] = context.spawn(idle);
      const bytes = (heldBytes() - before) / count;
      context.ref(CollectorProtocol, "collector").cast("report", { bytes, faults: 0 });
    },
  },
});
