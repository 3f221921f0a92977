/** The actors of the cancellation soak: each handles one call at a time in a thread of its own. */
import { call, defineActor, EsperError, protocol } from "esper-runtime";
import { z } from "zod";
import { collected } from "./memory.ts";
import { type StepOrder, step } from "./stepping.ts";

export const StepperProtocol = protocol("stepper", {
  step: call<StepOrder, number>(),
  wait: call<StepOrder, number>(),
  /** Bytes that are left after a collection in this thread. */
  collect: call<null, number>(),
});

const config = z.strictObject({ memory: z.instanceof(SharedArrayBuffer) });

export const stepper = defineActor(import.meta.url, StepperProtocol, {
  config,
  // A stubborn call costs its thread each time, so this actor fails often and on purpose.
  supervision: { intensity: 1_000, periodMs: 50 },
  setup: ({ config: { memory } }) => memory,
  receive: {
    step: (memory, order, _context, { token }) => step(memory, order, token),
    wait: (_memory, { limitMs }, _context, { token }) =>
      new Promise<number>((resolve, reject) => {
        const timer = setTimeout(resolve, limitMs, 0);
        token.onCancel(() => {
          clearTimeout(timer);
          reject(new EsperError("CANCELLED", "told while it waited"));
        });
      }),
    collect: () => collected(),
  },
});
