/** Counts every message it handles, in memory that outlives its thread. */
import { cast, defineActor, protocol } from "esper-runtime";
import { z } from "zod";

/** How often each message was handled, and how often one came after a later one. */
export const board = {
  allocate: (messages: number): SharedArrayBuffer => new SharedArrayBuffer((messages + 2) * 4),
  handled: (memory: SharedArrayBuffer): number => counts(memory).filter((n) => n > 0).length,
  duplicated: (memory: SharedArrayBuffer): number => counts(memory).filter((n) => n > 1).length,
  disordered: (memory: SharedArrayBuffer): number => new Int32Array(memory)[DISORDERED] ?? 0,
};

/** The number after that of the last message handled. */
const NEXT = 0;
const DISORDERED = 1;
const FIRST = 2;

const counts = (memory: SharedArrayBuffer): Int32Array => new Int32Array(memory).slice(FIRST);

export const VictimProtocol = protocol("victim", { take: cast<{ readonly id: number }>() });

export const victim = defineActor(import.meta.url, VictimProtocol, {
  config: z.object({ board: z.instanceof(SharedArrayBuffer) }),
  setup: ({ config }) => new Int32Array(config.board),
  receive: {
    take(words, { id }) {
      if (id < Atomics.exchange(words, NEXT, id + 1)) Atomics.add(words, DISORDERED, 1);
      Atomics.add(words, FIRST + id, 1);
    },
  },
});
