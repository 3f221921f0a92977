/**
 * Actors that fail: one within its thread, to be restarted there, and one that takes its thread
 * with it. Each leaves the instant of its failure where its next life or the bench can read it.
 */
import { call, cast, defineActor, protocol } from "esper-runtime";
import { z } from "zod";
import { CollectorProtocol } from "./collector.actors.ts";
import { instantMs } from "./instant.ts";

export const FragileProtocol = protocol("fragile", {
  fail: cast<null>(),
  work: cast<null>(),
});

/** Of the thread in which the fragile actors live: no two of them fail at once. */
let failedAtMs = Number.NaN;

export const fragile = defineActor(import.meta.url, FragileProtocol, {
  supervision: { restart: "permanent", intensity: 1_000_000 },
  setup: () => ({}),
  receive: {
    fail(_state, _payload, { starts }) {
      // The message that was in hand comes again; this actor fails once.
      if (starts > 1) return;
      // Capturing the stack is the actor's own work; what is measured begins with the throw.
      const failure = new Error("as told");
      failedAtMs = instantMs();
      throw failure;
    },
    work(_state, _payload, context) {
      const tookUs = (instantMs() - failedAtMs) * 1_000;
      context
        .ref(CollectorProtocol, "collector")
        .cast("report", { tookUs, faults: context.starts === 2 ? 0 : 1 });
    },
  },
});

export const NurseryProtocol = protocol("nursery", { once: cast<null>() });

/** Spawns an actor, makes it fail for the first time, and gives its next life a message. */
export const nursery = defineActor(import.meta.url, NurseryProtocol, {
  setup: () => ({}),
  receive: {
    once(_state, _payload, context) {
      const child = context.spawn(fragile);
      child.cast("fail", null);
      child.cast("work", null);
    },
  },
});

export const DoomedProtocol = protocol("doomed", {
  ask: call<null, { readonly handledAtMs: number; readonly starts: number }>(),
  /** Ends its thread. */
  crash: cast<null>(),
  /** Never comes back. */
  loop: cast<null>(),
});

export const doomed = defineActor(import.meta.url, DoomedProtocol, {
  /** Memory that outlives the thread: the instant of the failure. */
  config: z.strictObject({ board: z.instanceof(SharedArrayBuffer) }),
  supervision: { restart: "permanent", intensity: 1_000_000 },
  setup: ({ config }) => new Float64Array(config.board),
  receive: {
    ask: (_state, _payload, { starts }) => ({ handledAtMs: instantMs(), starts }),
    crash(board) {
      board[0] = instantMs();
      process.exit(7);
    },
    loop(board) {
      board[0] = instantMs();
      for (;;);
    },
  },
});
